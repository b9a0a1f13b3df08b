"""*Arrival*: how long after its poll a capture is in the cloud, with the default settings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from viam.resource.base import ResourceBase

from benchmarks import inputs
from benchmarks.bench import Bench
from benchmarks.figures import percentile
from benchmarks.identity import KEY, KEY_ID, PART
from benchmarks.machine import CannedCamera, CannedSensor, machine
from module.local.calls import Arrival
from module.local.cloud import LocalCloud

CASE = "capture to arrival"
ROWS, FRAMES = "20 sensors at 10 Hz", "4 cameras at 10 Hz, 8 kB"
P50, P99 = "p50", "p99"
_HERTZ = 10.0
_FRAME_BYTES = 8_000
_JPEG = b"\xff\xd8\xff"


async def arrival(bench: Bench) -> None:
    """The cloud is the demo's, in this process: it has the times of each row and frame."""
    jpeg = _JPEG + inputs.frame(_FRAME_BYTES - len(_JPEG))
    for _ in range(bench.scale.rounds):
        await _load(bench, ROWS, [CannedSensor(f"sensor-{n}") for n in range(20)])
        await _load(bench, FRAMES, [CannedCamera(f"camera-{n}", jpeg) for n in range(4)])


async def _load(bench: Bench, subject: str, resources: Sequence[ResourceBase]) -> None:
    sources: list[dict[str, Any]] = [{"name": each.name, "capture_frequency_hz": _HERTZ} for each in resources]
    cloud = LocalCloud(None, api_keys={KEY_ID: KEY}, part_ids={PART})
    address = await cloud.start()
    try:
        async with machine(bench.fresh("machine"), resources) as module:
            await module.configure(address, bench.fresh("spool"), sources=sources)
            await asyncio.sleep(bench.scale.warm_s)
            cloud.arrivals.clear()
            await asyncio.sleep(bench.scale.polls_s)
            took_s = [seconds for each in cloud.arrivals for seconds in _took_s(each)]
    finally:
        await cloud.stop(None)
    bench.results.add(CASE, subject, P50, "ms", percentile(took_s, 0.5) * 1000)
    bench.results.add(CASE, subject, P99, "ms", percentile(took_s, 0.99) * 1000)


def _took_s(arrived: Arrival) -> Iterator[float]:
    """From when the resource was asked, by this machine's clock."""
    about = [row.metadata for row in arrived.rows]
    if arrived.sensor_metadata is not None:
        about.append(arrived.sensor_metadata)
    for each in about:
        yield arrived.when.timestamp() - each.time_requested.ToMicroseconds() / 1e6
