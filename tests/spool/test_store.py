"""The durable queue: real files, real threads."""

import asyncio
import contextlib
import itertools
import os
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from module.capture import Capture, FileMark, Kind, Origin
from module.errors import SpoolClosed, SpoolError, SpoolFull
from module.spool import capacity
from module.spool.claims import BATCH_BYTES
from module.spool.schema import connect
from module.spool.store import Store
from tests.spool.rig import LOGGER, Drops, Opener, claim, drain, spool_config, upload_config

ROWS = Origin(source="s", kind=Kind.ROW, api="rdk:component:sensor", name="s", method="Readings")
IMAGES = Origin(source="c", kind=Kind.BINARY, name="c", method="GetImages", extension=".jpg", mime_type="image/jpeg")
FILES = Origin(source="/f", kind=Kind.FILE, folder="/f")


def row(number: int, origin: Origin = ROWS) -> Capture:
    return Capture(origin, number, number + 1, f"row {number}".encode())


async def test_what_was_appended_is_claimed_as_it_was(opened: Opener) -> None:
    store = await opened()
    await store.append([row(1)])
    (item,) = await claim(store)
    assert (item.origin, item.requested_us, item.received_us, item.payload) == (ROWS, 1, 2, b"row 1")


async def test_annotations_stay_with_their_payload_through_a_restart_and_a_rejection(opened: Opener) -> None:
    store = await opened()
    given = [Capture(IMAGES, 1, 2, b"image", annotations=seen) for seen in (b"a cat", b"", bytes(70_000))]
    await store.append(given)
    bytes_with = store.bytes
    await store.close()
    store = await opened()
    items = await claim(store)
    await store.fail(items, "refused", 1)
    await store.retry(None)
    items += await drain(store)
    assert {(item.payload, item.annotations) for item in items} == {(b"image", each.annotations) for each in given}
    assert bytes_with > 70_000
    assert {item.size for item in items} == {len(b"image")}


async def test_ids_grow_and_are_never_used_twice(opened: Opener) -> None:
    store = await opened()
    first = await store.append([row(1), row(2)])
    await drain(store)
    await store.close()
    store = await opened()
    second = await store.append([row(3)])
    assert first[0] < first[1] < second[0]


async def test_the_mark_beside_the_spool_follows_whatever_comes_and_goes(
    opened: Opener, drops: Drops, tmp_path: Path
) -> None:
    """It says how far the spool went and how many captures it held; a journal that is cut short is held against it."""
    file = tmp_path / "spool" / "last-id"
    store = await opened(max_bytes=20_000)

    def is_true(last_id: int) -> bool:
        return file.read_text().split() == [f"{last_id:020}", f"{store.items + store.failed:020}", "0" * 20]

    await store.append([row(number) for number in range(40)])
    assert is_true(40)
    taken = await claim(store)
    await store.fail(taken[:5], "no", 1)
    await store.acknowledge(taken[5:20])
    store.release(taken[20:])
    assert is_true(40)
    assert await store.discard([taken[0].id]) == 1
    assert await store.retry() == 4
    assert is_true(40)
    await store.fail((await claim(store))[:3], "no", 1)
    for first in range(40, 250, 70):
        await store.append([row(number) for number in range(first, first + 70)])
    assert drops.count > 3
    assert is_true(250)
    await store.close()
    store = await opened()
    await drain(store)
    assert is_true(250)


async def test_captures_outlive_the_store_and_its_configuration(opened: Opener) -> None:
    store = await opened()
    await store.append([row(1)])
    await store.append([Capture(IMAGES, 5, 6, b"jpeg")])
    await store.close()
    store = await opened()
    assert store.items == 2
    assert sorted(item.payload for item in await drain(store)) == [b"jpeg", b"row 1"]


async def test_an_acknowledged_capture_is_gone_for_good(opened: Opener) -> None:
    store = await opened()
    await store.append([row(1), row(2)])
    items = await claim(store)
    await store.acknowledge(items[:1])
    await store.close()
    store = await opened()
    assert [item.payload for item in await drain(store)] == [b"row 2"]


async def test_a_claimed_capture_is_not_claimed_again(opened: Opener) -> None:
    store = await opened()
    await store.append([row(1)])
    assert len(await claim(store)) == 1
    assert await claim(store) == []


async def test_a_released_capture_is_the_first_to_be_claimed_again(opened: Opener) -> None:
    store = await opened()
    await store.append([Capture(IMAGES, n, n, b"%d" % n) for n in range(3)])
    first = await claim(store)
    second = await claim(store)
    store.release(first)
    assert [(await claim(store))[0].payload for _ in range(2)] == [b"0", b"2"]
    store.release(second)
    assert (await claim(store))[0].payload == b"1"


async def test_a_crash_puts_claimed_captures_back(opened: Opener) -> None:
    store = await opened()
    await store.append([row(1)])
    await claim(store)
    await store.close()
    store = await opened()
    assert len(await claim(store)) == 1


