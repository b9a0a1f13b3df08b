"""Power cuts: spools as a disk may hold them when the power goes, opened, and asked for every capture that counted.

A writer runs under the recorder in ``power_cut.c``; ``disk.py`` rebuilds its disk as of any moment. Half of the cuts
come right after a capture counted. Every other round begins with what the cut before it left.

``python -m tests.faults.power_cut --seed S --cuts N`` prints one line, and ends with 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from module.attributes.uploader import Sync
from module.errors import SpoolError
from module.spool.store import Store
from tests.faults.disk import Disk, Record, read_journal
from tests.faults.writer import number_of
from tests.spool.rig import LOGGER, claim, spool_config, upload_config

ROOT = Path(__file__).parent.parent.parent
CUTS_A_ROUND = 10
COMPILER = shutil.which("cc")
_WRITER_S = 120.0
_OPEN_S = 30.0
_EARLY = 100


@dataclass(slots=True)
class Tally:
    """What the cuts came to."""

    seed: int
    cuts: int = 0
    at_stake: int = 0
    """Captures that had counted and whose acknowledgement had not begun, summed over the cuts."""
    lost: int = 0
    came_back: int = 0
    """Captures that had been acknowledged and are there again: they will be delivered twice."""
    problems: list[str] = field(default_factory=list)
    """Spools that did not open, that fail ``integrity_check``, or that hold other bytes than were put in."""

    def __str__(self) -> str:
        return (
            f"power cut: cuts {self.cuts}, captures at stake {self.at_stake}, lost {self.lost}, "
            f"came back {self.came_back}, problems {len(self.problems)}, seed {self.seed}"
        )


@dataclass(slots=True)
class Claims:
    """What the writer has said up to a moment."""

    counted: set[int]
    leaving: set[int] = field(default_factory=set)
    left: set[int] = field(default_factory=set)

    def hear(self, record: Record) -> None:
        """Take in one line."""
        word, *numbers = record.data.decode().split()
        said: set[int] = getattr(self, word)
        said.update(map(int, numbers))


def build_recorder(folder: Path) -> Path:
    """Compile the recorder into ``folder``; needs ``COMPILER``."""
    library = folder / "power_cut.so"
    source = Path(__file__).with_suffix(".c")
    command = [str(COMPILER), "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread", "-o", str(library)]
    subprocess.run([*command, str(source)], check=True)
    return library


def run_writer(recorder: Path, disk: Path, spool: Path, first: int, *, seed: int, sync: Sync) -> list[Record]:
    """Let the writer do its work on ``spool``, below ``disk``; gives all that it did there."""
    journal = disk.with_suffix(".journal")
    recording = {"LD_PRELOAD": str(recorder), "POWER_CUT_DIRECTORY": str(disk), "POWER_CUT_JOURNAL": str(journal)}
    subprocess.run(
        [sys.executable, "-m", "tests.faults.writer", str(spool), str(first), str(seed), sync],
        env={**os.environ, **recording},
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=_WRITER_S,
    )
    records = read_journal(journal)
    journal.unlink()
    return records


async def _held(spool: Path) -> Counter[int]:
    """Every capture in a spool, failures included. Raises SpoolError, or ValueError for bytes that are not its own."""
    store = Store(spool_config(directory=str(spool), min_free_bytes=0), upload_config(), LOGGER)
    found: Counter[int] = Counter()
    try:
        async with asyncio.timeout(_OPEN_S):
            await store.open()
            await store.retry()
            while items := await claim(store):
                found.update(number_of(item.payload) for item in items)
    finally:
        await store.close()
    return found


def examine(spool: Path, claims: Claims, tally: Tally) -> set[int]:
    """Open what a cut left of a spool and add it to the tally; gives the captures that it holds."""
    at_stake = claims.counted - claims.leaving
    found: Counter[int] = Counter()
    try:
        found = asyncio.run(_held(spool))
        with closing(sqlite3.connect(spool / "spool.sqlite3")) as db:
            verdict = db.execute("PRAGMA integrity_check").fetchall()
        if aside := list(spool.glob("*.damaged*")):
            tally.problems.append(f"set aside: {aside}")
        if verdict != [("ok",)]:
            tally.problems.append(f"integrity_check: {verdict}")
        if twice := [number for number, times in found.items() if times > 1]:
            tally.problems.append(f"held twice: {twice}")
    except (SpoolError, TimeoutError, ValueError, sqlite3.Error) as error:
        tally.problems.append(repr(error))
    tally.cuts += 1
    tally.at_stake += len(at_stake)
    tally.lost += len(at_stake - set(found))
    tally.came_back += len(claims.left & set(found))
    return set(found)


def _moments(records: Sequence[Record], cuts: int, rng: random.Random) -> list[int]:
    """Numbers of records after which the power goes, ascending."""
    counts = [i for i, record in enumerate(records, 1) if record.data.startswith(b"counted") and record.kind == "l"]
    anywhere = [rng.choice(counts) if rng.random() < 0.5 else rng.randint(0, len(records)) for _ in range(cuts - 1)]
    return sorted([rng.randint(0, _EARLY), *anywhere])


def _same(one: Path, other: Path) -> bool:
    files = [
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (one, other)
    ]
    return files[0] == files[1]


def cut_power(folder: Path, recorder: Path, seed: int, cuts: int, sync: Sync = Sync.FULL) -> Tally:
    """Cut the power ``cuts`` times; ``sync`` is the setting of the spool."""
    rng, tally = random.Random(seed), Tally(seed)
    before: set[int] = set()
    left, opened, everything, first = folder / "left", folder / "opened", folder / "all", 1
    for number in range(-(-cuts // CUTS_A_ROUND)):
        root = folder / f"disk{number}"
        # A damaged spool may not carry another writer.
        if number % 2 == 0 or tally.problems:
            before = set()
            (root / "data").mkdir(parents=True)
        else:
            left.rename(root)
        disk, claims = Disk(root), Claims(set(before))
        records = run_writer(recorder, root, root / "data" / "spool", first, seed=rng.getrandbits(32), sync=sync)
        done = 0
        for moment in _moments(records, min(CUTS_A_ROUND, cuts - tally.cuts), rng):
            _follow(records[done:moment], disk, claims)
            done = moment
            for each in (left, opened):
                shutil.rmtree(each, ignore_errors=True)
            disk.cut(left, rng)
            shutil.copytree(left, opened)
            before = examine(opened / "data" / "spool", claims, tally)
        _follow(records[done:], disk, claims)
        disk.write(everything)
        if not _same(everything, root):
            tally.problems.append(f"the recorder missed something of what was done to {root}")
        shutil.rmtree(everything)
        shutil.rmtree(root)
        first = max(claims.counted | before, default=0) + 1
    return tally


def _follow(records: Sequence[Record], disk: Disk, claims: Claims) -> None:
    for record in records:
        if record.kind == "l":
            claims.hear(record)
        else:
            disk.follow(record)


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.power_cut", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--sync", type=Sync, choices=list(Sync), default=Sync.FULL, help="of the spool")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        tally = cut_power(folder, build_recorder(folder), options.seed, options.cuts, options.sync)
    sys.stdout.write("\n".join([*tally.problems, str(tally)]) + "\n")
    return 1 if tally.lost or tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
