"""The demo as a real process, which starts the module as another one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from module.delivery.sender import METHODS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SOURCES = ("host", "host-log", "front", "snapshot", "depth", "depth-cloud", "panorama", "outbox", "upload_data")
CELL = ("gripper", "conveyor", "drive", "gps")
SHAPED = ("parts", "event", "thumbnail", "gripper-moves", "gripper-hours")


async def _start(folder: Path, seconds: float) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "module", "demo", f"--seconds={seconds:g}", f"--folder={folder}"),
        cwd=folder.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        # Who starts the tests in the background of a shell ignores SIGINT, and each process that follows inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


async def test_the_demo_delivers_all_that_it_captures_by_all_five_methods(tmp_path: Path) -> None:
    process = await _start(tmp_path / "kept", 20)
    async with asyncio.timeout(600):
        out = (await process.communicate())[0].decode()
    assert process.returncode == 0, out
    assert "\r" not in out
    assert all(f"\n{source} " in out for source in (*SOURCES, *CELL, *SHAPED, "upload_file", "total")), out
    assert all(method in out for method in METHODS), out
    assert "the cloud is back after" in out
    assert "the backlog is in the cloud" in out
    assert sum("captured" in line and "waiting" in line for line in out.splitlines()) >= 5

    (run,) = (tmp_path / "kept").iterdir()
    images = [*run.glob("cloud/*/GetImages/*.jpeg"), *run.glob("cloud/*/GetImages/*.png")]
    assert len(images) > 25
    for path in images:
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert image is not None, path
        assert image.dtype == (np.uint16 if path.suffix == ".png" else np.uint8)
    # Moved by the next look at its folder, before which the demo may end.
    (sent,) = (path for name in ("outbox", "sent") if (path := run / name / "large.bin").exists())
    assert (run / "cloud" / "files" / "large.bin").read_bytes() == sent.read_bytes()
    assert len(list(run.glob("cloud/depth/NextPointCloud/*.pcd"))) >= 2
    assert len((run / "cloud" / "gripper" / "Readings.ndjson").read_text().splitlines()) >= 50


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
async def test_the_demo_ends_cleanly_when_it_is_asked_to(tmp_path: Path, asked: signal.Signals) -> None:
    """The module, a process in a session of its own, ends with it."""
    process = await _start(tmp_path / "kept", 60)
    assert process.stdout is not None
    async with asyncio.timeout(600):
        while b"help" not in await process.stdout.readline():
            pass
        module = _children(process.pid)
        process.send_signal(asked)
        out = (await process.communicate())[0].decode()
    assert process.returncode == 130, out
    assert "Traceback" not in out
    assert "nothing was compared" in out
    assert module
    for pid in module:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def _children(pid: int) -> list[int]:
    """The processes that a process has started."""
    listed = subprocess.run(["ps", "-A", "-o", "ppid=,pid="], capture_output=True, text=True, check=True)
    pairs = (line.split() for line in listed.stdout.splitlines())
    return [int(child) for parent, child in pairs if int(parent) == pid]


@pytest.mark.parametrize(
    "arguments", [("demo", "--seconds=6"), ("convert", str(ROOT / "examples" / "migration" / "sensors.before.json"))]
)
async def test_nobody_who_reads_ends_a_command_in_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """As in ``run.sh demo | head -1``."""
    reads, writes = os.pipe()
    os.close(reads)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "module", *arguments),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writes,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writes)
    async with asyncio.timeout(600):
        errors = (await process.communicate())[1].decode()
    assert process.returncode == 1
    assert errors.splitlines()[-1] == "nobody reads the output any more, so the program has ended"
    assert "Traceback" not in errors
    assert "Errno" not in errors
