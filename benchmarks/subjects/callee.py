"""A server of gRPC's C core that answers polls and takes uploads: at a unix socket, on a port, and on one with TLS.

Its arguments are the socket, and the files of a certificate and its key if there is TLS.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from viam.proto.common import GetReadingsResponse

from benchmarks.inputs import readings
from benchmarks.processes import serve

SERVICE = "courier.benchmark.Service"
_WITH_TLS = 2
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
    ports = {"port": server.add_insecure_port("127.0.0.1:0")}
    if len(sys.argv) > _WITH_TLS:
        certificate, key = (Path(name).read_bytes() for name in sys.argv[2:])
        ports["tls"] = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    await server.start()

    async def where() -> dict[str, int]:
        return ports

    await serve({"port": where})
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main())
