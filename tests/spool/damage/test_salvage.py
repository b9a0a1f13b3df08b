"""A spool with bytes in it that nobody wrote: what can be read goes on, and nothing else reaches the cloud."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from module.capture import Capture, FileMark, Kind, Origin
from module.clock.machine_clock import NO_READING, Reading, Stand
from module.errors import SpoolError
from module.sequence import CaptureSequence, SequenceSource
from module.spool.damage import opening
from module.spool.damage.opening import open_spool
from module.spool.damage.salvage import Salvaged, salvage
from module.spool.database import Database
from module.spool.messages import Call
from module.spool.schema import PAGE_BYTES
from tests.spool.numbered import ROWS, capture, check, drain_damaged, filled, overwrite, payload, spool_file
from tests.spool.rig import LOGGER, Opener, claim, drain, make_version_1, make_version_2

FILES = Origin(source="/data", kind=Kind.FILE, folder="/data")


@pytest.mark.parametrize("seed", range(20))
async def test_holes_and_pages_in_the_wrong_places_cost_no_capture_unnamed(
    opened: Opener, tmp_path: Path, seed: int
) -> None:
    """They lead to captures of other ranges, again and again: what is read ends all the same."""
    store = await filled(opened)
    await store.close()
    path, dice = spool_file(tmp_path), random.Random(seed)
    pages = path.read_bytes()
    for _ in range(20):
        place, other = (dice.randrange(2, len(pages) // PAGE_BYTES) * PAGE_BYTES for _ in range(2))
        if seed % 2:
            overwrite(path, place, pages[other : other + PAGE_BYTES])
        else:
            overwrite(path, place + dice.randrange(PAGE_BYTES // 2), bytes(dice.randrange(PAGE_BYTES // 2)))
    async with asyncio.timeout(10):
        store = await opened(max_bytes=10**9)
        delivered = await drain_damaged(store)
    assert len(delivered) + store.failed + store.unreadable >= 500
    assert store.items == 0


@pytest.mark.parametrize("seed", range(12))
async def test_damage_at_random_bytes_costs_no_capture_unnamed(opened: Opener, tmp_path: Path, seed: int) -> None:
    """While nobody has the file open. What is not delivered is a failure, or counted as unreadable."""
    store = await filled(opened)
    await store.close()
    path, dice = spool_file(tmp_path), random.Random(seed)
    size = path.stat().st_size
    for _ in range(dice.choice((1, 3, 10))):
        overwrite(path, dice.randrange(PAGE_BYTES, size), dice.randbytes(dice.choice((1, 50, 5000))))
    store = await opened(max_bytes=10**9)
    delivered = await drain_damaged(store)
    failed = await store.failures(1000)
    assert all("damaged" in failure.error for failure in failed)
    assert len(delivered) + len(failed) + store.unreadable >= 500
    assert len(delivered) > 100, (store.damaged, store.unreadable, len(failed))
    assert (store.items, store.bytes) == (0, 0)
    await store.append([capture(1000)])
    assert check(await drain(store)) == {1000}


async def test_a_payload_that_was_changed_never_leaves_the_spool(opened: Opener, tmp_path: Path) -> None:
    """SQLite cannot know; its checksum does. It is kept among the failures, and can be discarded there."""
    store = await filled(opened, 50)
    await store.close()
    whole = spool_file(tmp_path).read_bytes()
    overwrite(spool_file(tmp_path), whole.index(payload(20, 40_000)[:100]) + 50, b"?")
    store = await opened()
    assert check(await drain(store)) == set(range(50)) - {20}
    (failure,) = await store.failures(10)
    assert (failure.source, failure.attempts) == ("c", 0)
    assert "damaged" in failure.error
    assert (store.damaged, store.items, store.failed) == (None, 0, 1)
    assert await store.retry() == 1
    assert await drain(store) == []
    assert await store.discard() == 1


async def test_damage_that_shows_while_the_spool_is_open_is_survived(opened: Opener, tmp_path: Path) -> None:
    """Uploads under way end as if nothing had happened; appends that meet the damage are written to the new file."""
    store = await filled(opened)
    held = await claim(store)
    pages = spool_file(tmp_path).stat().st_size // PAGE_BYTES
    await store.close()
    store = await opened(max_bytes=10**9)
    held = await claim(store)
    for page in range(pages // 2, pages):
        overwrite(spool_file(tmp_path), page * PAGE_BYTES, bytes(64))
    store._owner.put(_harm())
    await store.append([capture(1000)])
    assert store.damaged is not None
    assert Path(store.damaged).exists()
    assert store.items + store.unreadable == 501
    await store.acknowledge(held[:1])
    store.release(held[1:])
    delivered = check(await drain(store)) | check(held[:1])
    assert 1000 in delivered
    assert (store.items, store.bytes) == (0, 0)
    assert len(delivered) + store.failed + store.unreadable == 501


def _harm() -> Call:
    """A job that finds the file damaged, as any may."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done.add_done_callback(lambda future: future.exception())

    def work(_: object) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    return Call(work, done, writes=False)


