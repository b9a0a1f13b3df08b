"""What a disk, and a spool's file on it, can go through: each function is one case, over a module of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from module.attributes.uploader import WhenFull
from tests.faults.disk_bench import CannotMount, DiskBench, fill, read_only, refused_writes, small_disk
from tests.faults.ledger import Row
from tests.faults.version_1 import old_version
from tests.waiting import until

Rows = Mapping[str, Row]
Case = Callable[[Path, random.Random], Awaitable[Rows]]
_MEGABYTES = 40
_BACKLOG = 12
_FULL_WITHIN_S = 60.0


@contextlib.asynccontextmanager
async def _opened(bench: DiskBench, *, away: bool = False) -> AsyncIterator[None]:
    bench.ledger.begin(bench.name)
    async with bench.open():
        await bench.set_cloud(up=not away)
        yield


def _says(bench: DiskBench, *words: str) -> Callable[[dict[str, Any]], bool]:
    """Whether the status says what is wrong, and where."""

    def holds(status: dict[str, Any]) -> bool:
        said = str(status["spool"]["last_error"])
        return str(bench.directory) in said and any(word in said for word in words)

    return holds


# ---------------------------------------------------------------------- a disk without room


async def full_from_the_start(folder: Path, chance: random.Random) -> Rows:
    """The disk has not a byte when the spool is to be made; then it has."""
    with small_disk(folder / "disk", _MEGABYTES):
        filler = fill(folder / "disk")
        bench = DiskBench(folder, chance, "disk full before the spool is made", folder / "disk" / "spool")
        async with _opened(bench):
            await bench.until(_says(bench, "full", "No space"))
            filler.unlink()
            await bench.goes_on()
            return await bench.account()


async def full_before_it_is_opened(folder: Path, chance: random.Random) -> Rows:
    """A spool with a backlog stands on a disk that is full when the module starts."""
    with small_disk(folder / "disk", _MEGABYTES):
        bench = DiskBench(folder, chance, "disk full before a spool is opened", folder / "disk" / "spool")
        async with _opened(bench, away=True):
            await bench.put_all(_BACKLOG)
            await bench.captured(3)
            await bench.end_life()
            filler = fill(folder / "disk")
            await bench.restart()
            # It opens all the same: that is what the reserve is for.
            await bench.until(lambda status: status["spool"]["items"] >= _BACKLOG)
            fill(folder / "disk")
            await bench.until(_says(bench, "full", "No space", "no room"))
            await bench.struck()
            await bench.set_cloud(up=chance.random() < 0.5)
            filler.unlink()
            await bench.goes_on()
            return await bench.account()


def full_in_a_commit(when_full: WhenFull) -> Case:
    """The captures themselves fill the disk while the cloud is away, and far beyond."""

    async def case(folder: Path, chance: random.Random) -> Rows:
        with small_disk(folder / "disk", chance.choice((24, 32, 40))):
            bench = DiskBench(folder, chance, f"disk full in a commit, {when_full}", folder / "disk" / "spool")
            bench.attributes["spool"]["when_full"] = when_full.value
            async with _opened(bench, away=True):
                async with asyncio.timeout(_FULL_WITHIN_S):
                    while not (already := int((await bench.rig.status())["spool"]["dropped"])):
                        await bench.put_all(8)
                await asyncio.gather(bench.put_all(32), bench.tried(20))
                await bench.until(lambda status: status["spool"]["dropped"] >= already + 10)
                await bench.struck()
                await bench.set_cloud(up=True)
                await bench.put_all(8)
                await bench.goes_on()
                return await bench.account()

    return case


async def full_for_a_while(folder: Path, chance: random.Random) -> Rows:
    """Another program fills the disk, and frees it again, while captures run."""
    with small_disk(folder / "disk", _MEGABYTES):
        bench = DiskBench(folder, chance, "disk filled by another program", folder / "disk" / "spool")
        async with _opened(bench):
            await bench.goes_on()
            if chance.random() < 0.5:
                await bench.leave_cloud()
            filler = fill(folder / "disk")
            await bench.put_all(_BACKLOG)
            # What the spool held in reserve goes to the other program too.
            fill(folder / "disk")
            await asyncio.gather(bench.put_all(_BACKLOG), bench.tried(10))
            await bench.struck()
            filler.unlink()
            await bench.goes_on()
            return await bench.account()


# ---------------------------------------------------------------------- a disk that refuses


async def read_only_at_the_start(folder: Path, chance: random.Random) -> Rows:
    """The disk is read-only when a spool with a backlog is to be opened."""
    with small_disk(folder / "disk", _MEGABYTES):
        bench = DiskBench(folder, chance, "disk read-only before a spool is opened", folder / "disk" / "spool")
        async with _opened(bench, away=True):
            await bench.put_all(_BACKLOG)
            await bench.captured(3)
            await bench.end_life()
            with read_only(folder / "disk"):
                await bench.restart()
                await bench.until(_says(bench, "Read-only", "readonly", "read-only"))
                await bench.struck()
            await bench.goes_on()
            return await bench.account()


async def refuses_for_a_while(folder: Path, chance: random.Random) -> Rows:
    """Every write fails for a while, as on a disk that turned read-only, while captures and uploads run."""
    bench = DiskBench(folder, chance, "disk refuses writes for a while", folder / "spool")
    async with _opened(bench, away=chance.random() < 0.5):
        await bench.put_all(_BACKLOG)
        await bench.goes_on()
        with refused_writes(bench.rig.server.pid):
            await asyncio.gather(bench.put_all(4), bench.tried(10))
            await bench.until(_says(bench, "I/O", "read-only", "readonly"))
            # A log comes in beside the status.
            await until(lambda: any("could not be written" in entry.message for entry in bench.rig.server.logs))
            await bench.struck()
        await bench.goes_on()
        return await bench.account()


async def no_directory(folder: Path, chance: random.Random) -> Rows:
    """A file stands where the spool's folder, or one above it, is to be made; then it is taken away."""
    above = folder / "above"
    blocked = chance.choice((above, above / "spool"))
    blocked.parent.mkdir(exist_ok=True)
    blocked.write_text("I was here first")
    bench = DiskBench(folder, chance, "the spool's directory cannot be made", above / "spool")
    async with _opened(bench):
        await bench.until(_says(bench, "exists", "Not a directory"))
        blocked.unlink()
        await bench.goes_on()
        return await bench.account()


