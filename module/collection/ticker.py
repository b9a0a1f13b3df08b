"""Waits for the ticks of a schedule, and counts those that are missed.

``schedule`` computes the times and never sleeps. This file sleeps and computes no times.
"""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime, timedelta

from module.collection.beat import Beat
from module.collection.kept import KeptOfSource
from module.collection.lateness import Lateness
from module.collection.schedule import ActiveHours, Cron, Periodic

Schedule = Periodic | Cron | None
"""None: there are no ticks, only commands."""

_CLOCK_LOOK_S = 1.0
"""How often a wait for the wall clock looks at it: no timer notices that it stepped."""
_REST_LOOK_S = 30.0


class Ticker:
    """The ticks of one source. Call ``wait`` for one tick after the other; other calls may come in between."""

    def __init__(
        self, schedule: Schedule, active: ActiveHours | None, *, patience_s: float, kept: KeptOfSource, beat: Beat
    ) -> None:
        """``patience_s``: how long a poll may take. If the wall clock skips more, those ticks are not made up.

        Missed ticks are counted in ``kept``. ``beat`` wakes all tickers that share it.
        """
        self.kept = kept
        self._own = schedule
        self._schedule = schedule
        self._active = active
        self._patience = timedelta(seconds=patience_s + _CLOCK_LOOK_S)
        self._until = math.inf
        self._description: str | None = None
        self._loop = asyncio.get_running_loop()
        self._beat = beat
        self._sleeper: asyncio.Future[bool] | None = None
        self._tick: float | datetime | None = None
        self.paused = False
        self.lateness = Lateness()

    async def wait(self) -> None:
        """Return at the next tick. Ticks that passed since the last return are skipped and counted as missed."""
        while True:
            self._revert()
            if self.paused or self._schedule is None:
                self._tick = None
                await self._sleep(self._until)
                continue
            rest = self._rest()
            if rest > 0:
                self._tick = None
                await self._sleep(self._loop.time() + rest)
                continue
            schedule = self._schedule
            late = await (self._periodic(schedule) if isinstance(schedule, Periodic) else self._cron(schedule))
            if late is not None and not self.paused:
                self.lateness.note(late)
                return

    def _revert(self) -> None:
        if self._loop.time() >= self._until:
            self.set_schedule(self._own, None)

    def _rest(self) -> float:
        if self._active is None:
            return 0.0
        now = _now()
        if self._active.open_at(now):
            return 0.0
        change = self._active.next_change(now)
        # Look now and then, because the wall clock may step.
        return _REST_LOOK_S if change is None else min(max(0.001, (change - now).total_seconds()), _REST_LOOK_S)

    async def _periodic(self, schedule: Periodic) -> float | None:
        """Wait for one deadline; returns how late it was met in seconds, or None if something woke it before."""
        now = self._loop.time()
        if isinstance(self._tick, float):
            deadline, skipped = schedule.after(self._tick, now)
            self.kept.missed += skipped
        else:
            deadline = schedule.next_after(now)
        if not await self._sleep(min(deadline, self._until), schedule.period_s):
            return None
        if self._until < deadline or self._rest() > 0:
            return None
        self._tick = deadline
        return max(0.0, self._loop.time() - deadline)

    async def _cron(self, schedule: Cron) -> float | None:
        due = self._next_due(schedule)
        due_at = self._loop.time()
        while True:
            seen = _now()
            left = (due - seen).total_seconds()
            if left <= 0:
                # Counted from when it fires, not from when it was due: ticks that the clock skipped are not made up.
                self._tick = max(due, seen)
                # By the loop's clock, as far as it was known when the wall clock was last looked at.
                return None if self._rest() > 0 else max(0.0, self._loop.time() - due_at)
            due_at = self._loop.time() + left
            if not await self._sleep(min(self._loop.time() + min(left, _CLOCK_LOOK_S), self._until)):
                return None
            if _now() < seen - timedelta(seconds=_CLOCK_LOOK_S):
                due = schedule.next_after(_now())
            elif self._loop.time() >= self._until or self._rest() > 0:
                return None

    def _next_due(self, schedule: Cron) -> datetime:
        now = _now()
        if not isinstance(self._tick, datetime):
            return schedule.next_after(now)
        due = schedule.next_after(self._tick)
        if self._tick > now + self._patience or due < now - self._patience:
            # The clock stepped while the poll ran.
            return schedule.next_after(now)
        while due <= now:
            self.kept.missed += 1
            due = schedule.next_after(due)
        return due

    async def _sleep(self, deadline: float, period_s: float = math.inf) -> bool:
        """Sleep until a time of the loop's clock; False if woken before."""
        if deadline <= self._loop.time():
            # Let other tasks run: a source whose polls take as long as its period must not starve the others.
            await asyncio.sleep(0)
            return True
        self._sleeper = self._loop.create_future()
        slot = None if deadline == math.inf else self._beat.wake_at(deadline, self._sleeper, period_s)
        try:
            return await self._sleeper
        finally:
            if slot is not None:
                self._beat.forget(slot, self._sleeper)

    def _wake(self) -> None:
        self._tick = None
        if self._sleeper is not None:
            _wake(self._sleeper)

    def forget(self) -> None:
        """Count no ticks as missed up to now."""
        self._tick = None

    def pause(self) -> None:
        """Stop ticks until ``resume``; they are not counted as missed."""
        self.paused = True
        self._wake()

    def resume(self) -> None:
        """Continue with the schedule."""
        self.paused = False
        self._wake()

    def set_schedule(self, schedule: Schedule, description: str | None, *, for_s: float = math.inf) -> None:
        """Follow another schedule for ``for_s`` seconds, and then the configured one again."""
        self._schedule = schedule
        self._description = description
        self._until = self._loop.time() + for_s
        self._wake()

    @property
    def description(self) -> str | None:
        """The schedule that ``set_schedule`` has set, in words; None: none is set, or its time is over."""
        # Nobody waits for the ticks of a source whose resource is missing.
        return self._description if self._loop.time() < self._until else None

    @property
    def resting(self) -> bool:
        """Whether it is outside the active hours now."""
        return self._active is not None and not self._active.open_at(_now())

    @property
    def has_ticks(self) -> bool:
        """Whether there is a schedule at all."""
        return self._schedule is not None


def _wake(sleeper: asyncio.Future[bool]) -> None:
    if not sleeper.done():
        sleeper.set_result(False)


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)
