"""*Polls*: what capturing costs, beside a loop that makes the same polls and throws the answers away.

If a ``viam-server`` is on the PATH, the same load is measured under it too.
"""

from __future__ import annotations

import asyncio

from benchmarks.bench import Bench, Stopwatch
from benchmarks.cases import load
from benchmarks.machine import jpeg_720p, machine
from benchmarks.processes import started
from tests.viam_server.rig import BINARY, Machine, config_of, fake_sensor, local_cloud, uploader

CASE = "polls"
KEPT, SENT, BARE = "ours, to disk", "ours, to disk and cloud", "bare loop of polls"
SENSORS_ONLY = "ours, to disk and cloud, without cameras"
REAL = "ours, to disk and cloud, under a real viam-server"
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
            await _under_viam_server(bench, whole)
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


async def _under_viam_server(bench: Bench, whole: load.Load) -> None:
    if BINARY is None:
        bench.say(f"{REAL}: left out, as no viam-server is on the PATH")
        return
    camera = {"api": "rdk:component:camera"}
    components = [*map(fake_sensor, whole.sensors), *(fake_sensor(name) | camera for name in whole.cameras)]
    service = uploader(sources=whole.attributes())
    service["attributes"] |= {"upload": {}, "spool": {"directory": str(bench.fresh("spool"))}}
    async with local_cloud() as (cloud, address):
        machine = Machine(bench.fresh("machine"), cloud, address, config_of([service], components))
        await machine.start()
        try:
            await machine.status(holds=lambda now: all(each["captured"] for each in now["sources"].values()))
            pid = machine.module_pid()
            # Longer, as a source's lateness includes its first ticks, while viam-server still starts.
            seconds = 3 * bench.scale.polls_s
            await load.measured(bench, CASE, REAL, whole, seconds, pid=pid, status=machine.status)
        finally:
            await machine.end()
