"""Processes that get their orders as lines of JSON on their standard input, and answer by such lines."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_LINE_BYTES = 16 * 1024 * 1024
_END_S = 10.0


class Subject:
    """A process of ``benchmarks.subjects``; see ``started``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def ask(self, job: str, **arguments: Any) -> dict[str, Any]:
        """Have it do a job; what it answers. Raises RuntimeError when it ends instead; its words are on stderr."""
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        if pipe_in is None or pipe_out is None:
            raise RuntimeError("the process has no pipes")
        pipe_in.write(json.dumps({"job": job, **arguments}).encode() + b"\n")
        line = await pipe_out.readline()
        if not line:
            raise RuntimeError(f"a subject ended with status {await self._process.wait()} while it did {job!r}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def end(self) -> None:
        """Close its input, which ends it, and kill it if it does not."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_END_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@contextlib.asynccontextmanager
async def started(name: str, *arguments: object, environ: Mapping[str, str] | None = None) -> AsyncIterator[Subject]:
    """``python -m benchmarks.subjects.NAME ARGUMENTS``, ended when the context is left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"benchmarks.subjects.{name}",
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})},
        limit=_LINE_BYTES,
    )
    subject = Subject(process)
    try:
        yield subject
    finally:
        await subject.end()


async def serve(jobs: Mapping[str, Callable[..., Awaitable[Mapping[str, Any] | None]]]) -> None:
    """Do one job a line of the standard input, until it ends; the other side of ``Subject.ask``."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        arguments = json.loads(line)
        answer = await jobs[arguments.pop("job")](**arguments)
        print(json.dumps(answer or {}), flush=True)
