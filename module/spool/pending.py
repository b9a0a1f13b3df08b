"""Counts the captures that were appended and are not on the disk yet, and for how long they have waited."""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Sequence

from module.capture import Capture

MOST_CAPTURES = 10_000
MOST_BYTES = 16 * 1024 * 1024
"""Of payload."""
MOST_S = 2.0


class Pending:
    """Used on the event loop. Captures leave in the order in which they came, as the spool's thread works."""

    def __init__(self) -> None:
        self.captures = 0
        self.bytes = 0
        """Of payload."""
        self._since: collections.deque[float] = collections.deque()
        """Monotonic times, one for each append that has gone to the disk."""
        self._gathering = 0
        """Appends that wait for company first, which is no fault of the disk's."""
        self._less = asyncio.Event()

    def add(self, captures: Sequence[Capture]) -> None:
        """Note captures that come in one append."""
        self._gathering += 1
        self.captures += len(captures)
        self.bytes += _payload_bytes(captures)

    def hand_over(self) -> None:
        """Note that everything that has come goes to the disk now."""
        self._since.extend([time.monotonic()] * self._gathering)
        self._gathering = 0

    def remove(self, captures: Sequence[Capture]) -> None:
        """Note those of one append as safe, or as refused."""
        self._since.popleft()
        self.captures -= len(captures)
        self.bytes -= _payload_bytes(captures)
        self._less.set()

    async def few(self) -> None:
        """Return once it is not too much; mostly that is at once."""
        while self.is_too_much:
            self._less.clear()
            await self._less.wait()

    @property
    def lag_s(self) -> float:
        """How many seconds the oldest append that was passed to the disk has waited; 0 if none waits."""
        return time.monotonic() - self._since[0] if self._since else 0.0

    @property
    def is_too_much(self) -> bool:
        """Whether no more should be captured until some of it is on the disk."""
        return self.captures >= MOST_CAPTURES or self.bytes > MOST_BYTES or self.lag_s > MOST_S


def _payload_bytes(captures: Sequence[Capture]) -> int:
    return sum(len(capture.payload) for capture in captures)
