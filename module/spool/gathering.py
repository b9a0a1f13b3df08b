"""Decides when writes go to the spool's thread, and which go together: each commit costs the disk whole pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from module.capture import GATHERED, Capture
from module.spool.messages import Acknowledge, Append, Group

SHORT_S = 0.02
"""How long a capture waits for others that come at the same time, if ``spool.group_s`` is not shorter."""
RIDE_S = 1.0
"""After so many seconds an acknowledgement leaves with the next captures; then many share the changed pages."""
ALONE_S = 3.0
"""After so many seconds it leaves without captures. If a crash undoes it, the captures are only sent once more."""
GROUP_CAPTURES = 256
"""So many captures leave at once."""
MOST_ACKNOWLEDGED = 2000
"""So many delivered captures leave at once."""
MOST_ROOM_BYTES = 16 * 1024 * 1024
_ROOM_SHARE = 64
"""Delivered captures take no more room than this, and no more than this fraction (1/n) of the spool's limit."""
LARGE_BYTES = 64 * 1024
"""A payload of this size fills whole pages, so nothing is saved if it waits for others."""
URGENT_PRIORITY = 8
"""Captures of this priority and above do not wait for others."""


class Gathering:
    """Writes that go to the spool's thread together; on the event loop.

    A row waits until ``group_s`` after the last group, and at least ``SHORT_S``. So there are few commits under load,
    and a single row is soon safe. A frame waits only ``SHORT_S``. Captures that are large, urgent, or for which a
    caller waits leave at the end of this turn of the loop. All captures that have gathered leave together.
    """

    def __init__(
        self, put: Callable[[Group], object], on_hand_over: Callable[[], object], group_s: float, max_bytes: int
    ) -> None:
        """``on_hand_over``: called whenever captures leave; ``max_bytes``: of the spool."""
        self._put = put
        self._on_hand_over = on_hand_over
        self._group_s = group_s
        self._short_s = min(SHORT_S, group_s)
        self._most_room = min(MOST_ROOM_BYTES, max_bytes // _ROOM_SHARE)
        self._appends: list[Append] = []
        self._acknowledged: list[Acknowledge] = []
        self._captures = 0
        self._delivered = 0
        self._room = 0
        """The footprint of the delivered captures that gather."""
        self._next_at = 0.0
        """Rows do not leave before this time, by the event loop's clock, as all times below."""
        self._ride_at = 0.0
        """From this time on the acknowledgements leave with the next captures."""
        self._timer: asyncio.TimerHandle | None = None

    def append(self, job: Append, *, at_once: bool) -> None:
        """Add captures."""
        now = asyncio.get_running_loop().time()
        self._appends.append(job)
        self._captures += len(job.captures)
        if self._captures >= GROUP_CAPTURES:
            self._leave()
        else:
            self._leave_by(now if at_once else self._due(job.captures, now))

    def acknowledge(self, job: Acknowledge, *, soon: bool) -> None:
        """Add delivered captures; ``soon``: nobody waits for that to be safe."""
        now = asyncio.get_running_loop().time()
        if not self._acknowledged:
            self._ride_at = now + RIDE_S
        self._acknowledged.append(job)
        self._delivered += len(job.ids)
        self._room += job.room
        if not soon or self._delivered >= MOST_ACKNOWLEDGED or self._room >= self._most_room:
            self._ride_at = now
            self._leave_by(now)
        else:
            self._leave_by(self._ride_at - RIDE_S + ALONE_S)

    def _due(self, captures: Iterable[Capture], now: float) -> float:
        if any(each.origin.priority >= URGENT_PRIORITY or len(each.payload) >= LARGE_BYTES for each in captures):
            return now
        if any(each.origin.kind not in GATHERED for each in captures):
            return now + self._short_s
        return max(now + self._short_s, self._next_at)

    def _leave_by(self, due: float) -> None:
        if self._timer is None or due < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(due, self._leave)

    def _leave(self) -> None:
        self._hand_over(acknowledged=asyncio.get_running_loop().time() >= self._ride_at)

    def hand_over(self) -> None:
        """Pass everything that has gathered to the thread."""
        self._hand_over(acknowledged=True)

    def _hand_over(self, *, acknowledged: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        appends, self._appends, self._captures = self._appends, [], 0
        if appends:
            self._next_at = asyncio.get_running_loop().time() + self._group_s
            self._on_hand_over()
        leaving: list[Acknowledge] = []
        if acknowledged:
            leaving, self._acknowledged, self._delivered, self._room = self._acknowledged, [], 0, 0
        elif self._acknowledged:
            self._leave_by(self._ride_at - RIDE_S + ALONE_S)
        if group := Group(appends, leaving):
            self._put(group)
