"""Wakes the ticks of all sources: those due in the same millisecond are woken in the same turn of the event loop.

Sources whose periods are equal or multiples are due at the same moments. Then their polls leave together, in one write
on their common connection. Hundreds of them are woken in portions, one in each turn: in between, quicker sources tick,
and the first answers are read.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Iterator
from typing import Any

_PER_S = 1000
_NOISE = 1e-3
"""Of a millisecond: equal moments that were computed from different periods differ by rounding."""
MOST_AT_ONCE = 25
"""Each poll takes a tenth of a millisecond or two to begin."""


class Beat:
    """All waiting futures, by the millisecond in which they are due. Made and used on one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due: dict[int, tuple[asyncio.TimerHandle, dict[asyncio.Future[Any], float]]] = {}

    def wake_at(self, deadline: float, sleeper: asyncio.Future[bool], period_s: float = math.inf) -> int:
        """Set a future to True at a time of the loop's clock, or up to a millisecond later.

        Returns a number for ``forget``. Equal moments have the same number. Of these the shortest period is woken
        first, as its next tick comes soonest; equal periods are woken in the order of the calls.
        """
        slot = math.ceil(deadline * _PER_S - _NOISE)
        if slot not in self._due:
            self._due[slot] = self._loop.call_at(slot / _PER_S, self._wake, slot), {}
        self._due[slot][1][sleeper] = period_s
        return slot

    def forget(self, slot: int, sleeper: asyncio.Future[bool]) -> None:
        """Forget a future that was woken in another way; does nothing if it has been woken here."""
        timer, sleepers = self._due.get(slot, (None, {}))
        sleepers.pop(sleeper, None)
        if timer is not None and not sleepers:
            timer.cancel()
            del self._due[slot]

    def _wake(self, slot: int) -> None:
        periods = self._due.pop(slot)[1]
        self._wake_some(iter(sorted(periods, key=periods.__getitem__)))

    def _wake_some(self, sleepers: Iterator[asyncio.Future[bool]]) -> None:
        portion = list(itertools.islice(sleepers, MOST_AT_ONCE))
        for sleeper in portion:
            if not sleeper.done():
                sleeper.set_result(True)
        if len(portion) == MOST_AT_ONCE:
            self._loop.call_soon(self._wake_some, sleepers)
