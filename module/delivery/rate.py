"""Bytes a second over the last ten seconds; pure, the clock is an argument."""

from __future__ import annotations

import collections

_WINDOW_S = 10


class Rate:
    """Keeps one sum for each second of the window, so its memory is bounded even if nobody reads it."""

    def __init__(self) -> None:
        self._seconds: collections.deque[tuple[int, int]] = collections.deque(maxlen=_WINDOW_S)
        """(Second, bytes), oldest first; only seconds in which something was noted."""

    def note(self, now: float, size: int) -> None:
        """Add bytes at ``now``, in monotonic seconds."""
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            size += self._seconds.pop()[1]
        self._seconds.append((second, size))

    def per_s(self, now: float) -> float:
        """The mean of the window that ends at ``now``."""
        since = int(now) - _WINDOW_S
        return sum(size for second, size in self._seconds if second > since) / _WINDOW_S
