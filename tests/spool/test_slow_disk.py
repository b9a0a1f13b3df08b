"""What waits for a slow disk shares one sync, and is bounded."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from module.attributes.uploader import Sync
from module.capture import Capture, Kind, Origin
from module.errors import SpoolClosed, SpoolError
from module.sequence import SequenceSource, SequenceState
from module.spool import database, pending, thread
from module.spool.damage import opening
from module.spool.database import Database
from module.spool.gathering import GROUP_CAPTURES
from module.spool.store import Store
from tests.spool.rig import Drops, Opener, SlowDisk, claim, drain
from tests.waiting import until

ROWS = Origin(source="s", kind=Kind.ROW, api="rdk:component:sensor", name="s", method="Readings")
GROUP = [Capture(ROWS, 1, 2, b"row")] * GROUP_CAPTURES


async def behind(store: Store, disk: SlowDisk) -> asyncio.Future[list[int]]:
    """Append a group, and return while its commit waits for the disk."""
    disk.hang()
    appended = store.append_soon(GROUP)
    await disk.until_it_hangs()
    return appended


@pytest.mark.parametrize("sync", list(Sync))
async def test_all_that_waits_for_the_disk_shares_its_next_commit(opened: Opener, disk: SlowDisk, sync: Sync) -> None:
    """Groups, acknowledgements, and calls that write, each of which had a commit before."""
    store = await opened(sync=sync)
    await store.append(GROUP)
    taken = await claim(store)
    first = await behind(store, disk)
    before = disk.commits
    waiting = [store.append_soon(GROUP) for _ in range(10)]
    failing = asyncio.ensure_future(store.fail(taken[:2], "no", 1))
    acknowledged = store.acknowledge(taken[2:])
    waiting += [store.append_soon(GROUP)]
    discarding = asyncio.ensure_future(store.discard())
    # Eleven groups, with the last of which the acknowledgement goes, and two calls.
    await until(lambda: store._owner._jobs.qsize() == 13)
    disk.work()
    ids = await asyncio.gather(first, *waiting)
    await asyncio.gather(failing, acknowledged)
    assert await discarding == 2
    assert disk.commits - before == 1
    assert list(itertools.chain(*ids)) == list(range(GROUP_CAPTURES + 1, 13 * GROUP_CAPTURES + 1))
    assert (store.items, store.failed) == (12 * GROUP_CAPTURES, 0)
    assert len(await drain(store)) == 12 * GROUP_CAPTURES


async def test_a_call_that_fails_takes_nothing_with_it_of_what_shares_its_commit(
    opened: Opener, disk: SlowDisk
) -> None:
    store = await opened()
    first = await behind(store, disk)

    def spoil(db: object) -> None:
        db.insert(GROUP)  # type: ignore[attr-defined]
        raise ZeroDivisionError("a defect")

    before = store.append_soon(GROUP)
    call = asyncio.ensure_future(store._call(spoil, writes=True))
    await asyncio.sleep(0)
    after = store.append_soon(GROUP)
    disk.work()
    with pytest.raises(SpoolError, match="a defect"):
        await call
    ids = await asyncio.gather(first, before, after)
    assert list(itertools.chain(*ids)) == list(range(1, 3 * GROUP_CAPTURES + 1))
    assert len(await drain(store)) == store.items + 3 * GROUP_CAPTURES == 3 * GROUP_CAPTURES


async def failed(store: Store, count: int) -> list[int]:
    """Let the cloud reject so many captures, each of another stream; return their ids."""
    ids = await store.append([Capture(replace(ROWS, name=f"s{number}"), 1, 2, b"row") for number in range(count)])
    for _ in ids:
        await store.fail(await claim(store), "no", 1)
    return ids


VERBS = pytest.mark.parametrize("verb", ["retry", "discard"])


@VERBS
@pytest.mark.parametrize("part_rows", [500, 2])
async def test_a_call_is_carried_to_its_end_though_its_caller_has_gone(
    opened: Opener, disk: SlowDisk, monkeypatch: pytest.MonkeyPatch, part_rows: int, verb: str
) -> None:
    """As when the deadline of a command passes while the disk is slow: what went back is delivered all the same."""
    monkeypatch.setattr(database, "_PART_ROWS", part_rows)
    store = await opened()
    await failed(store, 6)
    disk.hang()
    call = asyncio.ensure_future(getattr(store, verb)())
    await disk.until_it_hangs()
    call.cancel()
    await asyncio.wait({call})
    disk.work()
    await until(lambda: store.failed == 0)
    assert await store.failures(10) == []
    assert store.items == (6 if verb == "retry" else 0)
    assert len(await drain(store)) == (6 if verb == "retry" else 0)
    assert (store.items, store.bytes) == (0, 0)


@VERBS
@pytest.mark.parametrize("limit", ["_PART_ROWS", "_PART_BYTES"])
async def test_appends_continue_between_the_parts_of_a_call_about_many_failures(
    opened: Opener, disk: SlowDisk, monkeypatch: pytest.MonkeyPatch, limit: str, verb: str
) -> None:
    """All in one transaction can keep a slow disk busy for minutes, and fill it up."""
    monkeypatch.setattr(database, limit, 2)
    store = await opened()
    await failed(store, 6)
    before = disk.commits
    first = await behind(store, disk)
    call = asyncio.ensure_future(getattr(store, verb)())
    await asyncio.sleep(0)
    appended = store.append_soon(GROUP)
    disk.work()
    await appended
    assert not call.done()
    assert await call == 6
    assert disk.commits - before >= 3
    await first
    assert store.failed == 0
    assert len(await drain(store)) == 2 * GROUP_CAPTURES + (6 if verb == "retry" else 0)
    assert (store.items, store.bytes) == (0, 0)


@VERBS
async def test_what_was_done_before_a_part_that_fails_counts_and_is_said(
    opened: Opener, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(database, "_PART_ROWS", 2)
    store = await opened()
    await failed(store, 6)
    work, calls = getattr(Database, verb), itertools.count(1)

    def fails_at_the_third(*arguments: Any) -> Any:
        return 1 // 0 if next(calls) == 3 else work(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Database, verb, fails_at_the_third)
        with pytest.raises(SpoolError, match=r"division or modulo by zero; 4 failures were done before"):
            await getattr(store, verb)()
    assert (store.failed, store.items) == (2, 4 if verb == "retry" else 0)
    assert await getattr(store, verb)() == 2


async def test_a_call_about_many_failures_ends_with_the_spool(
    opened: Opener, disk: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_PART_ROWS", 2)
    store = await opened()
    await failed(store, 6)
    disk.hang()
    call = asyncio.ensure_future(store.retry())
    await disk.until_it_hangs()
    ending = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    disk.work()
    await ending
    with pytest.raises(SpoolClosed):
        await call
    store = await opened()
    assert (store.items, store.failed) == (2, 4)


async def test_a_sequence_that_was_stopped_is_known_though_its_caller_has_gone(opened: Opener, disk: SlowDisk) -> None:
    store = await opened()
    sequence = await store.sequences.start([SequenceSource("s", "s", "Readings")], [])
    disk.hang()
    stopping = asyncio.ensure_future(store.sequences.stop(sequence.id))
    await disk.until_it_hangs()
    disk.work()
    # It has looked, and now it writes.
    disk.hang()
    await disk.until_it_hangs()
    stopping.cancel()
    await asyncio.wait({stopping})
    disk.work()
    await store.failures(1)
    assert store.sequences.known[0].state is SequenceState.WAITING
    assert store.sequences.stopped.is_set()


async def test_what_is_brought_back_may_be_dropped_in_the_same_commit(
    opened: Opener, drops: Drops, disk: SlowDisk
) -> None:
    """By its id it is the oldest of all, and others come meanwhile that need its room."""
    store = await opened(max_bytes=2 * GROUP_CAPTURES * 99)
    await failed(store, 2)
    first = await behind(store, disk)
    retrying = asyncio.ensure_future(store.retry())
    while store._owner._jobs.empty():
        await asyncio.sleep(0)
    second = store.append_soon(GROUP)
    disk.work()
    disk.hang()
    await first
    await disk.until_it_hangs()
    store._owner.free_disk_bytes = -1
    disk.work()
    # The event loop does nothing until the results of both are in its queue.
    while store.free_disk_bytes < 0:
        time.sleep(0.001)  # noqa: ASYNC251
    assert (await retrying, len(await second)) == (2, GROUP_CAPTURES)
    assert (drops.count, store.failed, store.items) == (2, 0, 2 * GROUP_CAPTURES)
    assert len(await drain(store)) == 2 * GROUP_CAPTURES
    assert (store.items, store.bytes) == (0, 0)


async def test_the_lag_is_the_age_of_what_is_not_yet_safe(opened: Opener, disk: SlowDisk) -> None:
    store = await opened()
    assert store.pending.lag_s == 0
    appended = await behind(store, disk)
    earlier = store.pending.lag_s
    await asyncio.sleep(0.05)
    assert store.pending.lag_s >= earlier + 0.05
    disk.work()
    await appended
    assert (store.pending.lag_s, store.pending.bytes) == (0, 0)


@pytest.mark.parametrize(("limit", "most"), [("MOST_CAPTURES", 3 * GROUP_CAPTURES), ("MOST_BYTES", 500), ("MOST_S", 0)])
async def test_who_captures_waits_once_too_much_is_on_its_way_to_the_disk(
    opened: Opener, disk: SlowDisk, monkeypatch: pytest.MonkeyPatch, limit: str, most: float
) -> None:
    store = await opened()
    await store.caught_up()
    appended = await behind(store, disk)
    more = [store.append_soon(GROUP) for _ in range(2)]
    monkeypatch.setattr(pending, limit, most)
    waiting = asyncio.ensure_future(store.caught_up())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    disk.work()
    await waiting
    assert appended.done()
    await asyncio.gather(*more)


async def test_to_close_and_open_again_on_a_slow_disk_waits_for_no_sync_but_the_last_commit(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal stays for the next to open the file, and names that were made sure of once are sure."""
    monkeypatch.setattr(thread, "_SLOW_COMMIT_S", 0.0)
    store = await opened()
    await store.append(GROUP)
    await store.close()
    assert (tmp_path / "spool" / "spool.sqlite3-wal").stat().st_size > 0
    synced: list[Path] = []
    monkeypatch.setattr(opening, "_sync", synced.append)
    store = await opened()
    assert synced == []
    assert len(await drain(store)) == GROUP_CAPTURES
    monkeypatch.setattr(thread, "_SLOW_COMMIT_S", 60.0)
    await store.append(GROUP)
    await store.close()
    assert not (tmp_path / "spool" / "spool.sqlite3-wal").exists()
    (tmp_path / "spool" / "spool.sqlite3").unlink()
    await opened()
    assert synced[0] == tmp_path / "spool"
