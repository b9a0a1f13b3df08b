"""*Spool*: durable appends, claims and acknowledgements, and what they write, beside three libraries."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.inputs import FRAME_BYTES
from benchmarks.processes import started

SMALL, LARGE = "spool 1 kB", "spool 100 kB"
OURS = "ours"
LIBRARIES = ("persist-queue", "diskcache", "litequeue")
BY_HAND = ("diskcache-transact", "litequeue-transact")
"""The same, each wave in one transaction that the caller opens: what gathers them is the caller's own work."""
APPEND, EMPTY = "durable appends, 64 at a time", "claim and acknowledge"
WRITTEN, WRITTEN_APPEND = "bytes written a byte captured", "of them by the appends"
CPU = "CPU per item"
WAVE = 64


async def spool(bench: Bench) -> None:
    """Items of 1 kB and of 100 kB."""
    for _ in range(bench.scale.rounds):
        for case, size, count in (
            (SMALL, 1_000, bench.scale.spool_items),
            (LARGE, FRAME_BYTES, max(WAVE, bench.scale.spool_items // 5)),
        ):
            for which in (OURS, *LIBRARIES, *BY_HAND):
                await _queue(bench, case, which, size, count // WAVE * WAVE)


async def _queue(bench: Bench, case: str, which: str, size: int, count: int) -> None:
    async with started("queues", which, bench.fresh(which), size) as process:
        appended = await process.ask("append", count=count, wave=WAVE)
        emptied = await process.ask("empty")
    if emptied["count"] != count:
        raise RuntimeError(f"{which} gave {emptied['count']} items of {count}")
    add = bench.results.add
    add(case, which, APPEND, "items/s", count / appended["seconds"])
    add(case, which, EMPTY, "items/s", emptied["count"] / emptied["seconds"])
    add(case, which, CPU, "µs", 1e6 * (appended["cpu_s"] + emptied["cpu_s"]) / count)
    add(case, which, WRITTEN, "", (appended["written"] + emptied["written"]) / count / size)
    add(case, which, WRITTEN_APPEND, "", appended["written"] / count / size)
