"""How many uploads run at once: a fixed number, or as many as increase the throughput; pure, the clock is an argument.

With a round trip of 50 ms, eight uploads at once are at most 160 a second, however fast both ends are. So the number
grows while that brings more bytes through. If it does not, the number goes back and stays for a while, because on a
slow link more uploads would only wait for each other. It grows fourfold, because it takes a round trip to judge a step.
"""

from __future__ import annotations

_STEP = 4
_GAIN = 1.2
"""A step is kept if it brings at least this many times the bytes."""
_WINDOW_S = 0.05
"""The least time, in seconds, before a step is judged; also, as many uploads as run at once must have ended."""
_REST_S = 20.0
"""Seconds until the next step after one that brought nothing."""


class Concurrency:
    """Holds the number of uploads at once. Read ``number`` before each upload; call ``ended`` after it."""

    def __init__(self, start: int, most: int) -> None:
        """``most`` equal to ``start``: it never changes."""
        self._start = start
        self._most = most
        self.number = start
        """How many uploads may run at once."""
        self._before = 0.0
        """Bytes per second with the last, smaller number; 0 if this number is not being tried."""
        self._left = start
        """The last, smaller number."""
        self._rest_until = 0.0
        self._begin(0.0)

    def _begin(self, now: float) -> None:
        self._since = now
        self._uploads = self._bytes = 0

    def reset(self) -> None:
        """Start again, because the way to the cloud has changed."""
        self.number, self._before, self._rest_until = self._start, 0.0, 0.0
        self._uploads = 0

    def ended(self, now: float, size: int, *, others_wait: bool) -> None:
        """Note an upload of ``size`` bytes that succeeded. It is only judged while other uploads wait."""
        if self._most == self._start:
            return
        if not others_wait or not self._uploads:
            self._begin(now)
            self._uploads = 1
            return
        self._uploads += 1
        self._bytes += size
        if self._uploads <= self.number or now - self._since < _WINDOW_S:
            return
        self._decide(now, self._bytes / (now - self._since))

    def _decide(self, now: float, rate: float) -> None:
        if self._before and rate < self._before * _GAIN:
            self.number = self._left
            self._before, self._rest_until = 0.0, now + _REST_S
        elif now >= self._rest_until and self.number < self._most:
            self._before, self._left = rate, self.number
            self.number = min(self._most, self.number * _STEP)
        else:
            self._before = 0.0
        self._uploads = 0
