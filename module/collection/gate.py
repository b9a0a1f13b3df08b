"""Keeps captures only while a gate is open. Those of the seconds before wait in memory, already encoded.

Pure: all times are arguments, in seconds of the monotonic clock. The time of a capture is that of its poll. Openings
that overlap count as one, and no capture is returned twice.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence

from module.capture import Capture
from module.collection.kept import KeptOfSource


class Gate:
    """Closed at first. Pass the captures of each poll to ``offer``; keep those that it returns."""

    def __init__(self, *, before_s: float, after_s: float, max_buffer_bytes: int, kept: KeptOfSource) -> None:
        """``kept`` counts the captures that are not kept, and knows until when a command has opened the gate."""
        self._before_s = before_s
        self._after_s = after_s
        self._max_bytes = max_buffer_bytes
        self._buffer: collections.deque[tuple[float, list[Capture]]] = collections.deque()
        self._bytes = 0
        self.has_lost_newest = False
        """Whether the newest capture of all was dropped."""
        self._holds = False
        self._until = kept.open_until
        self.kept = kept

    @property
    def waits(self) -> bool:
        """Whether captures of a closed gate wait in memory."""
        return self._before_s > 0

    def is_open(self, at: float) -> bool:
        """Whether a capture of that time is kept."""
        return self._holds or at <= self._until

    def offer(self, captures: Sequence[Capture], at: float) -> list[Capture]:
        """Return those captures of one poll that are kept now: all of them or none."""
        if captures:
            self.has_lost_newest = False
        if self.is_open(at):
            return [*self._release(at), *captures]
        size = sum(len(capture.payload) for capture in captures)
        if not self._before_s or size > self._max_bytes:
            self.kept.filtered += len(captures)
            self.has_lost_newest |= bool(captures)
            return []
        if captures:
            self._buffer.append((at, list(captures)))
            self._bytes += size
        while self._buffer and (self._bytes > self._max_bytes or self._buffer[0][0] < at - self._before_s):
            self._drop_oldest()
        return []

    def lose_newest(self) -> None:
        """Note that the newest capture of all was dropped before it was offered."""
        self.has_lost_newest = True

    def set(self, holds: bool, at: float) -> list[Capture]:
        """Note whether the gate's condition holds; returns the captures that waited, if that opens the gate."""
        if self._holds and not holds:
            self._until = max(self._until, at + self._after_s)
        self._holds = holds
        return self._release(at) if holds else []

    def open_for(self, seconds: float, at: float) -> list[Capture]:
        """Open by command, for ``seconds`` and then ``after_s``; returns the captures that waited."""
        self._until = max(self._until, at + seconds + self._after_s)
        return self._release(at)

    def _release(self, at: float) -> list[Capture]:
        while self._buffer and self._buffer[0][0] < at - self._before_s:
            self._drop_oldest()
        waited = [capture for _, captures in self._buffer for capture in captures]
        self._buffer.clear()
        self._bytes = 0
        return waited

    def _drop_oldest(self) -> None:
        _, captures = self._buffer.popleft()
        self.has_lost_newest |= not self._buffer
        self._bytes -= sum(len(capture.payload) for capture in captures)
        self.kept.filtered += len(captures)
