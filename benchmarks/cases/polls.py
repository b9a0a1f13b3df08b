"""*Polls*: what capturing costs, beside a loop that makes the same polls and throws the answers away."""

from __future__ import annotations

import asyncio

from benchmarks.bench import Bench, Stopwatch
from benchmarks.cases import load
from benchmarks.machine import jpeg_720p, machine
from benchmarks.processes import started

CASE = "polls"
KEPT, SENT, BARE = "ours, to disk", "ours, to disk and cloud", "bare loop of polls"
SENSORS_ONLY = "ours, to disk and cloud, without cameras"
TWENTY, TWENTY_BARE = "ours, 20 sensors at 10 Hz", "bare loop, 20 sensors at 10 Hz, spread evenly"


async def polls(bench: Bench) -> None:
    """50 sensors at 10 Hz, 2 at 100 Hz, 4 cameras of 720p JPEG at 10 Hz."""
    scale = bench.scale
    sensors = {f"slow-{n}": 10.0 for n in range(50)} | {f"fast-{n}": 100.0 for n in range(2)}
    whole = load.Load(sensors, {f"camera-{n}": 10.0 for n in range(4)}, jpeg_720p())
    twenty = load.Load({f"one-{n}": 10.0 for n in range(20)}, {})
    async with bench.cloud() as cloud:
        for _ in range(scale.rounds):
            await _bare(bench, BARE, whole)
            await load.ours(bench, CASE, KEPT, whole, cloud.address, scale.polls_s, disabled=True)
            await load.ours(bench, CASE, SENT, whole, cloud.address, scale.polls_s)
            await load.ours(bench, CASE, SENSORS_ONLY, load.Load(sensors, {}), cloud.address, scale.polls_s / 2)
            await _bare(bench, TWENTY_BARE, twenty)
            await load.ours(bench, CASE, TWENTY, twenty, cloud.address, scale.polls_s)


async def _bare(bench: Bench, subject: str, whole: load.Load) -> None:
    # The module of this machine has nothing to do: the loop asks the same server over the same socket.
    async with (
        machine(bench.fresh("machine"), whole.resources()) as idle,
        started("poller", idle.socket) as poller,
    ):
        await poller.ask("begin", sensors=dict(whole.sensors), cameras=dict(whole.cameras))
        await asyncio.sleep(bench.scale.warm_s)
        before = await poller.ask("count")
        watch = Stopwatch(poller.pid)
        await asyncio.sleep(bench.scale.polls_s)
        cpu_s, memory = watch.cpu_s(), watch.memory_bytes()
        after = await poller.ask("count")
    load.note(bench, CASE, subject, cpu_s, memory, {"all": after["polls"] - before["polls"]})
    bench.results.add(CASE, subject, load.P50, "ms", after["p50"])
    bench.results.add(CASE, subject, load.P99_ALL, "ms", after["p99"])
    bench.results.add(CASE, subject, load.LATEST, "ms", after["max"])
