"""*Written*: what the module writes to the disk for each capture, captured and delivered, checkpoints included."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from viam.resource.base import ResourceBase

from benchmarks import inputs
from benchmarks.bench import Bench, Cloud, Stopwatch
from benchmarks.machine import CannedCamera, CannedSensor, ShortSensor, machine

CASE = "bytes written"
MANY, TEN_FIELDS, SLOW = "20 sensors at 10 Hz", "20 sensors of ten fields at 10 Hz", "one sensor at 1 Hz"
SMALL, LARGE = "4 cameras at 10 Hz, 8 kB", "2 cameras at 10 Hz, 100 kB"
PER_ROW, PER_BYTE = "bytes per row", "bytes per byte captured"
TICKS = "ticks taken"
"""Rows share commits: the fewer there are in one, as on a busy computer, the more bytes each costs."""
_JPEG = b"\xff\xd8\xff"


async def written(bench: Bench) -> None:
    """Rows of about 110 bytes, rows of ten fields, and frames of two sizes, with the default settings."""
    async with bench.cloud() as cloud:
        for _ in range(bench.scale.rounds):
            many = [ShortSensor(f"sensor-{n}") for n in range(20)]
            await _load(bench, cloud, MANY, many, 10.0)
            await _load(bench, cloud, TEN_FIELDS, [CannedSensor(f"sensor-{n}") for n in range(20)], 10.0)
            await _load(bench, cloud, SLOW, [ShortSensor("sensor")], 1.0)
            for subject, count, size in ((SMALL, 4, 8_000), (LARGE, 2, inputs.FRAME_BYTES)):
                jpeg = _JPEG + inputs.frame(size - len(_JPEG))
                await _load(
                    bench, cloud, subject, [CannedCamera(f"camera-{n}", jpeg) for n in range(count)], 10.0, size
                )


async def _load(
    bench: Bench, cloud: Cloud, subject: str, resources: Sequence[ResourceBase], hertz: float, size: int = 0
) -> None:
    sources: list[dict[str, Any]] = [{"name": each.name, "capture_frequency_hz": hertz} for each in resources]
    async with machine(bench.fresh("machine"), resources) as module:
        await module.configure(cloud.address, bench.fresh("spool"), sources=sources)
        await asyncio.sleep(bench.scale.warm_s)
        before = _captured(await module.status())
        watch = Stopwatch(module.pid)
        await asyncio.sleep(bench.scale.written_s)
        bytes_written = watch.written_bytes()
        captured = _captured(await module.status()) - before
    ticks = hertz * len(resources) * bench.scale.written_s
    bench.results.add(CASE, subject, TICKS, "%", 100 * captured / ticks)
    figure, unit = (PER_BYTE, "") if size else (PER_ROW, "B")
    bench.results.add(CASE, subject, figure, unit, bytes_written / max(1.0, captured) / (size or 1))


def _captured(status: dict[str, Any]) -> float:
    return float(sum(source["captured"] for source in status["sources"].values()))
