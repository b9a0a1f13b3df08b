"""A bench whose captures follow from their numbers, with books by count, and disks that fill up or refuse.

A poll that finds no room is no capture, so that which polls were captured cannot be told, only how many: whatever was
polled is in the cloud, was dropped by name, was refused with an error, or is named as damaged.
"""

from __future__ import annotations

import asyncio
import base64
import collections
import contextlib
import hashlib
import os
import random
import resource
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grpclib import GRPCError

from module.local.calls import Arrival, UploadMethod
from tests.faults.bench import DATA, GONE, RATES_HZ, Bench
from tests.faults.ledger import Row
from tests.process.rig import CountingSensor

BIG = 200_000
_PATIENCE_S = 30.0
_DRAIN_S = 60.0
_STILL_S = 0.15


class CannotMount(Exception):
    """Mounting a disk takes root, and what a container may not always have."""


@contextlib.contextmanager
def small_disk(where: Path, megabytes: int) -> Iterator[None]:
    """A file system of that size at ``where``, made and gone with the block; raises CannotMount."""
    where.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(where)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        raise CannotMount("mounting a small disk takes root")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", where], check=True)


@contextlib.contextmanager
def read_only(where: Path) -> Iterator[None]:
    """The disk at ``where`` takes nothing for as long as the block runs; nobody may have a file of it open to write."""
    subprocess.run(["mount", "-o", "remount,ro", where], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", where], check=True)


@contextlib.contextmanager
def refused_writes(pid: int) -> Iterator[None]:
    """Every write to a file fails in a process that runs, reads do not: what a disk does that turned read-only."""
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def fill(disk: Path) -> Path:
    """Take what room there is; gives the file that takes it."""
    path = disk / "filler"
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    return path


def text_of(number: int, size: int) -> str:
    """What ``upload_data`` is given under a number."""
    noise = base64.b64encode(random.Random(number).randbytes(size * 3 // 4)).decode()
    return f"{number}:{noise}"[:size]


def noise_of(name: str, number: int) -> str:
    """What a sensor says beside its number."""
    return hashlib.sha256(f"{name} {number}".encode()).hexdigest() * 4


class NoisySensor(CountingSensor):
    """Gives more than its number, so that damage shows."""

    async def get_readings(self, *, extra: Any = None, timeout: float | None = None, **_: Any) -> Mapping[str, Any]:
        readings = await super().get_readings(extra=extra)
        return {"n": readings["n"], "noise": noise_of(self.name, readings["n"])}


@dataclass(slots=True)
class Tally:
    """What the module said of one source, over all its lives."""

    captured: int = 0
    dropped: int = 0
    errors: int = 0
    polls: int = 0


class DiskBench(Bench):
    """A bench over a spool in a directory of its own."""

    def __init__(self, folder: Path, chance: random.Random, name: str, directory: Path) -> None:
        super().__init__(folder, chance, name)
        self.sensors = {key: NoisySensor(key) for key in RATES_HZ}
        self.directory = directory
        self.attributes["spool"] = {"directory": str(directory), "min_free_bytes": 0}
        self.past = {key: Tally() for key in RATES_HZ}
        """Of the lives that have ended."""
        self.past_dropped = 0
        self.sizes: dict[int, int] = {}
        self.taken: set[int] = set()
        """Numbers of ``upload_data`` that were answered."""
        self.full = 0
        """How many found no room."""
        self.wrong: list[str] = []
        """What arrived and is not what was captured."""

    @property
    def file(self) -> Path:
        return self.directory / "spool.sqlite3"

    # ------------------------------------------------------------------ what goes in

    async def _put(self, size: int) -> None:
        self._data += 1
        number = self._data
        self.sizes[number] = size
        try:
            await self.rig.command(DATA, text=text_of(number, size), file_name=f"{number}.txt")
        except GRPCError as error:
            # As the module tells it, which counts it as dropped then.
            self.full += "no room" in str(error.message) or "is full" in str(error.message)
        except GONE:
            pass
        else:
            self.taken.add(number)

    async def put_all(self, count: int, size: int = BIG) -> None:
        """Have ``upload_data`` called so many times, a few at once, and wait for the answers."""
        while count > 0:
            await asyncio.gather(*self.put(min(count, 8), size))
            count -= 8

    # ------------------------------------------------------------------ what the module says

    async def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The status once it holds."""
        return await self.rig.until(holds, _PATIENCE_S)

    async def goes_on(self, count: int = 5) -> None:
        """Return once each source has captured so many more times."""
        now = _counts(await self.rig.status(), "captured")
        await self.until(lambda s: all(n >= now[key] + count for key, n in _counts(s, "captured").items()))

    async def leave_cloud(self) -> None:
        """Take the cloud away between two uploads.

        What had arrived without an answer, and was dropped by name then, would be in the books twice.
        """
        await self.rig.command("pause", what="upload")
        await self.until(lambda status: not status["upload"]["in_flight"])
        await self.set_cloud(up=False)
        await self.rig.command("resume", what="upload")

    async def tried(self, count: int = 5) -> None:
        """Return once each source has been polled so many more times."""
        now = {key: len(sensor.polls) for key, sensor in self.sensors.items()}
        async with asyncio.timeout(_PATIENCE_S):
            while any(len(sensor.polls) < now[key] + count for key, sensor in self.sensors.items()):
                await asyncio.sleep(0.02)

    async def quiet(self) -> dict[str, Any]:
        """Stop capturing, and give the status once nothing is on its way to the disk."""
        await self.rig.command("pause", what="capture")
        before: object = None
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                status = await self.rig.status()
                now = [_counts(status, what) for what in ("captured", "dropped", "errors")]
                if now == before and all(sum(c[key] for c in now) >= self._polls(key) for key in self.sensors):
                    return status
                before = now
                await asyncio.sleep(_STILL_S)

    def _polls(self, key: str) -> int:
        """How often a sensor was asked in this life."""
        return len(self.sensors[key].polls) - self.past[key].polls

    async def end_life(self, *, gently: bool = False) -> None:
        """Stop capturing, note the counts, and end the module, by SIGTERM or by ``kill -9``."""
        status = await self.quiet()
        for key, tally in self._tallies(status).items():
            self.past[key] = tally
        self.past_dropped += status["spool"]["dropped"]
        await (self.rig.server.terminate() if gently else self.kill())

    def _tallies(self, status: dict[str, Any]) -> dict[str, Tally]:
        tallies: dict[str, Tally] = {}
        for key, past in self.past.items():
            now = status["sources"][key]
            captured, dropped, errors = (int(now[what]) for what in ("captured", "dropped", "errors"))
            counts = (past.captured + captured, past.dropped + dropped, past.errors + errors)
            tallies[key] = Tally(*counts, len(self.sensors[key].polls))
        return tallies

    async def struck(self) -> None:
        """The fault has done its work: note how much waits that was captured before."""
        self.take()
        captured = sum(tally.captured for tally in self._tallies(await self.rig.status()).values()) + len(self.taken)
        self.ledger.rows[self.name].waiting += max(0, captured - len(self.ledger.delivered))

    # ------------------------------------------------------------------ what arrives

    def take(self) -> None:
        for arrival in self.cloud.arrivals:
            self.wrong += self._faults(arrival)
        super().take()

    def _faults(self, arrival: Arrival) -> Iterator[str]:
        if arrival.method is UploadMethod.TABULAR:
            name = arrival.metadata.component_name
            for row in arrival.rows:
                fields = row.struct.fields["readings"].struct_value.fields
                number = int(fields["n"].number_value)
                if fields["noise"].string_value != noise_of(name, number) or number > len(self.sensors[name].polls):
                    yield f"row {number} of {name}"
        else:
            number = int(arrival.metadata.file_name.partition(".")[0])
            if arrival.sha256 != hashlib.sha256(text_of(number, self.sizes[number]).encode()).hexdigest():
                yield f"data {number}"

    async def settle(self) -> None:
        """As ``account``, where nothing may be damaged."""
        await self.account()

    async def account(self) -> Mapping[str, Row]:
        """Upload all that waits, and see that all that was asked for is somewhere; gives the row of the fault."""
        self.heal()
        await self.quiet()
        await self.set_cloud(up=True)
        status = await self._drain()
        self.take()
        assert not self.wrong, self.wrong
        delivered = collections.Counter(name for name, _ in self.ledger.delivered)
        tallies = self._tallies(status)
        of_data = self.past_dropped + status["spool"]["dropped"] - sum(t.dropped for t in tallies.values())
        captured = sum(tally.captured for tally in tallies.values()) + len(self.taken)
        missing = {k: t.polls - t.dropped - t.errors - delivered[k] for k, t in tallies.items()}
        missing[DATA] = len(self.taken) + self.full - of_data - delivered[DATA]
        named = int(status["spool"]["failed"] + status["spool"]["unreadable"])
        without = sorted(self.taken - {number for name, number in self.ledger.delivered if name == DATA})
        books = (
            f"missing {missing}, of data {without[:20]}, named {named}; {tallies}; {status}; the log is {self.rig.log}"
        )
        assert min(missing.values()) >= 0, f"more than was asked for: {books}"
        row = self.ledger.rows[self.name]
        row.tries += 1
        row.at_stake += captured
        row.lost += max(0, sum(missing.values()) - named)
        assert not row.lost, books
        return self.ledger.rows

    async def _drain(self) -> dict[str, Any]:
        """Upload until nothing waits but what is damaged; gives the status."""
        status: dict[str, Any] = {}
        until = time.monotonic() + _DRAIN_S
        while time.monotonic() < until:
            # The first call that meets damage may fail with it.
            with contextlib.suppress(GRPCError):
                await self.rig.command("flush", timeout_s=5)
                status = await self.rig.status()
                failures = (await self.rig.command("failures", limit=1000))["failures"]
                healthy = [int(one["id"]) for one in failures if "damaged" not in one["error"]]
                if not healthy and not status["spool"]["items"]:
                    return status
                if healthy:
                    await self.rig.command("retry", ids=healthy)
        logged = [entry.message for entry in self.rig.server.logs][-20:]
        raise AssertionError(f"not drained within {_DRAIN_S} s: {status}; {logged}")


def _counts(status: dict[str, Any], what: str) -> dict[str, int]:
    return {key: int(status["sources"][key][what]) for key in RATES_HZ}