async def test_what_stands_beside_the_captures_is_carried_over(opened: Opener, tmp_path: Path) -> None:
    """Failures, files that were sent, sequences, and the numbering."""
    store = await filled(opened, 50)
    mark = FileMark("/data/a", 1, 2)
    (file_id,) = await store.append([Capture(FILES, 1, 1, file=mark)])
    rejected = await claim(store)
    await store.fail(rejected, "no", 3)
    await store.sequences.start([SequenceSource("s", "s", "Readings")], ["night"])
    while items := await claim(store):
        if items[0].origin.kind is Kind.FILE:
            await store.acknowledge(items, sent=[mark])
            break
    await store.close()
    path = spool_file(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'listed'").fetchone()
    overwrite(path, (root - 1) * PAGE_BYTES, bytes(PAGE_BYTES))
    store = await opened()
    assert store.damaged is not None
    assert store.unreadable == 0
    assert [failure.error for failure in await store.failures(10)] == ["no"] * len(rejected)
    assert await store.files.sent_files([mark]) == [mark]
    await store.sequences.look()
    assert [sequence.tags for sequence in store.sequences.known] == [("night",)]
    (new_id,) = await store.append([capture(1000)])
    assert new_id > file_id
    assert await store.retry() == len(rejected)
    assert check(await drain(store)) == {*range(50), 1000}


@pytest.mark.parametrize("page", ["header", "capture", "stream", "counter"])
async def test_captures_outlive_the_page_that_leads_to_them(opened: Opener, tmp_path: Path, page: str) -> None:
    """They are read off their own pages."""
    store = await filled(opened)
    await store.close()
    path = spool_file(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        root = 1 if page == "header" else db.execute(sql, (page,)).fetchone()[0]
    # Of the streams' only page the type alone: its rows are what captures belong to.
    overwrite(path, (root - 1) * PAGE_BYTES, bytes(1 if page == "stream" else 100))
    if page == "stream":
        overwrite(path, (root - 1) * PAGE_BYTES, b"\x0d\xff\xff")
    store = await opened(max_bytes=10**9)
    assert check(await drain(store)) == set(range(500))
    assert store.damaged is not None
    assert store.unreadable == 0
    (new_id,) = await store.append([capture(1000)])
    assert new_id > 500


async def test_what_is_left_of_a_spool_that_is_cut_short_is_read(opened: Opener, tmp_path: Path) -> None:
    store = await filled(opened)
    await store.close()
    with spool_file(tmp_path).open("r+b") as file:
        file.truncate(spool_file(tmp_path).stat().st_size // 2)
    store = await opened(max_bytes=10**9)
    delivered = set[int]()
    for _ in range(5):
        try:
            delivered |= check(await drain(store))
        except SpoolError:
            continue
        break
    assert len(delivered) + store.failed + store.unreadable >= 500
    assert len(delivered) > 50


async def test_the_file_that_is_set_aside_stays_known_until_somebody_removes_it(opened: Opener, tmp_path: Path) -> None:
    store = await filled(opened, 50)
    await store.close()
    overwrite(spool_file(tmp_path), 0, b"no spool")
    store = await opened()
    aside = store.damaged
    assert aside is not None
    assert store.items == 50
    await store.close()
    store = await opened()
    assert store.damaged == aside
    await store.close()
    Path(aside).unlink()
    store = await opened()
    assert store.damaged is None


@pytest.mark.parametrize("left", ["all", "journal", "nothing"])
async def test_a_crash_in_the_middle_of_a_rescue_loses_nothing(opened: Opener, tmp_path: Path, left: str) -> None:
    """The new file is complete under its other name before the old one moves; its journal never meets the new one."""
    store = await filled(opened, 50)
    await store.close()
    path = spool_file(tmp_path)
    salvage(path, opening._salvaged(path))
    if left != "all":
        path.unlink()
    if left == "journal":
        Path(f"{path}-wal").write_bytes(b"of the old file")
    store = await opened()
    assert check(await drain(store)) == set(range(50))


async def test_a_disk_without_room_for_all_gets_a_part_and_that_is_logged(tmp_path: Path, opened: Opener) -> None:
    store = await filled(opened, 50)
    await store.close()
    done = Salvaged(saved=3, unreadable=47, full=True)
    assert "47 are only in that file" in opening._said(done)


async def test_a_spool_of_version_2_is_brought_up_and_delivered(opened: Opener, tmp_path: Path) -> None:
    store = await filled(opened, 50)
    await store.sequences.start([], ["t"])
    before = store.sequences.known
    await store.close()
    make_version_2(spool_file(tmp_path))
    store = await opened()
    assert store.damaged is None
    assert await store.sequences.look() == before
    assert check(await drain(store)) == set(range(50))


def test_a_spool_of_version_2_that_is_damaged_is_salvaged_too(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    found = open_spool(path, LOGGER)
    found.db.begin(durable=True)
    found.db.insert([capture(number) for number in range(50)])
    found.db.sequences.start(CaptureSequence("q", (), ("t",), 7), NO_READING)
    found.db.commit()
    found.db.close()
    make_version_2(path)
    assert salvage(path, tmp_path / "new").saved == 50
    with closing(Database(tmp_path / "new")) as new:
        assert new.sequences.all() == [CaptureSequence("q", (), ("t",), 7)]


async def test_what_is_known_of_the_clock_outlives_a_damaged_file(opened: Opener, tmp_path: Path) -> None:
    """The time of a capture and of a sequence is the true one in the new file too."""
    reading, true = Reading("a boot", 0), Reading("a boot", 10**12)
    store = await opened()
    await store.append([Capture(replace(ROWS, kind=Kind.BINARY, clock=reading), 1, 2, b"frame")])
    await store.clocks.keep(Stand(reading, stood=False))
    await store.clocks.keep(Stand(true, stood=True))
    await store.close()
    done = salvage(spool_file(tmp_path), tmp_path / "new")
    assert (done.saved, done.unreadable) == (1, 0)
    with closing(Database(tmp_path / "new")) as new:
        assert new.clocks.of_boot("a boot") == [Stand(reading, stood=False), Stand(true, stood=True)]
        (item,), _ = new.select(1, 0, rows=1, size=1, without=())
        assert item.requested_us == 10**12 + 1


async def test_a_spool_of_version_1_is_brought_up_and_delivered(opened: Opener, tmp_path: Path) -> None:
    store = await filled(opened, 50)
    await store.fail((await claim(store))[:1], "no", 1)
    await store.close()
    path = spool_file(tmp_path)
    make_version_1(path)
    store = await opened()
    assert (store.damaged, store.items, store.failed) == (None, 49, 1)
    await store.append([capture(1000)])
    await store.retry()
    assert check(await drain(store)) == {*range(50), 1000}


def test_a_spool_of_version_1_that_is_damaged_is_salvaged_too(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    found = open_spool(path, LOGGER)
    found.db.begin(durable=True)
    found.db.insert([capture(number) for number in range(50)])
    found.db.commit()
    found.db.close()
    make_version_1(path)
    assert salvage(path, tmp_path / "new").saved == 50


async def test_an_origin_that_was_changed_costs_its_captures_their_delivery_and_no_others(
    opened: Opener, tmp_path: Path
) -> None:
    """Nobody knows what they are; they stay in the file that is set aside, and are counted."""
    store = await filled(opened, 50)
    await store.append([replace(capture(51), origin=replace(ROWS, tags=("tag-of-nobody",)))])
    await store.close()
    data = spool_file(tmp_path).read_bytes()
    place = data.index(b"tag-of-nobody")
    while place >= 0:
        overwrite(spool_file(tmp_path), place, b"TAG")
        place = data.find(b"tag-of-nobody", place + 1)
    store = await opened()
    assert check(await drain(store)) == set(range(50))
    assert store.damaged is not None
