"""The long form, ``python -m tests.faults.run --seed S --kills N --cuts C --minutes M``: writes docs/reliability.md.

Two benches share the kills, a third one goes through the faults of the cloud meanwhile. Then come the addresses and
three disks side by side, and, each with the computer to itself, as they hold the module to times: the machine, the
power cuts, the large backlog, the slow disks, the clock, the channel. Last comes the soak, all of it at once.
``--clock-only``, ``--network-only`` and ``--soak-only`` run only that. With ``--fsync-ms`` the table goes to a part of
its own, and no more comes after it.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import logging
import os
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from benchmarks.slow_disk import built, slowed
from tests.faults import slow_disk
from tests.faults.address_faults import address_rounds
from tests.faults.backlog import LARGE_BYTES, NoRoom, met_with_a_backlog
from tests.faults.bench import Bench
from tests.faults.churn import churned
from tests.faults.cloud_faults import cloud_rounds
from tests.faults.disk_faults import disk_rounds
from tests.faults.fuzz import fuzzed
from tests.faults.kills import kill_rounds
from tests.faults.ledger import Row
from tests.faults.machine_faults import machine_rounds
from tests.faults.power_cut import COMPILER, build_recorder, cut_power
from tests.faults.report import (
    Finding,
    Group,
    Rows,
    clock_section,
    network_section,
    section,
    slow_section,
    soak_section,
    table,
    total,
    write,
)
from tests.faults.soak import KEPT_ROOM_BYTES, Soak
from tests.faults.true_times import met_with_a_clock_that_is_set_late
from tests.faults.ways import all_ways

REPORT = Path(__file__).parents[2] / "docs" / "reliability.md"
_KILL_BENCHES = 2
_SAY_EVERY_S = 30
_CHANGE_EVERY_S = 15
"""The service, in the soak."""
_DISKS = 3
_POLLS_PER_S, _KILL_EVERY_S = 500, 20
"""Of a server that is killed."""
_SHARE = 1 / 6
"""Of that time have the addresses and the machine; each goes on until it has tried all that it has."""
_DISK_SHARE = 1 / 2
"""Of that time has each of the disks: what comes of damage depends on where it strikes."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.faults.run", description="Break the module at random, and count.")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="default: a random one")
    parser.add_argument("--kills", type=int, default=500, help="how many kill -9, at least; 500")
    parser.add_argument("--cuts", type=int, default=200, help="how many power cuts; 200; none without a C compiler")
    parser.add_argument("--minutes", type=float, default=6.0, help="for the faults of the cloud; 6; others a part")
    parser.add_argument("--fsync-ms", type=float, default=0.0, help="by how much modules' syncs are slowed; 0")
    parser.add_argument(
        "--clock-s", type=float, default=20.0, help="of captures before a clock is set; 20; none with 0"
    )
    parser.add_argument("--clock-only", action="store_true", help="only the clock; the rest stays as it was")
    parser.add_argument("--soak-minutes", type=float, default=10.0, help="for all faults at once; 10; none with 0")
    parser.add_argument("--soak-only", action="store_true", help="only all faults at once; the rest stays as it was")
    parser.add_argument("--fuzz-minutes", type=float, default=10.0, help="for the fuzzer of the channel; 10")
    parser.add_argument("--churn-minutes", type=float, default=10.0, help="for polls of a server that is killed; 10")
    parser.add_argument("--network-only", action="store_true", help="only the channel; the rest stays as it was")
    parser.add_argument("--report", type=Path, default=REPORT, help="the file to write; docs/reliability.md")
    return parser.parse_args()


def main() -> int:
    """Run, print the table, write the report; 1 if anything was lost, or a time was wrong."""
    given = _arguments()
    print(f"seed {given.seed}", flush=True)  # noqa: T201
    begun, problems = time.monotonic(), list[str]()
    folder = Path(tempfile.mkdtemp(prefix="courier-faults-"))
    if given.clock_only or given.soak_only or given.network_only:
        failed = given.clock_only and dated(folder, given.clock_s, given.report)
        failed |= given.network_only and networked(folder, given.fuzz_minutes, given.churn_minutes, given.report)
        failed |= given.soak_only and soaked(folder, given.seed, given.soak_minutes, given.report)
        return _end(folder, failed=failed)
    if given.fsync_ms:
        # Of all modules, which are started from here; a power cut has a library in its place.
        os.environ |= slowed(asyncio.run(built(folder)), given.fsync_ms)
    groups = asyncio.run(_run(folder, given.seed, given.kills, given.minutes))
    if given.cuts and COMPILER is not None:
        groups[Group.CUTS], problems = cuts(folder, given.seed, given.cuts)
    try:
        backlog = asyncio.run(met_with_a_backlog(folder / "backlog", LARGE_BYTES)).sentence()
    except NoRoom as error:
        backlog = f"The large backlog was left out: {error}."
    print(table(groups), backlog, *problems, f"{(time.monotonic() - begun) / 60:.1f} minutes", sep="\n")  # noqa: T201
    failed = bool(problems) or any(row.lost for rows in groups.values() for row in rows.values())
    command = f"tests/run.sh faults --seed {given.seed} --kills {given.kills} --cuts {given.cuts}"
    command += f" --minutes {given.minutes:g}"
    if given.fsync_ms:
        command += f" --fsync-ms {given.fsync_ms:g}"
        write(given.report, slow_section(groups, command, backlog, given.fsync_ms))
        return _end(folder, failed=failed)
    slow = asyncio.run(slow_disk.table(folder / "slow")) if COMPILER is not None else "There was no C compiler."
    print(slow)  # noqa: T201
    write(given.report, section(groups, command, backlog, slow))
    if given.clock_s and COMPILER is not None:
        failed |= dated(folder, given.clock_s, given.report)
    failed |= networked(folder, given.fuzz_minutes, given.churn_minutes, given.report)
    if given.soak_minutes:
        failed |= soaked(folder, given.seed, given.soak_minutes, given.report)
    return _end(folder, failed=failed)


