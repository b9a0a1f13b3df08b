"""Frames that HTTP/2 writes one by one leave together: one call of the kernel, and one packet where they fit.

grpclib writes each frame by itself (grpclib/protocol.py): a small upload is two writes, one of 100 kB eight. As Nagle's
algorithm is off, each is a packet of its own too. Here they wait until the event loop has run what is ready, or until
there are enough of them.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

_ENOUGH_BYTES = 64 * 1024


class Cork:
    """A transport that gathers what is written to it. Made on the event loop."""

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._size = 0
        self._due = False

    def write(self, data: bytes) -> None:
        """Take bytes; they are handed over in this order, before the loop waits for anything."""
        self._parts.append(data)
        self._size += len(data)
        if self._size >= _ENOUGH_BYTES:
            self._hand_over()
        elif not self._due:
            self._due = True
            self._loop.call_soon(self._let_go)

    def _let_go(self) -> None:
        self._due = False
        self._hand_over()

    def _hand_over(self) -> None:
        parts, self._parts, self._size = self._parts, [], 0
        if parts:
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def close(self) -> None:
        """Hand over what there is, and close."""
        self._hand_over()
        self._transport.close()

    def get_write_buffer_size(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._size + self._transport.get_write_buffer_size()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
