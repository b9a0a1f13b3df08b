"""*Growth*: more sources, longer backlogs, a cloud farther away, a slower disk."""

from __future__ import annotations

from pathlib import Path

from benchmarks import inputs
from benchmarks.bench import Bench
from benchmarks.cases import drain, load
from benchmarks.processes import started
from benchmarks.slow_disk import COMPILER, built, slowed

SOURCES, BACKLOG, DISTANCE, DISK = "growth: sources", "growth: backlog", "growth: round trip", "growth: fsync"
POLLS_A_SECOND = 500
"""Of all sources together: so many that tick ten times as often, or ten times as many."""
CLAIM, ACKNOWLEDGE, BOTH_CPU = "claim of ten", "acknowledge of ten", "CPU of both"
_TENS = 60


def kept(count: int) -> str:
    """So many sources, nothing uploaded."""
    return f"{count} sources, to disk"


def sent(count: int) -> str:
    """So many sources, uploaded too."""
    return f"{count} sources, to disk and cloud"


def waiting(count: int) -> str:
    """A backlog of so many."""
    return f"{count:,} items"


def round_trip(milliseconds: float) -> str:
    """A cloud so far away."""
    return f"{milliseconds:g} ms"


async def sources(bench: Bench) -> None:
    """10, 100 and 500 of them; 500 polls a second at any number."""
    async with bench.cloud() as cloud:
        for _ in range(bench.scale.rounds):
            for count in bench.scale.source_counts:
                some = load.Load({f"sensor-{n}": POLLS_A_SECOND / count for n in range(count)}, {})
                seconds = bench.scale.source_s
                await load.ours(bench, SOURCES, kept(count), some, cloud.address, seconds, disabled=True)
                await load.ours(bench, SOURCES, sent(count), some, cloud.address, seconds)


async def backlog(bench: Bench) -> None:
    """Claim and acknowledge at the head of 1,000 to 1,000,000 rows."""
    prepared = {count: bench.fresh(f"rows-{count}") for count in bench.scale.backlogs}
    for count, folder in prepared.items():
        await inputs.fill_with_rows(folder, count)
    for _ in range(bench.scale.rounds):
        for count, folder in prepared.items():
            spool = await inputs.copied(folder, bench.fresh("spool"))
            async with started("backlog", spool) as process:
                took = await process.ask("take", batches=_TENS)
            bench.results.add(BACKLOG, waiting(count), CLAIM, "µs", took["claim_s"] / _TENS * 1e6)
            bench.results.add(BACKLOG, waiting(count), ACKNOWLEDGE, "µs", took["acknowledge_s"] / _TENS * 1e6)
            bench.results.add(BACKLOG, waiting(count), BOTH_CPU, "µs", took["cpu_s"] / _TENS * 1e6)


async def distance(bench: Bench) -> None:
    """Frames and rows through a link that delays every byte, and loses none."""
    frames, rows = bench.fresh("frames"), bench.fresh("rows")
    await inputs.fill_with_frames(frames, bench.scale.growth_frames)
    await inputs.fill_with_rows(rows, bench.scale.growth_frames * 20)
    async with bench.cloud() as cloud:
        for _ in range(bench.scale.rounds):
            for milliseconds in bench.scale.round_trips_ms:
                async with started("far", cloud.port, milliseconds / 2000) as link:
                    address = str((await link.ask("address"))["address"])
                    for prepared, what, count in (
                        (frames, "frames", bench.scale.growth_frames),
                        (rows, "rows", bench.scale.growth_frames * 20),
                    ):
                        case = f"{DISTANCE}, {what}"
                        await drain.ours(bench, case, round_trip(milliseconds), cloud, prepared, count, address)


async def disk(bench: Bench) -> None:
    """A disk whose fsync takes its time: 50 sensors at 10 Hz, and durable appends 64 at a time."""
    if COMPILER is None:
        bench.say("no C compiler, no slow disk: left out")
        return
    library = await built(bench.folder)
    some = load.Load({f"sensor-{n}": 10.0 for n in range(50)}, {})
    async with bench.cloud() as cloud:
        for _ in range(bench.scale.rounds):
            for milliseconds in bench.scale.syncs_ms:
                environ, subject = slowed(library, milliseconds), round_trip(milliseconds)
                await load.ours(
                    bench, DISK, subject, some, cloud.address, bench.scale.source_s, environ=environ, disabled=True
                )
                await _appends(bench, subject, environ)


async def _appends(bench: Bench, subject: str, environ: dict[str, str]) -> None:
    folder: Path = bench.fresh("spool")
    async with started("queues", "ours", folder, 1_000, environ=environ) as process:
        took = await process.ask("append", count=640, wave=64)
        await process.ask("empty")
    bench.results.add(DISK, subject, "durable appends, 64 at a time", "items/s", 640 / took["seconds"])
