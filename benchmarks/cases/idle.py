"""*Idle and start*: one sensor at 1 Hz, and the seconds from ``run.sh`` until it captures."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from benchmarks import inputs
from benchmarks.bench import Bench, Cloud, Stopwatch
from benchmarks.machine import AS_INSTALLED, CannedSensor, machine

CASE = "idle and start"
IDLE, EMPTY, WAITING = "one sensor at 1 Hz", "start", "start with a backlog"
CPU, MEMORY = "CPU, share of a core", "memory"
READY, OPEN = "run.sh to ready", "run.sh to its first capture"


async def idle(bench: Bench) -> None:
    """As installed: with the environment that ``run.sh`` has made."""
    scale = bench.scale
    prepared = bench.fresh("rows")
    await inputs.fill_with_rows(prepared, scale.waiting_rows)
    async with bench.cloud() as cloud:
        # The first start may make the environment.
        await _start(bench, cloud, None, None)
        for _ in range(scale.starts):
            await _start(bench, cloud, EMPTY, None)
            await _start(bench, cloud, WAITING, prepared)
        await _idle(bench, cloud)


async def _start(bench: Bench, cloud: Cloud, subject: str | None, prepared: Path | None) -> None:
    spool = bench.fresh("spool")
    if prepared is not None:
        await inputs.copied(prepared, spool)
    begun = time.monotonic()
    sensor = CannedSensor("sensor")
    async with machine(bench.fresh("machine"), [sensor], command=AS_INSTALLED) as module:
        ready_s = time.monotonic() - begun
        sources = [{"name": "sensor", "capture_frequency_hz": 100}]
        await module.configure(cloud.address, spool, sources=sources, upload={"disabled": True})
        status = await module.until(lambda status: status["sources"]["sensor"]["captured"] > 0, every_s=0.01)
        open_s = time.monotonic() - begun
        memory = Stopwatch(module.pid).memory_bytes()
    if prepared is not None and status["spool"]["items"] < bench.scale.waiting_rows:
        raise RuntimeError(f"the spool lost some of its {bench.scale.waiting_rows} rows: {status['spool']}")
    if subject is not None:
        bench.results.add(CASE, subject, READY, "s", ready_s)
        bench.results.add(CASE, subject, OPEN, "s", open_s)
        bench.results.add(CASE, subject, MEMORY, "MB", memory / 1e6)


async def _idle(bench: Bench, cloud: Cloud) -> None:
    async with machine(bench.fresh("machine"), [CannedSensor("sensor")], command=AS_INSTALLED) as module:
        sources = [{"name": "sensor", "capture_frequency_hz": 1}]
        await module.configure(cloud.address, bench.fresh("spool"), sources=sources)
        await asyncio.sleep(bench.scale.warm_s + 1)
        for _ in range(bench.scale.rounds):
            watch = Stopwatch(module.pid)
            await asyncio.sleep(bench.scale.idle_s)
            bench.results.add(CASE, IDLE, CPU, "%", 100 * watch.cpu_s() / watch.seconds())
            bench.results.add(CASE, IDLE, MEMORY, "MB", watch.memory_bytes() / 1e6)
