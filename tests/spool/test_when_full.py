"""What a full spool keeps, by each policy: real files, real commits."""

from __future__ import annotations

import asyncio
import itertools
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from module.attributes.uploader import WhenFull
from module.capture import Capture, FileMark, Kind, Origin
from module.errors import SpoolError, SpoolFull
from module.spool.database import Database
from module.spool.gathering import GROUP_CAPTURES
from tests.spool.rig import Drops, Opener, SlowDisk, claim, drain

IMAGES = Origin(source="c", kind=Kind.BINARY, name="c", method="GetImages", extension=".jpg", mime_type="image/jpeg")


def _numbered(number: int, origin: Origin = IMAGES) -> Capture:
    return Capture(origin, number, number, b"%04d" % number + b"x" * 896)


async def test_drop_newest_keeps_what_came_first(opened: Opener, drops: Drops) -> None:
    store = await opened(max_bytes=10_000, when_full=WhenFull.DROP_NEWEST)
    refused = 0
    for number in range(20):
        try:
            await store.append([_numbered(number)])
        except SpoolFull:
            refused += 1
    assert drops.count == refused == 20 - store.items
    assert [int(item.payload[:4]) for item in await drain(store)] == list(range(20 - refused))


async def test_drop_newest_makes_room_for_a_higher_priority(opened: Opener) -> None:
    store = await opened(max_bytes=5_000, when_full=WhenFull.DROP_NEWEST)
    for number in range(5):
        await store.append([_numbered(number)])
    await store.append([_numbered(9, replace(IMAGES, priority=9))])
    assert [int(item.payload[:4]) for item in await drain(store)] == [9, 0, 1, 2, 3]


async def test_thin_keeps_the_whole_span_covered(opened: Opener, drops: Drops) -> None:
    """The first and the last stay, and no gap is much larger than twice the usual one."""
    store = await opened(max_bytes=50_000, when_full=WhenFull.THIN)
    for number in range(200):
        await store.append([_numbered(number)])
    assert drops.count == 200 - store.items
    kept = [int(item.payload[:4]) for item in await drain(store)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(kept)]
    assert kept[0] == 0
    assert kept[-1] == 199
    assert max(gaps) <= 16


@pytest.mark.parametrize("policy", list(WhenFull))
async def test_the_lowest_priority_goes_first_by_every_policy(opened: Opener, drops: Drops, policy: WhenFull) -> None:
    store = await opened(max_bytes=10_000, when_full=policy)
    for number in range(6):
        await store.append([_numbered(number, replace(IMAGES, priority=1))])
    for number in range(6, 12):
        await store.append([_numbered(number, replace(IMAGES, priority=8))])
    kept = {int(item.payload[:4]) for item in await drain(store)}
    assert set(range(6, 12)) <= kept
    assert drops.count == 12 - len(kept) > 0


async def test_thin_goes_on_with_the_lowest_priority_until_hardly_any_is_left(opened: Opener, drops: Drops) -> None:
    """Wherever the last thinning ended, and though newer captures of a higher priority follow there."""
    store = await opened(max_bytes=100_000, when_full=WhenFull.THIN)
    for number in range(111):
        await store.append([_numbered(number, replace(IMAGES, priority=8 if number % 10 else 1))])
    kept = [item.origin.priority for item in await drain(store)]
    assert kept.count(1) <= 2
    assert len(kept) == 111 - drops.count == 100


@pytest.mark.parametrize("policy", list(WhenFull))
async def test_a_file_that_was_rejected_stays_known(opened: Opener, drops: Drops, policy: WhenFull) -> None:
    """It takes no room, and its folder would find it again and send it in vain."""
    store = await opened(max_bytes=5_000, when_full=policy)
    mark = FileMark("/folder/a", 5, 5, 5)
    await store.append([Capture(Origin(source="/folder", kind=Kind.FILE), 1, 1, file=mark), _numbered(0)])
    for _ in range(2):
        await store.fail(await claim(store), "no", 1)
    for number in range(1, 5):
        await store.append([_numbered(number)])
    assert (store.failed, drops.count) == (1, 1)
    assert await store.files.unknown_files([mark]) == []


