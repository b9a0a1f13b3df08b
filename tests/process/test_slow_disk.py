"""What the status says, and what sources do, on a disk that does not keep up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.slow_disk import COMPILER, SlowDisk, built
from tests.process.rig import CountingSensor, Starter


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
async def test_a_disk_that_is_too_slow_makes_sources_miss_ticks_and_says_so(
    start: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(await built(tmp_path), tmp_path)
    for name, value in disk.environ.items():
        monkeypatch.setenv(name, value)
    sensor = CountingSensor("s1")
    rig = await start(sensor, sources=[{"name": "s1", "capture_frequency_hz": 50}])
    await rig.until(lambda status: status["sources"]["s1"]["captured"] > 0)
    disk.set(3000)
    await rig.until(lambda status: status["spool"]["lag_s"] > 2, 20)
    await rig.until(lambda status: status["sources"]["s1"]["missed"] > 20, 20)
    assert len(sensor.polls) - (await rig.status())["sources"]["s1"]["captured"] < 400
    disk.set(0)
    await rig.until(lambda status: status["spool"]["lag_s"] < 0.5, 20)
    captured = (await rig.status())["sources"]["s1"]["captured"]
    await rig.until(lambda status: status["sources"]["s1"]["captured"] > captured + 20)
    await asyncio.wait_for(rig.drained(), 30)