async def test_the_highest_priority_goes_first_then_the_oldest(opened: Opener) -> None:
    store = await opened()
    for number, priority in enumerate((5, 1, 9, 5)):
        origin = replace(IMAGES, source=f"c{number}", priority=priority)
        await store.append([Capture(origin, number, number, b"%d" % number)])
    assert [item.payload for item in await drain(store)] == [b"2", b"0", b"3", b"1"]


async def test_rows_of_one_source_travel_together_up_to_batch_rows(opened: Opener) -> None:
    store = await opened(upload={"batch_rows": 3})
    await store.append([row(n) for n in range(5)])
    assert [len(await claim(store)) for _ in range(2)] == [3, 2]


async def test_rows_gather_until_the_batch_is_full_or_the_wait_is_over(opened: Opener) -> None:
    store = await opened(upload={"batch_rows": 3, "batch_wait_s": 100.0})
    await store.append([row(1), row(2)])
    stream, wait = store.choose(asyncio.get_running_loop().time(), flushing=False)
    assert stream is None
    assert 90 < wait <= 100.2
    later, _ = store.choose(asyncio.get_running_loop().time() + 100.3, flushing=False)
    assert later is not None
    await store.append([row(3)])
    now, _ = store.choose(asyncio.get_running_loop().time(), flushing=False)
    assert now is not None


async def test_rows_with_other_tags_travel_apart(opened: Opener) -> None:
    store = await opened()
    await store.append([row(1), row(2, replace(ROWS, tags=("x",))), row(3)])
    assert sorted([len(await claim(store)), len(await claim(store))]) == [1, 2]


async def test_a_batch_is_bounded_in_bytes_but_never_empty(opened: Opener) -> None:
    store = await opened()
    size = BATCH_BYTES
    await store.append([Capture(ROWS, n, n, b"x" * (size - 10)) for n in range(2)])
    await store.append([Capture(ROWS, 9, 9, b"x" * (size * 2))])
    assert [len(await claim(store)) for _ in range(3)] == [1, 1, 1]


async def test_appends_that_arrive_together_share_few_commits(opened: Opener, tmp_path: Path) -> None:
    store = await opened()
    version = sqlite3.connect(f"file:{tmp_path}/spool/spool.sqlite3?mode=ro", uri=True)
    before = version.execute("PRAGMA data_version").fetchone()
    await asyncio.gather(*(store.append([row(n)]) for n in range(100)))
    assert version.execute("PRAGMA data_version").fetchone() != before
    assert store.items == 100
    version.close()


async def test_failures_keep_their_error_and_can_be_retried(opened: Opener) -> None:
    store = await opened()
    await store.append([row(1), row(2)])
    items = await claim(store)
    await store.fail(items[:1], "INVALID_ARGUMENT: no", 3)
    store.release(items[1:])
    (failure,) = await store.failures(10)
    assert (failure.id, failure.source, failure.error, failure.attempts) == (
        items[0].id,
        "s",
        "INVALID_ARGUMENT: no",
        3,
    )
    assert (store.items, store.failed) == (1, 1)
    assert await store.retry([failure.id, 999]) == 1
    assert (store.items, store.failed) == (2, 0)
    assert [item.payload for item in await claim(store)] == [b"row 1", b"row 2"]


async def test_failures_outlive_a_restart_and_can_be_discarded(opened: Opener) -> None:
    store = await opened()
    await store.append([row(1)])
    await store.fail(await claim(store), "no", 1)
    await store.close()
    store = await opened()
    assert (store.items, store.failed) == (0, 1)
    assert await store.discard() == 1
    assert (store.failed, await store.failures(10)) == (0, [])


async def test_a_full_spool_drops_its_oldest_and_says_so(opened: Opener, drops: Drops) -> None:
    store = await opened(max_bytes=10_000)
    for number in range(20):
        await store.append([Capture(IMAGES, number, number, b"%04d" % number + b"x" * 900)])
    assert store.bytes <= 10_000
    assert drops.by_source == {"c": 20 - store.items}
    kept = [item.payload[:4] for item in await drain(store)]
    assert kept == [b"%04d" % number for number in range(20 - len(kept), 20)]


async def test_what_is_on_its_way_is_never_dropped(opened: Opener, drops: Drops) -> None:
    store = await opened(max_bytes=2_500)
    await store.append([Capture(IMAGES, 0, 0, b"x" * 900)])
    await claim(store)
    await store.append([Capture(IMAGES, 1, 1, b"y" * 900)])
    await store.append([Capture(IMAGES, 2, 2, b"z" * 900)])
    assert drops.count == 1
    assert [item.payload[:1] for item in await claim(store)] == [b"z"]


async def test_a_capture_that_finds_no_room_is_refused_by_name(opened: Opener, drops: Drops) -> None:
    store = await opened(max_bytes=3_500)
    await store.append([Capture(replace(IMAGES, priority=9), 0, 0, b"x" * 2000)])
    with pytest.raises(SpoolFull, match=r"spool\.max_bytes is 3500"):
        await store.append([Capture(IMAGES, 1, 1, b"y" * 900)])
    assert (store.items, drops.count) == (1, 1)


