"""Calls over one channel, ours or grpclib's: which of them, the socket, and the port."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from grpclib.client import Channel as GrpclibChannel
from grpclib.client import StreamUnaryMethod, UnaryUnaryMethod
from viam.proto.common import GetReadingsRequest, GetReadingsResponse

from benchmarks.processes import serve
from benchmarks.subjects.callee import SERVICE
from module.network.address import Address, unix
from module.network.channel import Channel

_AT_HERTZ = 10
_POLLERS = 20
_TIMEOUT_S = 10.0


class _Bytes:
    """A message that is bytes already."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def SerializeToString(self) -> bytes:  # noqa: N802, protobuf's own name
        """Return the bytes."""
        return self._data


class Caller:
    """A channel to the machine, and one to the cloud."""

    def __init__(self, kind: str, socket: str, port: int) -> None:
        ours = kind == "ours"
        self._machine: Any = Channel(unix(socket)) if ours else GrpclibChannel(path=socket)
        self._cloud: Any = (
            Channel(Address("127.0.0.1", port), short_answers=True) if ours else GrpclibChannel("127.0.0.1", port)
        )
        path = f"/{SERVICE}/Call"
        self._poll = UnaryUnaryMethod(self._machine, path, GetReadingsRequest, GetReadingsResponse)
        self._upload = UnaryUnaryMethod(self._cloud, path, _Bytes, GetReadingsResponse)
        self._stream = StreamUnaryMethod(self._cloud, path, _Bytes, GetReadingsResponse)

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

    async def uploads(self, count: int, size: int, at_once: int) -> dict[str, float]:
        """So many uploads of so many bytes each, so many of them at once."""
        left, message, begun = iter(range(count)), _Bytes(bytes(size)), time.monotonic()

        async def work() -> None:
            for _ in left:
                await self._upload(message)

        await asyncio.gather(*(work() for _ in range(at_once)))
        return {"seconds": time.monotonic() - begun}

    async def stream(self, size: int, chunk: int) -> dict[str, float]:
        """One stream of so many bytes in chunks."""
        message, begun = _Bytes(bytes(chunk)), time.monotonic()
        async with self._stream.open() as stream:
            for _ in range(size // chunk - 1):
                await stream.send_message(message)  # type: ignore[arg-type]
            await stream.send_message(message, end=True)  # type: ignore[arg-type]
            await stream.recv_message()
        return {"seconds": time.monotonic() - begun}

    def close(self) -> None:
        """Hang up."""
        self._machine.close()
        self._cloud.close()


async def main() -> None:
    """Serve until the standard input ends."""
    caller = Caller(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    await serve({"polls": caller.polls, "uploads": caller.uploads, "stream": caller.stream})
    caller.close()


if __name__ == "__main__":
    asyncio.run(main())
