"""A real spool, the real uploader and the local cloud in one process: what the tests of delivery stand on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc

from module.attributes.uploader import Config, parse
from module.capture import Capture, FileMark, Item, Kind, Origin
from module.collection.readings import sensor_data
from module.delivery.uploader import Uploader
from module.delivery.wire.cloud import Cloud
from module.local.calls import Call, Refusal, UploadMethod
from module.local.cloud import LocalCloud
from module.spool.store import Store
from tests.waiting import until

KEY_ID, KEY, PART = "11111111-2222-3333-4444-555555555555", "the-very-secret-api-key", "part-1"
LOGGER = logging.getLogger("courier-test")
MOMENT_US = 1_700_000_000_123_456
"""2023-11-14T22:13:20.123456Z."""


def row(number: int, source: str = "thermometer", *, padding: int = 0, **origin: Any) -> Capture:
    """A row whose reading ``n`` tells it from all others; ``padding`` bytes larger than it must be."""
    api = {"api": "rdk:component:sensor", "name": source, "method": "Readings"}
    readings = {"n": number, "padding": "x" * padding}
    payload = sensor_data({"readings": readings}, MOMENT_US + number, MOMENT_US + number + 1)
    return Capture(Origin(source, Kind.ROW, **{**api, **origin}), MOMENT_US + number, MOMENT_US + number + 1, payload)


def image(number: int, source: str = "eye", *, size: int = 0, **origin: Any) -> Capture:
    """An image whose bytes begin with its number; ``size`` bytes long at least."""
    api = {"api": "rdk:component:camera", "name": source, "method": "GetImages"}
    payload = f"{number} ".encode().ljust(size, b".")
    what = {"extension": ".jpg", "mime_type": "image/jpeg"}
    return Capture(
        Origin(source, Kind.BINARY, **{**api, **what, **origin}), MOMENT_US + number, MOMENT_US + number + 1, payload
    )


def file_of(folder: Path, size: int) -> Capture:
    """A file on disk, of so many bytes."""
    path = folder / "big.bin"
    path.write_bytes(b"x" * size)
    info = path.stat()
    origin = Origin("files", Kind.FILE, folder=str(folder))
    return Capture(origin, 1, 1, file=FileMark(str(path), info.st_size, info.st_mtime_ns))


def numbers_of(call: Call) -> list[int]:
    """The numbers of the rows in a call's first message."""
    return [int(row.struct["readings"]["n"]) for row in call.first.sensor_contents]


def refuse_rows(
    *bad: int, status: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT
) -> Callable[[Call], Awaitable[None]]:
    """A judge that refuses every call that holds one of these rows."""

    async def judge(call: Call) -> None:
        if not set(bad).isdisjoint(numbers_of(call)):
            raise Refusal(status, "a row is not well-formed")

    return judge


def refuse(status: grpc.StatusCode, text: str, *, source: str | None = None) -> Callable[[Call], Awaitable[None]]:
    """A judge that refuses every call, or those of one source."""

    async def judge(call: Call) -> None:
        if source is None or call.metadata.component_name == source:
            raise Refusal(status, text)

    return judge


class Crowd:
    """A judge that lets all calls through and knows how many there were at once."""

    def __init__(self, *, wait_for: int = 0, patience_s: float = 5.0) -> None:
        """Calls wait until there are ``wait_for`` of them at once, or there have been."""
        self.most = 0
        self._present = 0
        self._wait_for = wait_for
        self._patience_s = patience_s
        self._complete = asyncio.Event()

    async def __call__(self, _: Call) -> None:
        self._present += 1
        self.most = max(self.most, self._present)
        if self._present >= self._wait_for:
            self._complete.set()
        try:
            async with asyncio.timeout(self._patience_s):
                await self._complete.wait()
            await asyncio.sleep(0)
        finally:
            self._present -= 1