async def test_what_is_read_for_a_claim_does_not_give_way(opened: Opener, drops: Drops, tmp_path: Path) -> None:
    """The commit comes between the reading and the claim: each capture is delivered or dropped, and none is both."""
    store = await opened(max_bytes=1000 * (GROUP_CAPTURES + 36))
    await store.append([_numbered(number) for number in range(90)])
    claiming = asyncio.ensure_future(claim(store))
    await asyncio.sleep(0)
    appended = store.append_soon([_numbered(number) for number in range(90, 90 + GROUP_CAPTURES)])
    with closing(sqlite3.connect(tmp_path / "spool" / "spool.sqlite3")) as db:
        # The event loop stands still until both are done.
        while db.execute("SELECT max(id) FROM capture").fetchone() != (90 + GROUP_CAPTURES,):
            pass
    taken = await claiming
    await appended
    assert drops.count > 0
    await store.acknowledge(taken)
    delivered = [int(item.payload[:4]) for item in (*taken, *await drain(store))]
    assert len(set(delivered)) == len(delivered) == 90 + GROUP_CAPTURES - drops.count
    assert store.items == 0


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"max_bytes": 5_000}, "spool.max_bytes is 5000"), ({"min_free_bytes": 1_000}, "spool.min_free_bytes is 1000")],
    ids=["limit", "disk"],
)
async def test_drops_are_logged_with_the_limit_that_leaves_no_room(
    opened: Opener,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    settings: dict[str, int],
    why: str,
) -> None:
    """What comes in is kept all the same, and that is no reason to say that all is well."""
    store = await opened(**settings)
    for number in range(5):
        await store.append([_numbered(number)])
    assert store.last_error is None
    monkeypatch.setattr(store._owner._capacity, "free_disk", lambda: 999)
    for number in range(5, 45):
        await store.append([_numbered(number)])
    said = str(store.last_error)
    assert said.startswith("the spool is full (")
    assert why in said
    assert said.endswith(") and loses captures by drop_oldest")
    assert f"{why}) and lost captures by drop_oldest: " in caplog.text
    monkeypatch.undo()
    await drain(store)
    await store.append([_numbered(45)])
    assert store.last_error is None


async def test_failures_take_room_until_they_are_retried_and_delivered_or_discarded(
    opened: Opener, drops: Drops
) -> None:
    store = await opened(max_bytes=10_000)
    await store.append([_numbered(number) for number in range(10)])
    for _ in range(4):
        await store.fail(await claim(store), "no", 1)
    ids = [failure.id for failure in await store.failures(10)]
    assert (await store.discard(ids[:1]), await store.retry(ids[1:3])) == (1, 2)
    for item in (await claim(store), await claim(store)):
        await store.acknowledge(item)
    await store.append([_numbered(number) for number in range(10, 13)])
    assert (store.items, store.failed, drops.count) == (9, 1, 0)
    await store.append([_numbered(13)])
    assert (store.items, store.failed, drops.count) == (10, 0, 1)


@pytest.mark.parametrize(
    ("policy", "size", "why"),
    [
        (WhenFull.DROP_OLDEST, 900, "drop_oldest drops what has a lower or the same priority and is not being"),
        (WhenFull.THIN, 900, "thin drops what has a lower or the same priority and is not being uploaded"),
        (WhenFull.DROP_NEWEST, 900, "drop_newest drops what has a lower priority and is not being uploaded"),
        (WhenFull.DROP_NEWEST, 9_000, "spool.max_bytes is 5000, which is less"),
    ],
)
async def test_a_refusal_says_what_the_policy_could_have_dropped(
    opened: Opener, policy: WhenFull, size: int, why: str
) -> None:
    store = await opened(max_bytes=5_000, when_full=policy)
    higher = replace(IMAGES, priority=IMAGES.priority if policy is WhenFull.DROP_NEWEST else 9)
    await store.append([_numbered(0), *(_numbered(number, higher) for number in range(1, 5))])
    await claim(store)
    with pytest.raises(SpoolFull, match=re.escape(why)):
        await store.append([_numbered(5), Capture(IMAGES, 6, 6, bytes(size))])


async def test_the_log_takes_no_other_error_for_a_full_spool(
    opened: Opener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = await opened(max_bytes=10_000)
    for number in range(30):
        await store.append([_numbered(number)])

    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "commit", broken)
        with pytest.raises(SpoolError, match="disk I/O error"):
            await store.append([_numbered(30)])
    await store.close()
    lines = [message for message in caplog.messages if "lost captures by" in message]
    assert len(lines) == 2
    assert all("(spool.max_bytes is 10000)" in line for line in lines)


async def test_drops_are_logged_though_the_disk_is_too_slow_to_close(
    opened: Opener, disk: SlowDisk, caplog: pytest.LogCaptureFixture
) -> None:
    store = await opened(max_bytes=10_000)
    for number in range(30):
        await store.append([_numbered(number)])
    disk.hang()
    appended = store.append_soon([_numbered(30)])
    await disk.until_it_hangs()
    closing_it = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    closing_it.cancel()
    await asyncio.wait({closing_it})
    assert len([message for message in caplog.messages if "lost captures by" in message]) == 2
    disk.work()
    await appended


async def test_every_dropped_capture_is_in_the_log_once_the_spool_is_closed(
    opened: Opener, drops: Drops, caplog: pytest.LogCaptureFixture
) -> None:
    """Also those of the last seconds, although lines about drops come only now and then."""
    store = await opened(max_bytes=10_000)
    for number in range(30):
        await store.append([_numbered(number)])
    await store.close()
    lines = [message for message in caplog.messages if "lost captures by" in message]
    assert sum(int(count) for line in lines for count in re.findall(r"(\d+) of c", line)) == drops.count > 10
    assert len(lines) == 2
