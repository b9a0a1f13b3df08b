"""The SDK's upload methods, called from memory as a user would; the method's name, then the cloud's port."""

from __future__ import annotations

import asyncio
import functools
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from grpclib.client import Channel
from viam.app.data_client import DataClient

from benchmarks.identity import PART
from benchmarks.inputs import frame, readings
from benchmarks.processes import serve


class Sdk:
    """A DataClient, and what it is to send."""

    def __init__(self, port: int) -> None:
        self._channel = Channel("127.0.0.1", port)
        self._client = DataClient(self._channel, {"authorization": "Bearer token"})
        self._sends: list[Callable[[], Awaitable[Any]]] = []

    async def rows(self, count: int, a_call: int) -> None:
        """Have rows ready."""
        now = datetime.now(UTC)
        given = [{"readings": readings(number)} for number in range(count)]
        for start in range(0, count, a_call):
            self._sends.append(functools.partial(self._tabular, given[start : start + a_call], now))

    async def _tabular(self, part: list[Any], now: datetime) -> str:
        times = [(now, now)] * len(part)
        sensor = ("rdk:component:sensor", "sensor-0", "Readings")
        return await self._client.tabular_data_capture_upload(part, PART, *sensor, data_request_times=times)

    async def frames(self, count: int) -> None:
        """Have frames ready."""
        data, now = frame(), datetime.now(UTC)
        camera = ("rdk:component:camera", "camera", "GetImages", ".jpg")
        self._sends = [
            lambda: self._client.binary_data_capture_upload(data, PART, *camera, data_request_times=(now, now))
        ] * count

    async def file(self, path: str) -> None:
        """Have a file ready."""
        self._sends = [lambda: self._client.file_upload_from_path(path, PART)]

    async def work(self, at_once: int) -> dict[str, float]:
        """Send all of it, so many calls at once."""
        left = iter(self._sends)
        begun = time.monotonic()

        async def worker() -> None:
            for send in left:
                await send()

        await asyncio.gather(*(worker() for _ in range(at_once)))
        self._sends = []
        return {"seconds": time.monotonic() - begun}

    def close(self) -> None:
        """Hang up."""
        self._channel.close()


async def main() -> None:
    """Serve until the standard input ends."""
    sdk = Sdk(int(sys.argv[1]))
    await serve({"rows": sdk.rows, "frames": sdk.frames, "file": sdk.file, "work": sdk.work})
    sdk.close()


if __name__ == "__main__":
    asyncio.run(main())
