"""Whether an upload has stalled: no byte of it moves, on either side of the kernel."""

from __future__ import annotations

import asyncio

from module.network.call import Call
from module.network.transfer import MOST_PIECE_BYTES

_LOOKS_PER_TIMEOUT = 4
_KEPT = 0.98
"""The share of the patience that stays after an answer in time: other uploads may still need all of it."""
WITHIN_BYTES = MOST_PIECE_BYTES + (64 + 16) * 1024
"""The most bytes of a call that libcurl holds before the kernel has them: a piece, 64 KiB of the stream, a frame."""


class Patience:
    """How long an answer may take once all bytes are out.

    It is twice as long after each answer that came too late, and a little shorter after each one that came in time.
    """

    def __init__(self, timeout_s: float) -> None:
        self.answer_s = timeout_s
        self._least_s = timeout_s
        self._most_s = timeout_s * 32

    def was_too_short(self, tried_s: float) -> None:
        """Note that an answer took longer than ``tried_s``; uploads that waited at the same time count once."""
        if tried_s >= self.answer_s:
            self.answer_s = min(self._most_s, tried_s * 2)

    def was_enough(self, waited_s: float) -> None:
        """Note that an answer came after ``waited_s``; the patience stays at least twice that and the timeout."""
        needed_s = max(self._least_s, waited_s * 2)
        self.answer_s = min(self.answer_s, max(needed_s, self.answer_s * _KEPT))


class StallWatch:
    """Lets a time limit end once no byte of an upload has moved for ``timeout_s``, and at most a quarter of it more.

    The cloud's flow control lets bytes go only as fast as it takes them. The last ones are different: a whole window is
    passed to the kernel at once, and a slow link may need minutes for it. So it also counts as progress if the other
    end acknowledges bytes. An upload that waits for the bandwidth cap makes no progress, but is not stalled. Once all
    bytes are sent, ``Patience`` decides how long the cloud may take to answer.
    """

    def __init__(self, limit: asyncio.Timeout, call: Call, timeout_s: float, patience: Patience) -> None:
        self._limit = limit
        self._call = call
        self._timeout_s = timeout_s
        self._patience = patience
        self._waits_s = 0.0
        self._waits_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + timeout_s
        self._sent = 0
        # Of the connection's bytes: the last one that may be of this upload, and how many of those before it are out.
        self._last = 0
        self._out = 0
        self._look_again()

    def _look_again(self) -> None:
        self._handle = self._loop.call_later(self._timeout_s / _LOOKS_PER_TIMEOUT, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if self._moved() or self._call.throttled:
            self._waits_s, self._until = 0.0, now + self._timeout_s
        elif self._call.all_taken and not self._waits_s:
            self._waits_s, self._waits_since = self._patience.answer_s, now
            self._until = now + self._waits_s
        elif now >= self._until:
            # Only a look ends the upload: a timer beside it could do so just before a look sees bytes move again.
            self._limit.reschedule(now)
            return
        self._look_again()

    def _moved(self) -> bool:
        sent, passed = self._call.sent_bytes, self._call.passed
        if sent != self._sent:
            self._sent = sent
            if passed is not None:
                self._last, self._out = passed.written + WITHIN_BYTES, passed.acknowledged
            return True
        if passed is None:
            return False
        before, self._out = self._out, max(self._out, min(self._last, passed.acknowledged))
        return self._out > before

    def answered(self) -> None:
        """Note that the cloud has answered."""
        self._patience.was_enough(self._loop.time() - self._waits_since if self._waits_s else 0.0)

    def stop(self) -> None:
        """Stop watching; the limit does not end any more."""
        self._handle.cancel()
        if self._waits_s and self._limit.expired():
            self._patience.was_too_short(self._waits_s)
