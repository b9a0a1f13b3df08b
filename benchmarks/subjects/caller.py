"""Calls over channels, ours or grpclib's.

Its arguments are which of them, the socket, the port, the one with TLS, and the file of the authority to trust there.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import sys
import time
from typing import Any

from grpclib.client import Channel as GrpclibChannel
from grpclib.client import StreamUnaryMethod, UnaryUnaryMethod
from viam.proto.common import GetReadingsRequest, GetReadingsResponse

from benchmarks.processes import serve
from benchmarks.subjects.callee import SERVICE
from module.network import tls
from module.network.address import Address, unix
from module.network.channel import Channel
from module.network.framing import Serialised

_AT_HERTZ = 10
_POLLERS = 20
_TIMEOUT_S = 10.0


class Caller:
    """A channel to the machine, one to the cloud, and one with TLS."""

    def __init__(self, kind: str, socket: str, port: int, tls_port: int, authority: str) -> None:
        ours = kind == "ours"
        self._machine: Any = Channel(unix(socket)) if ours else GrpclibChannel(path=socket)
        self._cloud: Any = (
            Channel(Address("127.0.0.1", port), short_answers=True) if ours else GrpclibChannel("127.0.0.1", port)
        )
        path = f"/{SERVICE}/Call"
        self._poll = UnaryUnaryMethod(self._machine, path, GetReadingsRequest, GetReadingsResponse)
        self._tls: Any = _tls_of_ours(tls_port, authority) if ours else _tls_of_grpclib(tls_port, authority)
        self._upload, self._upload_tls = (
            UnaryUnaryMethod(each, path, Serialised, GetReadingsResponse) for each in (self._cloud, self._tls)
        )
        self._stream, self._stream_tls = (
            StreamUnaryMethod(each, path, Serialised, GetReadingsResponse) for each in (self._cloud, self._tls)
        )

    async def polls(self, seconds: float, in_step: bool) -> dict[str, float]:
        """20 sources at 10 Hz, on absolute deadlines that are spread out or the same."""
        loop, begun = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        counts = [0] * _POLLERS

        async def poll(index: int) -> None:
            deadline = begun + (0 if in_step else index / _POLLERS / _AT_HERTZ)
            while deadline < begun + seconds:
                await asyncio.sleep(max(0.0, deadline - loop.time()))
                await self._poll(GetReadingsRequest(name="sensor"), timeout=_TIMEOUT_S)
                counts[index] += 1
                deadline += 1 / _AT_HERTZ

        await asyncio.gather(*map(poll, range(_POLLERS)))
        return {"calls": sum(counts)}

    async def uploads(self, count: int, size: int, at_once: int, tls: bool = False) -> dict[str, float]:
        """So many uploads of so many bytes each, so many of them at once."""
        left, message, begun = iter(range(count)), Serialised(bytes(size)), time.monotonic()
        upload = self._upload_tls if tls else self._upload

        async def work() -> None:
            for _ in left:
                await upload(message)

        await asyncio.gather(*(work() for _ in range(at_once)))
        return {"seconds": time.monotonic() - begun}

    async def stream(self, size: int, chunk: int, tls: bool = False) -> dict[str, float]:
        """One stream of so many bytes in chunks."""
        message, begun = Serialised(bytes(chunk)), time.monotonic()
        method = self._stream_tls if tls else self._stream
        async with method.open() as stream:
            for _ in range(size // chunk - 1):
                await stream.send_message(message)  # type: ignore[arg-type]
            await stream.send_message(message, end=True)  # type: ignore[arg-type]
            await stream.recv_message()
        return {"seconds": time.monotonic() - begun}

    def close(self) -> None:
        """Hang up."""
        self._machine.close()
        self._cloud.close()
        self._tls.close()


def _tls_of_ours(port: int, authority: str) -> Channel:
    trusting = functools.partial(tls.verify, environ={"SSL_CERT_FILE": authority})
    return Channel(Address("localhost", port, tls=True), configure=trusting, short_answers=True)


def _tls_of_grpclib(port: int, authority: str) -> GrpclibChannel:
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols(["h2"])
    return GrpclibChannel("localhost", port, ssl=context)


async def main() -> None:
    """Serve until the standard input ends."""
    caller = Caller(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    await serve({"polls": caller.polls, "uploads": caller.uploads, "stream": caller.stream})
    caller.close()


if __name__ == "__main__":
    asyncio.run(main())