def _end(folder: Path, *, failed: bool) -> int:
    """Return the exit status; if anything failed, the spools and the logs stay, as the evidence."""
    if failed:
        print(f"the evidence is in {folder}")  # noqa: T201
    else:
        shutil.rmtree(folder)
    return int(failed)


def dated(folder: Path, seconds: float, report: Path) -> bool:
    """Capture for so long before the clock is set, and write of it; returns whether a time was wrong."""
    place = folder / "clock"
    place.mkdir()
    result = asyncio.run(met_with_a_clock_that_is_set_late(place, seconds=seconds))
    print(result.sentence(), flush=True)  # noqa: T201
    write(report, clock_section(result.sentence(), f"tests/run.sh faults --clock-only --clock-s {seconds:g}"))
    return not result.sound


def soaked(folder: Path, seed: int, minutes: float, report: Path) -> bool:
    """Let everything go wrong at once for so long, and write of it; returns whether it failed."""
    # The resources of the machine raise what they are to raise.
    logging.getLogger("grpclib.server").setLevel(logging.CRITICAL)
    soak = Soak(folder / "soak", random.Random(f"{seed}:soak"))
    result = asyncio.run(soak.run(minutes * 60, change_every_s=_CHANGE_EVERY_S))
    print(result.sentence(), flush=True)  # noqa: T201
    command = f"tests/run.sh faults --soak-only --seed {seed} --soak-minutes {minutes:g}"
    write(report, soak_section(result.sentence(), command))
    failed = not result.sound or result.grown > KEPT_ROOM_BYTES
    if failed:
        print(*result.lost[:50], *result.dead, f"grown by {result.grown} bytes", sep="\n")  # noqa: T201
    return failed


def networked(folder: Path, fuzz_minutes: float, churn_minutes: float, report: Path) -> bool:
    """Try the channel's faults at their usual sizes, in turn, and write of it; returns whether it failed."""
    found = []
    kills = int(churn_minutes * 60 // _KILL_EVERY_S)
    if kills:
        # First, so that nothing else has used this process's memory.
        place = folder / "churn"
        place.mkdir()
        found.append(
            asyncio.run(churned(place, kills=kills, polls_per_s=_POLLS_PER_S, kill_every_s=_KILL_EVERY_S)).finding()
        )
        print(found[-1].sentence, flush=True)  # noqa: T201
    found += asyncio.run(_tried(folder / "ways"))
    if fuzz_minutes:
        found.append(fuzzed(fuzz_minutes).finding())
        print(found[-1].sentence, flush=True)  # noqa: T201
    command = f"tests/run.sh faults --network-only --fuzz-minutes {fuzz_minutes:g} --churn-minutes {churn_minutes:g}"
    write(report, network_section([each.sentence for each in found], command))
    return not all(each.sound for each in found)


async def _tried(folder: Path) -> list[Finding]:
    found = []
    async for finding in all_ways(folder):
        found.append(finding)
        print(finding.sentence, flush=True)  # noqa: T201
    return found


def cuts(folder: Path, seed: int, count: int) -> tuple[Rows, list[str]]:
    """Cut the power of a spool so often; gives the row, and what was wrong with spools beyond what they lost."""
    place = folder / "cuts"
    place.mkdir()
    tally = cut_power(place, build_recorder(place), seed, count)
    row = Row(tally.cuts, tally.at_stake, tally.at_stake, tally.lost, tally.came_back)
    _tell("power cuts", {"power cut": row})
    return {"power cut": row}, tally.problems


async def _run(folder: Path, seed: int, kills: int, minutes: float) -> dict[Group, Rows]:
    """Break modules until all is done, and give what came of it, fault by fault."""
    groups: dict[Group, Rows] = await _with_benches(folder, seed, kills, minutes)
    addresses, *disks = await asyncio.gather(
        address_rounds(folder / "address", random.Random(f"{seed}:address"), minutes * _SHARE),
        *(
            disk_rounds(folder / f"disk {number}", random.Random(f"{seed}:disk {number}"), minutes * _DISK_SHARE)
            for number in range(_DISKS)
        ),
    )
    groups |= {Group.ADDRESS: addresses, Group.DISK: total(disks)}
    groups[Group.MACHINE] = await machine_rounds(folder / "machine", random.Random(f"{seed}:machine"), minutes * _SHARE)
    for group in (Group.ADDRESS, Group.DISK, Group.MACHINE):
        _tell(group.name.lower(), groups[group])
    return groups


async def _with_benches(folder: Path, seed: int, kills: int, minutes: float) -> dict[Group, Rows]:
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
    *killed, cloud = (bench.ledger.rows for bench in benches)
    return {Group.KILLS: dict(sorted(total(killed).items())), Group.CLOUD: dict(cloud)}


async def _work(bench: Bench, work: Callable[[Bench], Awaitable[None]]) -> None:
    async with bench.open():
        await work(bench)


async def _say(benches: list[Bench]) -> None:
    begun = time.monotonic()
    while True:
        await asyncio.sleep(_SAY_EVERY_S)
        _tell(f"{time.monotonic() - begun:5.0f} s", total(bench.ledger.rows for bench in benches))


def _tell(what: str, rows: Mapping[str, Row]) -> None:
    tries, stake, lost = (sum(getattr(row, name) for row in rows.values()) for name in ("tries", "at_stake", "lost"))
    print(f"{what}: {tries} faults, {stake} at stake, {lost} lost", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
