"""What every case is handed: how much to measure, where to put things, and where the figures go."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Results
from benchmarks.measure import Use, use_of
from benchmarks.processes import Subject, started
from benchmarks.scale import Scale


@dataclass(slots=True)
class Bench:
    """One run of some cases."""

    scale: Scale
    folder: Path
    """On a real disk; removed in the end."""
    results: Results
    stored: bool = False
    """Whether the cloud keeps what it gets, as the demo's does, instead of counting it."""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def fresh(self, name: str) -> Path:
        """A path of this name that nothing is at."""
        return self.folder / f"{name}-{next(self._numbers)}"

    def say(self, text: str) -> None:
        """Tell whoever waits."""
        print(text, flush=True)

    @contextlib.asynccontextmanager
    async def cloud(self) -> AsyncIterator[Cloud]:
        """A cloud in its own process."""
        arguments = ("--store", self.fresh("cloud")) if self.stored else ()
        async with started("sink", *arguments) as subject:
            yield Cloud(subject, str((await subject.ask("address"))["address"]))


@dataclass(frozen=True, slots=True)
class Cloud:
    """The process that takes the uploads."""

    subject: Subject
    address: str

    @property
    def port(self) -> int:
        """On loopback."""
        return int(self.address.rpartition(":")[2])

    async def received(self, items: int, timeout_s: float = 600.0) -> Received:
        """Wait for so many items since the last ``forget``; a row is an item, and so is a frame, and a file."""
        async with asyncio.timeout(timeout_s):
            return Received(**await self.subject.ask("wait", items=items))

    async def forget(self) -> None:
        """Count from zero."""
        await self.subject.ask("forget")


@dataclass(frozen=True, slots=True)
class Received:
    """What the cloud has received since the last ``forget``."""

    items: int
    calls: int
    bytes: int
    first_s: float
    """Monotonic time at which the first upload began; that clock is one for all processes."""
    last_s: float
    """When the last one was answered."""


class Stopwatch:
    """What a process uses from here on."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.before: Use = use_of(pid)
        self._begun = time.monotonic()

    def seconds(self) -> float:
        """Of wall clock."""
        return time.monotonic() - self._begun

    def cpu_s(self) -> float:
        """Of processor."""
        return use_of(self._pid).cpu_s - self.before.cpu_s

    def written_bytes(self) -> int:
        """What it has caused to be written to the disk since."""
        return use_of(self._pid).written_bytes - self.before.written_bytes

    def peak_bytes(self) -> int:
        """The most memory since the process began, or since ``measure.forget_peak``."""
        return use_of(self._pid).peak_bytes

    def memory_bytes(self) -> int:
        """What is in memory now."""
        return use_of(self._pid).resident_bytes
