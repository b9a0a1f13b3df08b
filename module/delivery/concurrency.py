"""How many uploads run at once: what is set, or as many as make them faster in sum; pure, the clock is handed in.

On a road of 50 ms, eight uploads at once are 160 a second however fast both ends are. So the number grows while that
brings more bytes through, and goes back, and stays for a while, once it does not: on a narrow road more uploads would
only wait for each other. It grows fourfold, as each step takes a round trip to be judged.
"""

from __future__ import annotations

_STEP = 4
_GAIN = 1.2
"""A step is kept if it brings so many times the bytes."""
_WINDOW_S = 0.05
"""A look takes this long at least, and as many uploads as run at once."""
_REST_S = 20.0
"""Until the next try after one that brought nothing."""


class Concurrency:
    """A number that is asked for before each upload, and told of each that ended."""

    def __init__(self, start: int, most: int) -> None:
        """``most`` equal to ``start``: it never changes."""
        self._start = start
        self._most = most
        self.number = start
        """How many uploads may run at once."""
        self._before = 0.0
        """Bytes per second of the smaller number that was left for this one; 0: this one was not just tried."""
        self._left = start
        """That number."""
        self._rest_until = 0.0
        self._begin(0.0)

    def _begin(self, now: float) -> None:
        self._since = now
        self._uploads = self._bytes = 0

    def reset(self) -> None:
        """Start again: the road has changed."""
        self.number, self._before, self._rest_until = self._start, 0.0, 0.0
        self._uploads = 0

    def ended(self, now: float, size: int, *, others_wait: bool) -> None:
        """Note an upload of so many bytes that went through; only while others wait does it tell anything."""
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