# ---------------------------------------------------------------------- a file that is damaged


def _overwrite(path: Path, chance: random.Random) -> None:
    """Put noise somewhere into the file, a few times, a few bytes or a few pages."""
    with path.open("r+b", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        for _ in range(chance.randint(1, 4)):
            file.seek(chance.randrange(size))
            file.write(chance.randbytes(min(chance.choice((1, 16, 500, 5_000, 40_000)), size - file.tell())))


def _truncate(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size))


HARMS: dict[str, tuple[str, Callable[[Path, random.Random], None]]] = {
    "file overwritten": ("", _overwrite),
    "file cut short": ("", _truncate),
    "journal overwritten": ("-wal", _overwrite),
    "journal cut short": ("-wal", _truncate),
}


def _harm(bench: DiskBench, kind: str, chance: random.Random) -> None:
    suffix, harm = HARMS[kind]
    path = Path(f"{bench.file}{suffix}")
    # A journal that was just given back to the disk has nothing to damage.
    if path.exists() and path.stat().st_size:
        harm(path, chance)


async def _fill(bench: DiskBench, *, in_file: bool) -> None:
    """Have captures of all sizes wait, in the file itself or in its journal."""
    await bench.put_all(_BACKLOG)
    await bench.put_all(40, 500)
    await bench.captured(10)
    if in_file:
        # Only now the journal is worked into it.
        await bench.end_life(gently=True)
        await bench.restart()
        await bench.captured(3)


def damaged_while_down(kind: str) -> Case:
    """The module is killed over a backlog, its file damaged, and the module started again."""

    async def case(folder: Path, chance: random.Random) -> Rows:
        bench = DiskBench(folder, chance, f"{kind} while the module is down", folder / "spool")
        async with _opened(bench, away=True):
            await _fill(bench, in_file=not HARMS[kind][0])
            await bench.end_life()
            _harm(bench, kind, chance)
            await bench.restart()
            await bench.goes_on()
            await bench.struck()
            return await bench.account()

    return case


def damaged_while_up(kind: str) -> Case:
    """The file is damaged again and again while captures and uploads run."""

    async def case(folder: Path, chance: random.Random) -> Rows:
        bench = DiskBench(folder, chance, f"{kind} while captures run", folder / "spool")
        async with _opened(bench, away=True):
            await _fill(bench, in_file=not HARMS[kind][0])
            await bench.set_cloud(up=chance.random() < 0.5)
            for _ in range(3):
                _harm(bench, kind, chance)
                await asyncio.gather(bench.put_all(4), bench.put_all(10, 500))
                await bench.goes_on()
            await bench.struck()
            return await bench.account()

    return case


CASES: dict[str, Case] = {
    "full from the start": full_from_the_start,
    "full before it is opened": full_before_it_is_opened,
    **{f"full in a commit, {policy.value}": full_in_a_commit(policy) for policy in WhenFull},
    "full for a while": full_for_a_while,
    "read-only at the start": read_only_at_the_start,
    "refuses for a while": refuses_for_a_while,
    "no directory": no_directory,
    **{f"{kind}, down": damaged_while_down(kind) for kind in HARMS},
    **{f"{kind}, up": damaged_while_up(kind) for kind in HARMS},
    "an older version": old_version,
}


async def disk_rounds(folder: Path, chance: random.Random, minutes: float) -> dict[str, Row]:
    """All cases in turn until so many minutes have passed, each at least once; gives the rows, fault by fault.

    Cases that need a disk of their own are left out where none can be mounted.
    """
    rows: dict[str, Row] = {}
    until, turn = time.monotonic() + minutes * 60, 0
    while True:
        for case in CASES.values():
            turn += 1
            place = folder / str(turn)
            place.mkdir(parents=True)
            with contextlib.suppress(CannotMount):
                for fault, row in (await case(place, chance)).items():
                    rows.setdefault(fault, Row()).add(row)
        if time.monotonic() >= until:
            return rows
