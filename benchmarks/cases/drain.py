"""*Drain*: a backlog on disk → the cloud, acknowledgements included, beside clients that send from memory."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks import inputs
from benchmarks.bench import Bench, Cloud, Stopwatch
from benchmarks.machine import machine
from benchmarks.processes import started

OURS, CORE = "ours, from disk", "C core, 16 at once"
ONE_ROW, CALLS_OF_1000, ROWS_16 = "SDK, one row a call", "SDK, 1,000 rows a call", "SDK, one row a call, 16 at once"
SERIAL, AT_ONCE = "SDK, one after the other", "SDK, 16 at once"
RATE, PER_CPU, MEMORY = "rate", "rate per CPU second", "peak memory"
CLOUD = "the cloud's CPU, share of a core"
"""Near 100, the rate is the cloud's."""


async def rows(bench: Bench) -> None:
    """Rows of ten fields."""
    scale, case = bench.scale, "drain rows"
    prepared = bench.fresh("rows")
    await inputs.fill_with_rows(prepared, scale.rows)
    async with bench.cloud() as cloud:
        for _ in range(scale.rounds):
            await ours(bench, case, OURS, cloud, prepared, scale.rows)
            await _peer(bench, case, ONE_ROW, cloud, count=scale.peer_rows, a_call=1)
            await _peer(bench, case, ROWS_16, cloud, count=scale.peer_rows, a_call=1, at_once=16)
            await _peer(bench, case, CALLS_OF_1000, cloud, count=scale.peer_rows * 10, a_call=1_000)
            await _peer(bench, case, CORE, cloud, "core", count=scale.rows, a_call=500, at_once=16)


async def frames(bench: Bench) -> None:
    """Frames of 100 kB."""
    scale, case = bench.scale, "drain frames"
    prepared = bench.fresh("frames")
    await inputs.fill_with_frames(prepared, scale.frames)
    async with bench.cloud() as cloud:
        for _ in range(scale.rounds):
            await ours(bench, case, OURS, cloud, prepared, scale.frames)
            await _peer(bench, case, SERIAL, cloud, count=scale.peer_frames)
            await _peer(bench, case, AT_ONCE, cloud, count=scale.peer_frames, at_once=16)
            await _peer(bench, case, CORE, cloud, "core", count=scale.frames, at_once=16)


async def ours(
    bench: Bench, case: str, subject: str, cloud: Cloud, prepared: Path, count: int, address: str = ""
) -> None:
    """Drain a copy of a prepared spool, from its opening to the last acknowledgement; figures go to ``subject``."""
    spool = await inputs.copied(prepared, bench.fresh("spool"))
    await cloud.forget()
    async with machine(bench.fresh("machine")) as module:
        watch, cloud_watch = Stopwatch(module.pid), Stopwatch(cloud.subject.pid)
        await module.configure(address or cloud.address, spool)
        received = await cloud.received(count)
        # The status is asked for only now, so that asking costs nothing of what is measured.
        await module.until(lambda status: status["spool"]["items"] == 0)
        _note(bench, case, subject, count, time.monotonic() - received.first_s, watch, cloud_watch)
        bench.results.add(case, subject, MEMORY, "MB", watch.peak_bytes() / 1e6)


async def _peer(
    bench: Bench,
    case: str,
    subject: str,
    cloud: Cloud,
    client: str = "sdk",
    *,
    count: int,
    a_call: int = 0,
    at_once: int = 1,
) -> None:
    """Send from memory what has been made ready before."""
    async with started(client, cloud.port) as process:
        # The connection is open when it counts.
        for number in (a_call or 1, count):
            await (process.ask("rows", count=number, a_call=a_call) if a_call else process.ask("frames", count=number))
            await cloud.forget()
            watch, cloud_watch = Stopwatch(process.pid), Stopwatch(cloud.subject.pid)
            seconds = (await process.ask("work", at_once=at_once))["seconds"]
        received = await cloud.received(count)
        if received.items != count:
            raise RuntimeError(f"{subject} sent {received.items} instead of {count}")
        _note(bench, case, subject, count, seconds, watch, cloud_watch)


def _note(
    bench: Bench, case: str, subject: str, count: int, seconds: float, watch: Stopwatch, cloud: Stopwatch
) -> None:
    cpu_s = watch.cpu_s()
    unit = "frames" if "frames" in case else "rows"
    bench.results.add(case, subject, RATE, f"{unit}/s", count / seconds)
    bench.results.add(case, subject, PER_CPU, f"{unit}/CPU s", count / cpu_s)
    bench.results.add(case, subject, CLOUD, "%", 100 * cloud.cpu_s() / seconds)
