"""The cloud as a process: it answers every upload, and counts it; with ``--store FOLDER`` it is the demo's, that keeps.

Counting, it takes messages as bytes and looks at no more than their outermost fields, so that it is quicker than any
client, and what is measured is the client.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from viam.gen.proto.rpc.v1.auth_pb2 import AuthenticateRequest, AuthenticateResponse
from viam.proto.app import datasync

from benchmarks.identity import KEY, KEY_ID, PART
from benchmarks.processes import serve
from module.local.calls import Arrival
from module.local.cloud import LocalCloud

_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", -1),
    # With the default of 64 KiB clients wait for leave to send more, and half of both processors idles.
    ("grpc.http2.lookahead_bytes", 8 * 1024 * 1024),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
)


class Tally:
    """What has come since the last ``forget``."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._zero()

    def _zero(self) -> None:
        self.items = self.calls = self.bytes = 0
        self._first: float | None = None
        self._last = 0.0

    def begun(self) -> None:
        """An upload has begun."""
        self._first = self._first or time.monotonic()

    async def ended(self, items: int, size: int) -> None:
        """An upload of so many items and bytes is whole."""
        self.items += items
        self.calls += 1
        self.bytes += size
        self._last = time.monotonic()
        async with self._changed:
            self._changed.notify_all()

    async def forget(self) -> None:
        """Count from zero."""
        self._zero()

    async def wait(self, items: int) -> dict[str, float]:
        """Wait for so many items."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.items >= items)
        first = self._last if self._first is None else self._first
        return {"items": self.items, "calls": self.calls, "bytes": self.bytes, "first_s": first, "last_s": self._last}


async def main() -> None:
    """Serve until the standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", type=Path)
    store = parser.parse_args().store
    tally = Tally()
    address, stop = await (_counting(tally) if store is None else _storing(tally, store))

    async def tell() -> dict[str, Any]:
        return {"address": address}

    await serve({"address": tell, "wait": tally.wait, "forget": tally.forget})
    await stop(None)


async def _counting(tally: Tally) -> tuple[str, Callable[[float | None], Any]]:
    server = grpc.aio.server(options=_OPTIONS)

    async def authenticate(_request: AuthenticateRequest, _context: Any) -> AuthenticateResponse:
        return AuthenticateResponse(access_token="token")

    def upload(name: str) -> Any:
        answer = getattr(datasync, f"{name}Response")(binary_data_id="id").SerializeToString()
        unary = name == "DataCaptureUpload"

        async def take(requests: AsyncIterator[bytes], _context: Any) -> bytes:
            tally.begun()
            items, size = 1, 0
            async for raw in requests:
                size += len(raw)
                if unary:
                    items = contents(raw)
            await tally.ended(items, size)
            return bytes(answer)

        return grpc.stream_unary_rpc_method_handler(take)

    auth = grpc.unary_unary_rpc_method_handler(
        authenticate, AuthenticateRequest.FromString, AuthenticateResponse.SerializeToString
    )
    names = ("DataCaptureUpload", "FileUpload", "StreamingDataCaptureUpload")
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("proto.rpc.v1.AuthService", {"Authenticate": auth}),
            grpc.method_handlers_generic_handler(
                "viam.app.datasync.v1.DataSyncService", {name: upload(name) for name in names}
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return f"http://127.0.0.1:{port}", server.stop


async def _storing(tally: Tally, folder: Path) -> tuple[str, Callable[[float | None], Any]]:
    cloud = LocalCloud(folder, api_keys={KEY_ID: KEY}, part_ids={PART}, max_message_bytes=-1)

    async def begin(_call: Any) -> None:
        tally.begun()

    async def end(arrival: Arrival) -> None:
        cloud.arrivals.clear()
        await tally.ended(len(arrival.rows) or 1, arrival.size)

    cloud.judge, cloud.after = begin, end
    # The clients that send from memory do not ask for one.
    cloud._tokens["token"] = time.monotonic()
    return await cloud.start(), cloud.stop


def contents(raw: bytes) -> int:
    """How many ``sensor_contents`` a serialised DataCaptureUploadRequest has: its fields 2."""
    at, count = 0, 0
    while at < len(raw):
        count += raw[at] == 0x12
        at += 1
        length = shift = 0
        while True:
            byte = raw[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        at += length
    return count


if __name__ == "__main__":
    asyncio.run(main())
