"""The machines of a fleet, spread over a few processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.fleet.load import Load
from benchmarks.fleet.machines import arguments

_ROOT = Path(__file__).parents[2]
_LINE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Books:
    """What the machines know at the end."""

    attempts: list[float]
    """When an upload was tried, monotonic, whether or not there was anybody to answer."""
    machines: list[dict[str, Any]]
    """``Machine.books`` of each."""


class Fleet:
    """See ``started``."""

    def __init__(self, processes: list[asyncio.subprocess.Process]) -> None:
        self._processes = processes

    async def ready(self) -> None:
        """Return once all machines capture."""
        await asyncio.gather(*(_answer(process) for process in self._processes))

    async def mark(self) -> None:
        """Have all machines note what waits, right before the cloud's return."""
        await self._tell("mark")

    async def hold(self, seconds: float) -> None:
        """Have all machines upload nothing for so long, as ``upload.active_hours`` would have it."""
        await self._tell("hold", opens=(datetime.now(UTC) + timedelta(seconds=seconds)).isoformat())

    async def end(self) -> Books:
        """Capture no more, upload all that waits, and close the books."""
        answers = await self._tell("end")
        attempts = sorted(moment for answer in answers for moment in answer["attempts"])
        return Books(attempts, [machine for answer in answers for machine in answer["machines"]])

    async def _tell(self, do: str, **arguments: str) -> list[dict[str, Any]]:
        for process in self._processes:
            if process.stdin is not None:
                process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        return list(await asyncio.gather(*(_answer(process) for process in self._processes)))


async def _answer(process: asyncio.subprocess.Process) -> dict[str, Any]:
    line = b"" if process.stdout is None else await process.stdout.readline()
    if not line:
        raise RuntimeError(f"a process of the fleet ended with status {await process.wait()}")
    answer: dict[str, Any] = json.loads(line)
    return answer


@contextlib.asynccontextmanager
async def started(address: str, directory: Path, *, machines: int, processes: int, load: Load) -> AsyncIterator[Fleet]:
    """So many machines with their spools in ``directory``; they end when the context is left."""
    begun: list[asyncio.subprocess.Process] = []
    try:
        for index in range(processes):
            first, beyond = index * machines // processes, (index + 1) * machines // processes
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "benchmarks.fleet.machines",
                *arguments(address, directory, first, beyond - first, load),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=_ROOT,
                env={**os.environ, "PYTHONPATH": str(_ROOT)},
                limit=_LINE_BYTES,
            )
            begun.append(process)
        yield Fleet(begun)
    finally:
        for process in begun:
            if process.stdin is not None:
                process.stdin.close()
        for process in begun:
            try:
                async with asyncio.timeout(30):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
