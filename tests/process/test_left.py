"""What the module does when viam-server, its parent, is killed: it ends by itself, and loses nothing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.rig import ROOT, CountingSensor, Starter

BETWEEN = ("sh", "-c", f'"{sys.executable}" -m module "$@"; true', "between")
"""A script that starts the module and waits for it: it outlives viam-server."""


def _processes() -> dict[int, int]:
    """Every process by its id, with its parent's; without those that have ended and wait to be noticed."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
    rows = (line.split() for line in listed.stdout.splitlines())
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}


def _started_by(pid: int) -> set[int]:
    """The processes that a process has started, and those that these have started."""
    processes = _processes()
    found, size = {pid}, 0
    while len(found) > size:
        size = len(found)
        found |= {child for child, parent in processes.items() if parent in found}
    return found - {pid}


@pytest.mark.parametrize("program", [(), BETWEEN], ids=["parent", "script between"])
async def test_a_module_that_is_left_ends_and_what_it_captured_arrives(
    start: Starter, tmp_path: Path, program: tuple[str, ...]
) -> None:
    machine = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.process.left", str(tmp_path), *program),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert machine.stdout is not None
    async with asyncio.timeout(60):
        while int(await machine.stdout.readline()) < 20:
            pass
        started = _started_by(machine.pid)
        machine.kill()
        polls = [int(line) for line in (await machine.stdout.read()).splitlines()]
        await machine.wait()
        while started & set(await asyncio.to_thread(_processes)):
            await asyncio.sleep(0.05)
    assert started
    # If the module did not look by itself, the SDK would end it after about 12 s.
    assert "viam-server has ended, and this module ends with it" in (tmp_path / "module.log").read_text()
    rig = await start(CountingSensor("another"), sources=[])
    await rig.drained()
    # The answer to the last poll may not have left the machine.
    assert set(range(1, max([20, *polls]))) <= set(rig.numbers("s1"))