async def test_a_disk_with_too_little_room_counts_as_full(opened: Opener) -> None:
    store = await opened(min_free_bytes=2**62)
    with pytest.raises(SpoolFull, match=r"bytes free, and spool\.min_free_bytes is"):
        await store.append([row(1)])


async def test_room_in_the_file_is_used_while_the_disk_is_full(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that acknowledged captures left free cost the disk nothing."""
    store = await opened(min_free_bytes=1000)
    await store.append([Capture(IMAGES, 0, 0, b"x" * 500_000)])
    await drain(store)
    monkeypatch.setattr(store._owner._capacity, "free_disk", lambda: 999)
    await store.append([Capture(IMAGES, 1, 1, b"y" * 100_000)])
    assert store.items == 1


async def test_a_file_is_known_once_it_waits_failed_or_was_sent(opened: Opener) -> None:
    store = await opened()
    marks = [FileMark(f"/f/{name}", 1, 1) for name in "abcd"]
    await store.append([Capture(FILES, 1, 1, file=mark) for mark in marks[:3]])
    sent, failed = (await claim(store))[0], (await claim(store))[0]
    assert sent.file == marks[0]
    await store.acknowledge([sent], sent=[marks[0]])
    await store.fail([failed], "gone", 1)
    await store.close()
    store = await opened()
    assert await store.files.unknown_files(marks) == [marks[3]]
    assert await store.files.unknown_files([replace(marks[0], size=2)]) == [replace(marks[0], size=2)]
    assert await store.files.sent_files(marks) == [marks[0]]


async def test_a_discarded_file_is_not_picked_up_again(opened: Opener) -> None:
    store = await opened()
    mark = FileMark("/f/a", 1, 1)
    await store.append([Capture(FILES, 1, 1, file=mark)])
    await store.fail(await claim(store), "gone", 1)
    await store.discard()
    assert await store.files.unknown_files([mark]) == []


async def test_the_spool_is_private(opened: Opener, tmp_path: Path) -> None:
    store = await opened()
    await store.append([row(1)])
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    files = list((tmp_path / "spool").iterdir())
    assert len(files) >= 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


async def test_a_second_instance_waits_until_the_first_lets_go(opened: Opener) -> None:
    first = await opened()
    await first.append([row(1)])
    opening = asyncio.ensure_future(opened())
    await asyncio.sleep(0.2)
    assert not opening.done()
    await first.close()
    second = await asyncio.wait_for(opening, 30)
    assert second.items == 1


async def test_opening_can_be_given_up_while_another_holds_the_spool(opened: Opener, tmp_path: Path) -> None:
    await opened()
    waiting = asyncio.ensure_future(opened())
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_after_close_appends_are_refused(opened: Opener) -> None:
    store = await opened()
    await store.close()
    await store.close()
    with pytest.raises(SpoolClosed):
        await store.append([row(1)])
    with pytest.raises(SpoolClosed):
        await store.failures(1)


async def test_close_commits_what_was_appended_just_before(opened: Opener) -> None:
    store = await opened()
    appended = store.append_soon([row(1)])
    await store.close()
    assert len(await appended) == 1
    store = await opened()
    assert store.items == 1


async def test_a_spool_of_a_newer_version_is_not_changed(opened: Opener, tmp_path: Path) -> None:
    store = await opened()
    await store.close()
    db = sqlite3.connect(tmp_path / "spool" / "spool.sqlite3")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(SpoolError, match="newer version"):
        await opened()


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = spool_config(directory=str(tmp_path / "file" / "spool"), min_free_bytes=0)
    store = Store(settings, upload_config(), LOGGER)
    with pytest.raises(SpoolError, match=r"file/spool/spool\.sqlite3 cannot be opened"):
        await store.open()
    await store.close()


async def test_the_file_is_laid_out_for_cheap_deletes(opened: Opener, tmp_path: Path) -> None:
    store = await opened()
    await store.append([row(1)])
    await store.close()
    db = sqlite3.connect(tmp_path / "spool" / "spool.sqlite3")
    facts = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "auto_vacuum", "journal_mode")]
    db.close()
    assert facts == [1024, 2, "wal"]


def test_a_commit_is_synced_through_the_cache_of_the_drive(tmp_path: Path) -> None:
    """The second is what macOS needs; elsewhere a sync does so anyway."""
    with contextlib.closing(connect(tmp_path / "spool.sqlite3")) as db:
        assert [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "fullfsync")] == [2, 1]


async def test_a_defect_in_a_look_at_the_disk_does_not_end_the_spools_thread(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would be answered any more, and nothing would say so."""
    store = await opened()
    monkeypatch.setattr(capacity, "_LOOK_S", 0.0)
    store._owner._capacity._look_at = 0.0
    statvfs, calls = os.statvfs, itertools.count()

    def fails_after_the_first_commit(path: Any) -> Any:
        # Before a commit it is looked whether there is room; after it, how much is left.
        if next(calls) == 1:
            raise MemoryError("no memory left")
        return statvfs(path)

    monkeypatch.setattr(os, "statvfs", fails_after_the_first_commit)
    assert await store.append([row(1)])
    assert await asyncio.wait_for(store.append([row(2)]), 10)
    assert next(calls) > 2
