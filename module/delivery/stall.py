"""Whether an upload has stalled: no byte of it moves, on either side of the kernel."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import sys
import termios
from typing import Any

from grpclib.client import Stream

from module.delivery.throttle import Throttle

_LOOKS_PER_TIMEOUT = 4


class StallWatch:
    """Puts a limit off while bytes go out.

    The cloud's flow control lets them go only as fast as it takes them, but for the last ones: as many as the window is
    wide are handed over at once, and a slow road may need minutes for them. So those that the kernel still holds count.
    What waits for the throttle makes no progress, and is not stalled either.
    """

    def __init__(
        self, limit: asyncio.Timeout, stream: Stream[Any, Any], timeout_s: float, throttle: Throttle | None
    ) -> None:
        """Made in the task of the upload; ``throttle`` is what its connection waits for, if there is one."""
        self._limit = limit
        self._throttle = throttle
        self._task = asyncio.current_task()
        self._stream = stream
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._sent = 0
        # Of the connection's bytes: the last one of this upload, and how many of those before it are out.
        self._last = 0
        self._out = 0
        self._look_again()

    def _look_again(self) -> None:
        self._handle = self._loop.call_later(self._timeout_s / _LOOKS_PER_TIMEOUT, self._look)

    def _look(self) -> None:
        if not self._limit.expired() and self._goes_on():
            self._limit.reschedule(self._loop.time() + self._timeout_s)
        self._look_again()

    def _goes_on(self) -> bool:
        stream = _http2_stream(self._stream)
        moved = stream is not None and self._moved(stream)
        return moved or (self._throttle is not None and self._throttle.delays(self._task))

    def _moved(self, stream: Any) -> bool:
        handed_over: int = stream.connection.data_sent
        out = self._out
        if stream.data_sent > self._sent:
            out = -1
            self._sent, self._last = stream.data_sent, handed_over
        self._out = max(self._out, min(self._last, handed_over - _unsent_bytes(stream._transport)))  # noqa: SLF001
        return self._out > out

    def stop(self) -> None:
        """Leave the limit as it is, from now on."""
        self._handle.cancel()


def _http2_stream(stream: Stream[Any, Any]) -> Any:
    # grpclib has the stream of HTTP/2 here once there is one, and counts its bytes; there is no public name for it.
    return getattr(stream, "_stream", None)


def bytes_sent(stream: Stream[Any, Any]) -> int:
    """Payload, and the messages around it, that an upload has handed to the network."""
    sent: int = getattr(_http2_stream(stream), "data_sent", 0)
    return sent


def _unsent_bytes(transport: Any) -> int:
    """Bytes that have been written and that the other end has not acknowledged; a few too many, for their framing."""
    unsent = int(transport.get_write_buffer_size())
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, ValueError):
        # Linux, tcp(7): SIOCOUTQ, which bears this name too.
        unsent += int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    return unsent
