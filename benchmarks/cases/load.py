"""A module under a load of polls, measured for some seconds; what *Polls* and *Growth* have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from viam.resource.base import ResourceBase

from benchmarks import reads
from benchmarks.bench import Bench, Stopwatch
from benchmarks.figures import percentile
from benchmarks.machine import CannedCamera, CannedSensor, machine

CPU, MEMORY, TICKS = "CPU per capture", "memory", "ticks taken, worst source"
P50, P99, LATEST = "lateness p50", "lateness p99, worst source", "lateness max"
P99_ALL = "lateness p99"
READS = "reads of the machine per row"


@dataclass(frozen=True, slots=True)
class Load:
    """Who is polled, by name at so many hertz."""

    sensors: Mapping[str, float]
    cameras: Mapping[str, float]
    jpeg: bytes = b""

    def resources(self) -> list[ResourceBase]:
        """What the machine needs for it."""
        return [
            *(CannedSensor(name) for name in self.sensors),
            *(CannedCamera(name, self.jpeg) for name in self.cameras),
        ]

    @property
    def hertz(self) -> dict[str, float]:
        """All sources."""
        return {**self.sensors, **self.cameras}

    def attributes(self) -> list[dict[str, Any]]:
        """The sources of the uploader."""
        return [{"name": name, "capture_frequency_hz": hertz} for name, hertz in self.hertz.items()]


async def ours(
    bench: Bench,
    case: str,
    subject: str,
    load: Load,
    address: str,
    seconds: float,
    *,
    environ: Mapping[str, str] | None = None,
    **upload: Any,
) -> None:
    """Run the module under the load, and note its figures."""
    async with machine(bench.fresh("machine"), load.resources(), environ=environ) as module:
        await module.configure(address, bench.fresh("spool"), sources=load.attributes(), upload=upload)
        await measured(bench, case, subject, load, seconds, pid=module.pid, status=module.status)


async def measured(
    bench: Bench,
    case: str,
    subject: str,
    load: Load,
    seconds: float,
    *,
    pid: int,
    status: Callable[[], Awaitable[dict[str, Any]]],
) -> None:
    """Note the figures of a module that is under the load."""
    await asyncio.sleep(bench.scale.warm_s)
    before = (await status())["sources"]
    watch, read = Stopwatch(pid), reads.count
    await asyncio.sleep(seconds)
    cpu_s, memory = watch.cpu_s(), watch.memory_bytes()
    read = reads.count - read
    after = (await status())["sources"]
    captured = {key: _gained(before[key], after[key]) for key in after}
    note(bench, case, subject, cpu_s, memory, captured)
    late = {key: source["lateness_ms"] for key, source in after.items()}
    add = bench.results.add
    if read:
        # A real viam-server does not count them.
        add(case, subject, READS, "", read / max(1.0, sum(captured.values())))
    add(case, subject, TICKS, "%", 100 * min(_taken(before[key], after[key]) for key in after))
    add(case, subject, P50, "ms", percentile([each["p50"] for each in late.values()], 0.5))
    # The status has each source's own; over all ticks it is about their mean, each weighing as much as it ticks.
    weight = sum(load.hertz.values())
    add(case, subject, P99_ALL, "ms", sum(late[key]["p99"] * hertz for key, hertz in load.hertz.items()) / weight)
    add(case, subject, P99, "ms", max(each["p99"] for each in late.values()))
    add(case, subject, LATEST, "ms", max(each["max"] for each in late.values()))


def note(bench: Bench, case: str, subject: str, cpu_s: float, memory: int, captured: Mapping[str, float]) -> None:
    """Note what so many captures cost."""
    bench.results.add(case, subject, CPU, "µs", cpu_s / max(1, sum(captured.values())) * 1e6)
    bench.results.add(case, subject, MEMORY, "MB", memory / 1e6)


def _gained(before: Mapping[str, Any], after: Mapping[str, Any], count: str = "captured") -> float:
    return float(after[count] - before[count])


def _taken(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    # Not by the clock: captures of the last group_s are not counted yet, which are twenty at 100 Hz.
    captured = _gained(before, after)
    lost = sum(_gained(before, after, count) for count in ("missed", "errors", "dropped"))
    return captured / max(1.0, captured + lost)
