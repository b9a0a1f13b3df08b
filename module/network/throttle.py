"""The bandwidth cap: a limit of bytes a second for all calls and connections to the cloud together.

All bytes that the kernel's sockets get are counted: payloads, and everything around them. Calls take turns. A turn ends
when one frame has been sent, when the call has nothing to send just now, or after a moment, if the other side lets the
call send no more. If the sockets have sent more, such as a TLS handshake, that is subtracted before the next turn. So
one large message is spread as evenly as many small ones.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection

from module.network.sockets import Counter

CREDIT_S = 0.1
"""Unused bandwidth may be used later, but only that of so many seconds."""
FRAME_S = 0.05
"""What one turn may send, in seconds of the rate. With the credit: 3 % of the bytes that five seconds may send."""
_NAP_S = 0.01
_TURN_S = 0.02
"""The longest turn, so that a call that the other side holds up does not hold up the others."""
_LEAST_FRAME_BYTES = 256


class Bucket:
    """A token bucket, which one piece may overdraw; pure, the monotonic clock is an argument."""

    def __init__(self, bytes_per_s: float, now: float) -> None:
        self._rate = bytes_per_s
        self._tokens = 0.0
        self._filled = now

    def spend(self, size: int, now: float) -> None:
        """Note bytes that have been sent."""
        self._fill(now)
        self._tokens -= size

    def wait_s(self, now: float) -> float:
        """Seconds until more may be sent; 0: now. Otherwise at least a short nap, so that there are few naps."""
        self._fill(now)
        return 0.0 if self._tokens >= 0 else _NAP_S - self._tokens / self._rate

    def _fill(self, now: float) -> None:
        self._tokens = min(CREDIT_S * self._rate, self._tokens + (now - self._filled) * self._rate)
        self._filled = now


class Throttle:
    """One cap, and the queue of the calls that want to send: first come, first served, one frame a turn."""

    def __init__(self, bytes_per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` returns monotonic seconds."""
        self._clock = clock
        self._bucket = Bucket(bytes_per_s, clock())
        self._waiting: deque[Callable[[], None]] = deque()
        self._turn: Callable[[], None] | None = None
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None
        self._turn_ends: asyncio.TimerHandle | None = None
        self._given = 0
        self._beside = 0
        self.frame_bytes = max(_LEAST_FRAME_BYTES, int(bytes_per_s * FRAME_S))
        """How much may be sent in one turn."""
        self.sockets: set[Callable[[], Collection[int]]] = set()
        """Functions that return the descriptors of sockets under this cap.

        If the system does not say how much these have sent, only the bytes of calls are counted.
        """
        self._counter = Counter()

    def take(self, most: int, go_on: Callable[[], None]) -> int:
        """Count and return the bytes that the caller sends now; 0: ``go_on`` is called when it may ask again."""
        if self._turn is not go_on:
            if go_on not in self._waiting:
                self._waiting.append(go_on)
            self._serve()
            return 0
        size = min(most, self._left)
        self._left -= size
        self._given += size
        self._bucket.spend(size, self._clock())
        if not self._left:
            self._pass_on()
        return size

    def leave(self, go_on: Callable[[], None]) -> None:
        """Leave the turn or the queue: there is nothing to send just now, or any more."""
        if self._turn is go_on:
            self._pass_on()
        elif go_on in self._waiting:
            self._waiting.remove(go_on)

    def _pass_on(self) -> None:
        self._turn = None
        if self._turn_ends is not None:
            self._turn_ends.cancel()
            self._turn_ends = None
        self._serve()

    def _serve(self) -> None:
        """Set the time of the next turn, if somebody waits and none is under way."""
        if self._turn is None and self._waiting and self._timer is None:
            self._pay()
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._bucket.wait_s(self._clock()), self._next)

    def _next(self) -> None:
        self._timer = None
        self._pay()
        if self._bucket.wait_s(self._clock()) > 0:
            self._serve()
        elif self._waiting:
            self._turn, self._left = self._waiting.popleft(), self.frame_bytes
            self._turn_ends = asyncio.get_running_loop().call_later(_TURN_S, self._pass_on)
            self._turn()

    def _pay(self) -> None:
        """Count the bytes that were sent beside the pieces; pieces that libcurl still holds make them look fewer."""
        for sockets in self.sockets:
            self._counter.look(sockets())
        beside = self._counter.written - self._given
        if beside > self._beside:
            self._bucket.spend(beside - self._beside, self._clock())
            self._beside = beside
