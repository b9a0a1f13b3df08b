"""The bandwidth cap: so many bytes a second leave for the cloud, over all uploads and connections.

What is counted is what HTTP/2 hands to the network: payloads, and the little that travels around them. It is counted
where it is written, frame by frame, so that one large message is as evenly spread as many small ones, and a cap holds
whatever the method. A cap that is not set costs nothing: nothing of this is made then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Literal, cast

from grpclib.protocol import Connection

CREDIT_S = 0.1
"""What was not sent may be made up for, but for no more than this many seconds of the rate."""
FRAME_S = 0.05
"""What one frame takes at most of the rate. With the credit that is 3 % of what five seconds may send."""
_NAP_S = 0.01
_LEAST_FRAME_BYTES = 256


class Bucket:
    """A token bucket, which may be overdrawn by what is sent at once; pure, the monotonic clock is handed in."""

    def __init__(self, bytes_per_s: float, now: float) -> None:
        self._rate = bytes_per_s
        self._tokens = 0.0
        self._filled = now

    def spend(self, size: int, now: float) -> None:
        """Note bytes that have been sent."""
        self._fill(now)
        self._tokens -= size

    def wait_s(self, now: float) -> float:
        """Seconds until more may be sent; 0: at once. Not less than a nap, so that a fast rate needs few of them."""
        self._fill(now)
        return 0.0 if self._tokens >= 0 else _NAP_S - self._tokens / self._rate

    def _fill(self, now: float) -> None:
        self._tokens = min(CREDIT_S * self._rate, self._tokens + (now - self._filled) * self._rate)
        self._filled = now


class Throttle:
    """One cap, and the queue of those who want to send: first come, first served, a frame a turn."""

    def __init__(self, bytes_per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives monotonic seconds."""
        self._clock = clock
        self._bucket = Bucket(bytes_per_s, clock())
        self._queue = asyncio.Lock()
        self._waiting: set[asyncio.Task[Any]] = set()
        self.frame_bytes = max(_LEAST_FRAME_BYTES, int(bytes_per_s * FRAME_S))
        """How much may be sent in one turn."""

    async def turn(self) -> None:
        """Return when the caller may send; what it then sends before it awaits anything, it must ``spend``."""
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._waiting.add(task)
        try:
            async with self._queue:
                seconds = self._bucket.wait_s(self._clock())
                while seconds > 0:
                    await asyncio.sleep(seconds)
                    seconds = self._bucket.wait_s(self._clock())
        finally:
            self._waiting.discard(task)

    def spend(self, size: int) -> None:
        """Note bytes that have been sent."""
        self._bucket.spend(size, self._clock())

    def delays(self, task: asyncio.Task[Any] | None) -> bool:
        """Whether it is this throttle that a task waits for."""
        return task in self._waiting

    def meter(self, transport: asyncio.BaseTransport) -> asyncio.Transport:
        """The transport, with all that is written to it spent."""
        return cast("asyncio.Transport", _Metered(transport, self))

    def rule(self, connection: Connection) -> None:
        """Make whoever sends on a connection take turns; its transport must be metered."""
        connection.write_ready = _Turns(self, connection)


class _Metered:
    """A transport that notes what is written to it."""

    def __init__(self, transport: asyncio.BaseTransport, throttle: Throttle) -> None:
        self._transport = transport
        self._throttle = throttle

    def write(self, data: bytes) -> None:
        self._throttle.spend(len(data))
        cast("asyncio.Transport", self._transport).write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Turns(asyncio.Event):
    """grpclib waits for this event before each frame, and writes the frame before it awaits anything else.

    (grpclib/protocol.py, ``Stream.send_request``, ``send_data``, ``end`` and ``reset``.)
    """

    def __init__(self, throttle: Throttle, connection: Connection) -> None:
        super().__init__()
        self._throttle = throttle
        self._connection = connection
        if connection.write_ready.is_set():
            self.set()

    async def wait(self) -> Literal[True]:
        while True:
            await super().wait()
            await self._throttle.turn()
            # Others may have filled the transport's buffer meanwhile.
            if self.is_set():
                break
        # The server says how large a frame may be, and may say so again at any time; it is by this that grpclib cuts.
        h2 = self._connection._connection  # noqa: SLF001
        h2.max_outbound_frame_size = min(h2.max_outbound_frame_size, self._throttle.frame_bytes)
        return True