class Rig:
    """One spool, one uploader, one cloud."""

    def __init__(self, config: Config, cloud: LocalCloud) -> None:
        self.config = config
        self.cloud = cloud
        self.store = Store(config.spool, config.upload, LOGGER)
        self.delivered: list[tuple[int, str]] = []
        """What the uploader says that it has delivered: each capture's id, and the cloud's."""
        self.uploader = self._uploader()
        self._task: asyncio.Task[None] | None = None

    def _uploader(self) -> Uploader:
        upload = self.config.upload
        self.client = Cloud(
            self.config.cloud,
            timeout_s=upload.timeout_s,
            chunk_bytes=upload.chunk_bytes,
            max_bytes_per_s=upload.max_bytes_per_s,
        )
        return Uploader(self.store, self.client, upload, LOGGER, on_delivered=self._note)

    def _note(self, items: Sequence[Item], file_id: str) -> None:
        self.delivered += [(item.id, file_id) for item in items]

    async def open(self) -> None:
        await self.store.open()
        self._task = asyncio.create_task(self.uploader.run())

    async def close(self) -> None:
        """As the service closes: the uploader first, then the spool; harmless twice."""
        await self.stop_uploads()
        await self.store.close()

    async def stop_uploads(self) -> None:
        """Close the uploader only."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()
            self._task = None
            await self.uploader.close()

    async def append(self, *captures: Capture) -> list[int]:
        return await self.store.append(captures)

    async def flush(self, timeout_s: float = 10.0) -> None:
        """Upload all there is."""
        await self.uploader.flush(timeout_s)
        assert self.store.items == 0, self.uploader.status()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once it holds."""
        await until(holds, lambda: (self.uploader.status(), self.store.items))

    async def settled(self, state: str) -> None:
        """Return once the uploader says so and no upload is under way."""
        await self.until(lambda: self.status()["state"] == state and self.status()["in_flight"] == 0)

    def status(self) -> dict[str, Any]:
        return self.uploader.status()

    def rows(self) -> list[int]:
        """The numbers of the rows that have arrived, in order."""
        return [
            int(row.struct["readings"]["n"])
            for arrival in self.cloud.arrivals
            if arrival.method is UploadMethod.TABULAR
            for row in arrival.rows
        ]

    def images(self, source: str | None = None) -> list[int]:
        """The numbers of the images that have arrived, in order."""
        return [
            int((arrival.payload or b"").split(maxsplit=1)[0])
            for arrival in self.cloud.arrivals
            if arrival.method in (UploadMethod.BINARY, UploadMethod.STREAMING)
            and (source is None or arrival.metadata.component_name == source)
        ]

    async def claimable(self) -> list[Item]:
        """What is still to be delivered, as whoever opens the spool next finds it; closes this rig."""
        await self.close()
        store = Store(self.config.spool, self.config.upload, LOGGER)
        await store.open()
        found: list[Item] = []
        while (stream := store.choose(0.0, flushing=True)[0]) is not None:
            found += itertools.chain.from_iterable(await store.claim(stream))
        await store.close()
        return found


Starter = Callable[..., Awaitable[Rig]]


@contextlib.asynccontextmanager
async def local_cloud(**options: Any) -> AsyncIterator[tuple[LocalCloud, str]]:
    """A cloud that knows the key and the part, and its address."""
    settings = {"api_keys": {KEY_ID: KEY}, "part_ids": {PART}, "keep_payloads": True, "record_messages": True}
    cloud = LocalCloud(None, **{**settings, **options})
    try:
        yield cloud, await cloud.start()
    finally:
        await cloud.stop()


def config_of(directory: Path, address: str, *, upload: dict[str, Any], api_key: str = KEY) -> Config:
    """A configuration whose retries need no patience."""
    quick = {"batch_wait_s": 0, "retry_initial_s": 0.02, "retry_max_s": 0.1, "timeout_s": 10}
    attributes = {
        "spool": {"directory": str(directory), "min_free_bytes": 0, "sync": "normal"},
        "upload": {**quick, **upload},
        "cloud": {"address": address, "part_id": PART, "api_key_id": KEY_ID, "api_key": api_key},
    }
    return parse(attributes, service="uploader", environ={})
