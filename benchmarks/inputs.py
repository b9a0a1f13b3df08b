"""What is captured and sent: rows of ten fields, frames, and spools that hold them already."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

from benchmarks.identity import KEY, KEY_ID, NAME, PART
from module.attributes.uploader import Config, Sync, parse
from module.capture import Capture, Kind, Origin
from module.collection.readings import sensor_data
from module.spool.store import Store

FRAME_BYTES = 100_000
SENSORS = 10
"""Rows of a backlog come from so many sources in turn."""
_CHUNK = 5_000
_FAR = 1 << 50


def readings(number: int) -> dict[str, Any]:
    """A row of ten fields: seven numbers, a flag, and two short texts."""
    numbers = {f"channel_{index}": number * 0.25 + index for index in range(7)}
    return {**numbers, "valid": number % 7 != 0, "state": "running", "unit": "line-4"}


def row(number: int) -> bytes:
    """That row as the message that travels."""
    now_us = time.time_ns() // 1000
    return sensor_data({"readings": readings(number)}, now_us, now_us + 900)


def frame(size: int = FRAME_BYTES) -> bytes:
    """Bytes that nothing can make smaller, like a JPEG's."""
    return random.Random(size).randbytes(size)


def row_origin(number: int) -> Origin:
    """Whose row it is."""
    name = f"sensor-{number % SENSORS}"
    return Origin(source=name, kind=Kind.ROW, api="rdk:component:sensor", name=name, method="Readings")


def frame_origin() -> Origin:
    """Whose frame it is."""
    return Origin(
        source="camera",
        kind=Kind.BINARY,
        api="rdk:component:camera",
        name="camera",
        method="GetImages",
        extension=".jpg",
        mime_type="image/jpeg",
    )


def configured(folder: Path, sync: Sync = Sync.FULL, batch_rows: int = 500) -> Config:
    """The module's own defaults, its spool in this folder, without a limit that a large backlog could meet."""
    attributes = {
        "spool": {"directory": str(folder), "max_bytes": _FAR, "min_free_bytes": 0, "sync": sync.value},
        "upload": {"batch_rows": batch_rows},
        "cloud": {"part_id": PART, "api_key_id": KEY_ID, "api_key": KEY},
    }
    return parse(attributes, service=NAME, environ={})


def store_of(config: Config) -> Store:
    """The spool of that configuration, not opened yet."""
    return Store(config.spool, config.upload, logging.getLogger("benchmark"))


async def fill_with_rows(folder: Path, count: int) -> None:
    """A spool in which so many rows of ten fields wait."""
    await _fill(folder, count, lambda number: Capture(row_origin(number), *_times(), row(number)))


async def fill_with_frames(folder: Path, count: int) -> None:
    """A spool in which so many frames of 100 kB wait."""
    payload, origin = frame(), frame_origin()
    await _fill(folder, count, lambda _: Capture(origin, *_times(), payload))


async def _fill(folder: Path, count: int, capture: Any) -> None:
    store = store_of(configured(folder, Sync.NORMAL))
    await store.open()
    chunk = _CHUNK if len(capture(0).payload) < FRAME_BYTES else 50
    for start in range(0, count, chunk):
        await store.append([capture(number) for number in range(start, min(count, start + chunk))])
    await store.close()


def _times() -> tuple[int, int]:
    now_us = time.time_ns() // 1000
    return now_us, now_us + 900


async def copied(folder: Path, to: Path) -> Path:
    """A copy of a prepared spool, which is on the disk before anything is measured."""
    await asyncio.to_thread(shutil.copytree, folder, to)
    await asyncio.to_thread(os.sync)
    return to


def write_file(path: Path, size: int) -> None:
    """A file of so many random bytes, on the disk."""
    block = random.Random(1).randbytes(1_000_000)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for start in range(0, size, len(block)):
            file.write(block[: size - start])
        file.flush()
        os.fsync(file.fileno())
