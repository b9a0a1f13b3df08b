"""A server of gRPC's C core that answers polls and takes uploads, at a unix socket and on a port."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
from viam.proto.common import GetReadingsResponse

from benchmarks.inputs import readings
from benchmarks.processes import serve

SERVICE = "courier.benchmark.Service"
_OPTIONS = [("grpc.max_receive_message_length", -1)]


def _answer() -> bytes:
    response = GetReadingsResponse()
    for key, value in readings(1).items():
        if isinstance(value, bool):
            response.readings[key].bool_value = value
        elif isinstance(value, (int, float)):
            response.readings[key].number_value = value
        else:
            response.readings[key].string_value = str(value)
    said: bytes = response.SerializeToString()
    return said


async def main() -> None:
    """Serve until the standard input ends."""
    answer = _answer()

    async def take(requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
        async for _ in requests:
            pass
        yield answer

    handlers = {"Call": grpc.stream_stream_rpc_method_handler(take)}
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"unix:{sys.argv[1]}")
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async def where() -> dict[str, int]:
        return {"port": port}

    await serve({"port": where})
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main())
