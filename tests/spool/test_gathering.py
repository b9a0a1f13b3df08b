"""When captures and acknowledgements are written, and what shares a commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from module.capture import Capture, Kind, Origin
from module.spool import gathering
from module.spool.gathering import (
    GROUP_CAPTURES,
    LARGE_BYTES,
    MOST_ACKNOWLEDGED,
    MOST_ROOM_BYTES,
    URGENT_PRIORITY,
    Gathering,
)
from module.spool.messages import Acknowledge, Append, Group
from tests.spool.rig import Opener, SlowDisk, claim

ROW = Origin("s", Kind.ROW, name="s")
FRAME = Origin("c", Kind.BINARY, name="c")
LONG_S = 10.0


class Writes:
    """A gathering whose clock stands still unless it is moved: what it would do is read off its timer."""

    def __init__(self, group_s: float = LONG_S, max_bytes: int = 10**9) -> None:
        self.groups: list[Group] = []
        self.gathering = Gathering(self.groups.append, lambda: None, group_s, max_bytes)

    def append(self, *captures: Capture, at_once: bool = False) -> None:
        done = asyncio.get_running_loop().create_future()
        self.gathering.append(Append(captures, done), at_once=at_once)

    def acknowledge(self, ids: Sequence[int], *, room: int = 0, soon: bool = True) -> None:
        done = asyncio.get_running_loop().create_future()
        self.gathering.acknowledge(Acknowledge(1, list(ids), room, [], done), soon=soon)

    @property
    def due_s(self) -> float:
        """In how many seconds what has gathered leaves."""
        timer = self.gathering._timer
        assert timer is not None
        return timer.when() - asyncio.get_running_loop().time()


def row(origin: Origin = ROW, size: int = 10) -> Capture:
    return Capture(origin, 1, 2, bytes(size))


async def test_a_single_row_is_soon_safe_and_the_next_waits_for_the_group() -> None:
    writes = Writes()
    writes.append(row())
    assert writes.due_s <= gathering.SHORT_S
    writes.gathering.hand_over()
    writes.append(row())
    assert LONG_S - 1 < writes.due_s <= LONG_S


@pytest.mark.parametrize(
    "capture",
    [row(size=LARGE_BYTES), row(replace(ROW, priority=URGENT_PRIORITY)), row(replace(FRAME, priority=9))],
    ids=["large", "priority 8", "priority 9"],
)
async def test_what_is_large_or_urgent_leaves_at_once_and_takes_all_along(capture: Capture) -> None:
    writes = Writes()
    writes.append(row())
    writes.gathering.hand_over()
    writes.append(row())
    writes.append(capture)
    assert writes.due_s <= 0
    await asyncio.sleep(0.01)
    assert [len(group.appends) for group in writes.groups] == [1, 2]


async def test_frames_wait_for_those_of_the_same_tick_only() -> None:
    writes = Writes()
    writes.append(row())
    writes.gathering.hand_over()
    writes.append(row(FRAME))
    assert writes.due_s <= gathering.SHORT_S


async def test_no_capture_waits_longer_than_the_group() -> None:
    writes = Writes(group_s=0.001)
    writes.append(row())
    writes.append(row(FRAME))
    assert writes.due_s <= 0.001


async def test_many_captures_are_a_group_by_themselves() -> None:
    writes = Writes()
    for _ in range(GROUP_CAPTURES):
        writes.append(row())
    assert [len(group.appends) for group in writes.groups] == [GROUP_CAPTURES]


async def test_acknowledgements_go_along_with_captures_once_they_have_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "RIDE_S", 100.0)
    monkeypatch.setattr(gathering, "ALONE_S", 300.0)
    writes = Writes()
    writes.acknowledge([1])
    writes.append(row(), at_once=True)
    await asyncio.sleep(0.01)
    assert [(len(group.appends), len(group.acknowledged)) for group in writes.groups] == [(1, 0)]
    assert gathering.RIDE_S < writes.due_s <= gathering.ALONE_S
    monkeypatch.setattr(writes.gathering, "_ride_at", 0.0)
    writes.append(row(), at_once=True)
    await asyncio.sleep(0.01)
    assert [(len(group.appends), len(group.acknowledged)) for group in writes.groups] == [(1, 0), (1, 1)]


async def test_acknowledgements_that_are_many_or_waited_for_leave_at_once() -> None:
    writes = Writes()
    writes.acknowledge(range(MOST_ACKNOWLEDGED))
    assert writes.due_s <= 0
    writes.gathering.hand_over()
    writes.acknowledge([1])
    assert writes.due_s > 1
    writes.acknowledge([2], soon=False)
    assert writes.due_s <= 0


@pytest.mark.parametrize(("max_bytes", "room"), [(10**12, MOST_ROOM_BYTES), (64_000, 1000)])
async def test_what_was_delivered_does_not_hold_much_room(max_bytes: int, room: int) -> None:
    """Captures that wait would have to give way to those that need not be there any more."""
    writes = Writes(max_bytes=max_bytes)
    writes.acknowledge([1], room=room - 1)
    assert writes.due_s > 1
    writes.acknowledge([2], room=1)
    assert writes.due_s <= 0
    await asyncio.sleep(0.01)
    writes.acknowledge([3], room=room - 1)
    assert writes.due_s > 1


async def test_what_was_delivered_counts_no_longer_though_it_is_in_the_file_still(
    opened: Opener, disk: SlowDisk
) -> None:
    store = await opened()
    await store.append([row(), row()])
    before = disk.commits
    acknowledged = store.acknowledge(await claim(store), soon=True)
    assert (store.items, store.bytes) == (0, 0)
    assert await claim(store) == []
    assert (disk.commits, acknowledged.done()) == (before, False)
    # Who asks what waits, as a flush does, comes behind what was delivered.
    assert await store.barrier.waiting(2) == (0, 0)
    assert acknowledged.done()


async def test_a_close_writes_what_was_delivered(opened: Opener) -> None:
    store = await opened()
    await store.append([row()])
    store.acknowledge(await claim(store), soon=True)
    await store.close()
    assert (await opened()).items == 0


async def test_who_waits_for_a_capture_does_not_wait_for_company(opened: Opener) -> None:
    store = await opened(group_s=LONG_S)
    begun = time.monotonic()
    for _ in range(3):
        await store.append([row()])
    assert time.monotonic() - begun < LONG_S


async def test_what_waits_for_company_is_no_lag_of_the_disk(opened: Opener) -> None:
    store = await opened(group_s=LONG_S)
    await store.append([row()])
    waiting = store.append_soon([row()])
    await asyncio.sleep(0.05)
    assert (store.pending.captures, store.pending.lag_s) == (1, 0)
    await store.barrier.last()
    assert waiting.done()
