"""The long form, ``python -m tests.faults.run --seed S --kills N --cuts C --minutes M``: writes docs/reliability.md.

Two benches share the kills, a third one goes through the faults of the cloud meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.faults.bench import Bench
from tests.faults.cloud_faults import cloud_rounds
from tests.faults.kills import kill_rounds
from tests.faults.ledger import Row
from tests.faults.power_cut import COMPILER, build_recorder, cut_power
from tests.faults.report import section, table, total, write

REPORT = Path(__file__).parents[2] / "docs" / "reliability.md"
_KILL_BENCHES = 2
_SAY_EVERY_S = 30


def main() -> int:
    """Run, print the table, write the report; 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="tests.faults.run", description="Break the module at random, and count.")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="default: a random one")
    parser.add_argument("--kills", type=int, default=500, help="how many kill -9, at least; 500")
    parser.add_argument("--cuts", type=int, default=200, help="how many power cuts; 200; none without a C compiler")
    parser.add_argument("--minutes", type=float, default=10.0, help="for the faults of the cloud; 10")
    parser.add_argument("--report", type=Path, default=REPORT, help="the file to write; docs/reliability.md")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)  # noqa: T201
    rows = asyncio.run(run(given.seed, given.kills, given.minutes))
    problems: list[str] = []
    if given.cuts and COMPILER is not None:
        rows["power cut"], problems = cuts(given.seed, given.cuts)
    print(table(rows), *problems, sep="\n")  # noqa: T201
    options = f"--seed {given.seed} --kills {given.kills} --cuts {given.cuts} --minutes {given.minutes:g}"
    write(given.report, section(rows, f"python -m tests.faults.run {options}"))
    return int(any(row.lost for row in rows.values()) or bool(problems))


def cuts(seed: int, count: int) -> tuple[Row, list[str]]:
    """Cut the power of a spool so often; gives the row, and what was wrong with spools beyond what they lost."""
    with tempfile.TemporaryDirectory(prefix="courier-cuts-") as name:
        folder = Path(name)
        tally = cut_power(folder, build_recorder(folder), seed, count)
    return Row(tally.cuts, tally.at_stake, tally.at_stake, tally.lost, tally.came_back), tally.problems


async def run(seed: int, kills: int, minutes: float) -> dict[str, Row]:
    """Break modules until all is done, and give what came of it, fault by fault."""
    folder = Path(tempfile.mkdtemp(prefix="courier-faults-"))
    works: dict[str, Callable[[Bench], Awaitable[None]]] = {
        **{
            f"kills {number}": functools.partial(kill_rounds, kills=(kills + number) // _KILL_BENCHES)
            for number in range(_KILL_BENCHES)
        },
        "cloud": functools.partial(cloud_rounds, minutes=minutes),
    }
    benches = [Bench(folder / name, random.Random(f"{seed}:{name}"), name) for name in works]
    said = asyncio.create_task(_say(benches), name="say")
    try:
        async with asyncio.TaskGroup() as group:
            for bench, work in zip(benches, works.values(), strict=True):
                group.create_task(_work(bench, work), name=bench.name)
    finally:
        said.cancel()
    rows = total(bench.ledger.rows for bench in benches)
    if not any(row.lost for row in rows.values()):
        # Else the spools and the logs are the evidence.
        shutil.rmtree(folder)
    return rows


async def _work(bench: Bench, work: Callable[[Bench], Awaitable[None]]) -> None:
    async with bench.open():
        await work(bench)


async def _say(benches: list[Bench]) -> None:
    begun = time.monotonic()
    while True:
        await asyncio.sleep(_SAY_EVERY_S)
        rows = total(bench.ledger.rows for bench in benches).values()
        tries, stake, lost = (sum(getattr(row, name) for row in rows) for name in ("tries", "at_stake", "lost"))
        print(f"{time.monotonic() - begun:5.0f} s: {tries} faults, {stake} at stake, {lost} lost", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
