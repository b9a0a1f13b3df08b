"""One process of the fleet: so many machines, each with a spool, a key and an uploader of its own.

Its orders are lines of JSON on its standard input, ``mark``, ``hold`` and ``end``; it answers each.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.fleet.identity import key_id, key_of, part_of
from benchmarks.fleet.load import Load
from module.attributes.uploader import Config, parse
from module.capture import Capture, Item, Kind, Origin
from module.collection.readings import sensor_data
from module.delivery.upload_windows import Permit
from module.delivery.uploader import Uploader
from module.delivery.wire.cloud import Cloud, Session
from module.spool.store import Store

_LOGGER = logging.getLogger("fleet")
_SENSOR = Origin("meter", Kind.ROW, api="rdk:component:sensor", name="meter", method="Readings")
_CAMERA = Origin(
    "eye",
    Kind.BINARY,
    api="rdk:component:camera",
    name="eye",
    method="GetImages",
    extension=".jpg",
    mime_type="image/jpeg",
)


class Window:
    """An ``upload.active_hours`` that opens at a given time; open until then."""

    def __init__(self) -> None:
        self._opens: datetime | None = None

    def close_until(self, opens: datetime) -> None:
        """Be closed until then, from now on."""
        self._opens = opens

    def open_at(self, now: datetime) -> bool:
        """As ``module.delivery.upload_windows.Hours``."""
        return self._opens is None or now >= self._opens

    def next_change(self, now: datetime) -> datetime | None:
        """As ``module.delivery.upload_windows.Hours``."""
        return None if self.open_at(now) else self._opens


class CountedCloud(Cloud):
    """Notes when an upload is tried: a connection that is refused is seen here alone."""

    attempts: list[float]

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """As its base."""
        self.attempts.append(time.monotonic())
        async with super().session() as session:
            yield session


class Machine:
    """A sensor, a camera, and what the module does with them."""

    def __init__(self, number: int, address: str, directory: Path, load: Load, attempts: list[float]) -> None:
        config = _config(number, address, directory, load)
        upload = config.upload
        self._load = load
        self._store = Store(config.spool, upload, _LOGGER)
        cloud = CountedCloud(config.cloud, timeout_s=upload.timeout_s, chunk_bytes=upload.chunk_bytes)
        cloud.attempts = attempts
        self._window = Window()
        permit = Permit(upload, self._window)
        self._uploader = Uploader(self._store, cloud, upload, _LOGGER, permit, on_delivered=self._delivered)
        self._tasks: list[asyncio.Task[None]] = []
        self._resting = asyncio.Event()
        self._last_id = 0
        self._old = 0
        """How many captures of before the cloud's return still wait, ..."""
        self._old_id = 0
        """... the last of them, ..."""
        self.back: list[float] = []
        """... when the first capture was delivered after each return, ..."""
        self.drained: list[float] = []
        """... and when all of these had been."""
        self.captured = 0
        self.delivered = 0

    async def open(self) -> None:
        """Begin to capture and to upload, at a phase of its own."""
        await self._store.open()
        period = max(self._load.row_every_s, self._load.batch_wait_s)
        await asyncio.sleep(random.uniform(0, period))
        self._tasks = [
            asyncio.create_task(self._uploader.run()),
            asyncio.create_task(self._capture(_row, self._load.row_every_s)),
            asyncio.create_task(self._capture(self._image, self._load.image_every_s)),
        ]

    async def close(self) -> None:
        """End, with what is under way."""
        await self.rest()
        if self._tasks:
            self._tasks[0].cancel()
            await asyncio.wait(self._tasks[:1])
            await self._uploader.close()
        await self._store.close()

    async def rest(self) -> None:
        """Capture no more."""
        self._resting.set()
        if self._tasks:
            await asyncio.wait(self._tasks[1:])

    async def empty(self) -> None:
        """Upload all that there is."""
        await self._uploader.flush(30)

    def hold(self, opens: str) -> None:
        """Upload nothing until that moment, in ISO 8601."""
        self._window.close_until(datetime.fromisoformat(opens))

    def mark(self) -> None:
        """The cloud returns: what waits now is what has to be drained."""
        self._old, self._old_id = self._store.items, self._last_id
        self.back.append(0)
        self.drained.append(0 if self._old else time.monotonic())

    async def _capture(self, make: Any, every_s: float) -> None:
        due = time.monotonic() + random.uniform(0, every_s)
        # A capture that has begun is ended, so that the books balance.
        while not await self._rests_within(due - time.monotonic()):
            due += every_s
            ids = await self._store.append([make(time.time_ns() // 1000)])
            self._last_id = ids[-1]
            self.captured += 1

    async def _rests_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._resting.wait()
        return self._resting.is_set()

    def _image(self, now_us: int) -> Capture:
        return Capture(_CAMERA, now_us, now_us, random.randbytes(self._load.image_bytes))

    def _delivered(self, items: Sequence[Item], _file_id: str) -> None:
        now = time.monotonic()
        self.delivered += len(items)
        if self.back and not self.back[-1]:
            self.back[-1] = now
        if self._old:
            self._old -= sum(1 for item in items if item.id <= self._old_id)
            if not self._old:
                self.drained[-1] = now

    def books(self) -> dict[str, Any]:
        """What became of it; 0 stands for what never came."""
        status = self._uploader.status()
        return {
            "back": self.back,
            "drained": self.drained,
            "captured": self.captured,
            "delivered": self.delivered,
            "waiting": self._store.items,
            "retries": status["retries"],
        }


def _row(now_us: int) -> Capture:
    readings = {f"key_{n}": random.random() for n in range(10)}
    return Capture(_SENSOR, now_us, now_us, sensor_data({"readings": readings}, now_us, now_us))


def _config(number: int, address: str, directory: Path, load: Load) -> Config:
    attributes = {
        # Nothing here is cut off from power; a sync for each capture of the whole fleet would measure the disk.
        "spool": {"directory": str(directory / str(number)), "min_free_bytes": 0, "sync": "normal"},
        "upload": {"batch_wait_s": load.batch_wait_s},
        "cloud": {
            "address": address,
            "part_id": part_of(number),
            "api_key_id": key_id(number),
            "api_key": key_of(number),
        },
    }
    return parse(attributes, service="uploader", environ={})


async def run(address: str, directory: Path, first: int, count: int, load: Load) -> None:
    """Be so many machines until the standard input says ``end``, or ends."""
    attempts: list[float] = []
    machines = [Machine(number, address, directory, load, attempts) for number in range(first, first + count)]
    await asyncio.gather(*(machine.open() for machine in machines))
    print(json.dumps({"ready": count}), flush=True)
    while (line := await asyncio.to_thread(sys.stdin.readline)) and (order := json.loads(line))["do"] != "end":
        for machine in machines:
            if order["do"] == "mark":
                machine.mark()
            else:
                machine.hold(order["opens"])
        print(json.dumps({"done": count}), flush=True)
    if line:
        await asyncio.gather(*(machine.rest() for machine in machines))
        await asyncio.gather(*(machine.empty() for machine in machines))
        books = [machine.books() for machine in machines]
        print(json.dumps({"attempts": attempts, "machines": books}), flush=True)
    await asyncio.gather(*(machine.close() for machine in machines))


def arguments(address: str, directory: Path, first: int, count: int, load: Load) -> list[str]:
    """The command line of ``run``."""
    return [
        json.dumps({"address": address, "directory": str(directory), "first": first, "count": count, **asdict(load)})
    ]


if __name__ == "__main__":
    logging.getLogger("fleet").setLevel(logging.ERROR)
    _given = json.loads(sys.argv[1])
    _who = {"address": _given.pop("address"), "directory": Path(_given.pop("directory"))}
    asyncio.run(run(**_who, first=_given.pop("first"), count=_given.pop("count"), load=Load(**_given)))
