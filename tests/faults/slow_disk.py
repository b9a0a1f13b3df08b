"""A disk each of whose syncs takes long: how far captures fall behind, and how long a person waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.slow_disk import SlowDisk, built
from module.local.cloud import LocalCloud
from tests.process.rig import KEY, KEY_ID, NAME, PART, Beside, CountingSensor, Rig

DELAYS_MS = (5, 40, 200, 1000)
RATES_HZ = {"s1": 50.0, "s2": 50.0}
_LOOK_EVERY_S = 0.05
_ASK_EVERY_S = 0.3
_PATIENCE_S = 60.0


@dataclass(slots=True)
class Worst:
    """The longest that something took."""

    seconds: float = 0.0
    syncs: int = 0
    """The most syncs that ended meanwhile."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured at one delay."""

    delay_ms: float
    seconds: float
    captured: int
    missed: int
    behind: int
    """The most polls that were answered and not captured yet."""
    lag_s: float
    """As the status has it, at most."""
    command: Worst
    reconfiguration: Worst
    """From the request to its answer."""
    lost: int
    """Captures that were counted and did not arrive."""
    late_s: float = 0.0
    """How far this computer was behind at most: an answer that is read so late has more syncs before it."""

    def row(self) -> str:
        """A row of the table."""
        cells = (
            f"{self.delay_ms:g} ms",
            f"{self.captured / self.seconds:.0f}",
            f"{self.missed:,}",
            f"{self.behind:,}",
            f"{self.lag_s:.2f} s",
            f"{self.command.seconds:.2f} s",
            f"{self.reconfiguration.seconds:.2f} s",
            f"{self.lost:,}",
        )
        return f"| {' | '.join(cells)} |"


HEAD = """| a sync | captured a second | missed | behind | `lag_s` | a command | a reconfiguration | lost |
|---:|---:|---:|---:|---:|---:|---:|---:|"""


async def table(folder: Path) -> str:
    """Measure at each delay, and give the table in Markdown. Raises RuntimeError without a C compiler."""
    rows = []
    for delay_ms in DELAYS_MS:
        place = folder / f"{delay_ms}"
        place.mkdir(parents=True)
        figures = await met_with_a_slow_disk(place, delay_ms, seconds=max(6.0, delay_ms / 1000 * 12), changes=3)
        rows.append(figures.row())
    return "\n".join([HEAD, *rows])


async def met_with_a_slow_disk(folder: Path, delay_ms: float, *, seconds: float, changes: int) -> Figures:
    """Capture for so long on such a disk, then change the uploader so often; raises RuntimeError without a compiler."""
    disk = SlowDisk(await built(folder), folder)
    cloud = LocalCloud(None, api_keys={KEY_ID: KEY}, part_ids={PART}, keep_payloads=False)
    address = await cloud.start()
    sensors = {name: CountingSensor(name) for name in RATES_HZ}
    attributes = {"sources": [{"name": name, "capture_frequency_hz": rate} for name, rate in RATES_HZ.items()]}
    rig = Rig(folder, list(sensors.values()), cloud, address, environ=disk.environ)
    try:
        async with rig.server:
            await rig.configure(**attributes)
            await _captures(rig)
            disk.set(delay_ms)
            async with Beside() as beside:
                figures = await _Look(rig, disk, sensors, attributes).figures(delay_ms, seconds, changes)
            return replace(figures, late_s=beside.late_s)
    finally:
        await cloud.stop()


async def _captures(rig: Rig) -> None:
    await rig.until(lambda status: all(source["captured"] for source in status["sources"].values()), _PATIENCE_S)


class _Look:
    """What is seen of one module meanwhile."""

    def __init__(
        self, rig: Rig, disk: SlowDisk, sensors: dict[str, CountingSensor], attributes: dict[str, Any]
    ) -> None:
        self._rig = rig
        self._disk = disk
        self._sensors = sensors
        self._attributes = attributes
        self._behind = 0
        self._lag_s = 0.0

    async def figures(self, delay_ms: float, seconds: float, changes: int) -> Figures:
        first = await self._rig.status()
        begun, command = time.monotonic(), Worst()
        watch = asyncio.create_task(self._watch())
        while time.monotonic() - begun < seconds:
            await self._timed(command, self._rig.command("upload_data", text="x", file_name="x.txt"))
            await asyncio.sleep(_ASK_EVERY_S)
        watch.cancel()
        last, took = await self._rig.status(), time.monotonic() - begun
        reconfiguration = Worst()
        for _ in range(changes):
            change = self._rig.server.reconfigure_resource(NAME, self._rig.attributes(**self._attributes))
            await self._timed(reconfiguration, change)
            await _captures(self._rig)
        self._disk.set(0)
        await self._rig.drained(_PATIENCE_S)
        lost = sum(self._lost(name, int(last["sources"][name]["captured"])) for name in self._sensors)
        captured, missed = (_sum(last, count) - _sum(first, count) for count in ("captured", "missed"))
        return Figures(delay_ms, took, captured, missed, self._behind, self._lag_s, command, reconfiguration, lost)

    async def _watch(self) -> None:
        while True:
            polled = {name: len(sensor.polls) for name, sensor in self._sensors.items()}
            status = await self._rig.status()
            self._lag_s = max(self._lag_s, status["spool"]["lag_s"])
            self._behind = max(self._behind, int(sum(polled.values()) - _sum(status, "captured")))
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _timed(self, worst: Worst, work: Awaitable[object]) -> None:
        begun = time.monotonic()
        await work
        ended = time.monotonic()
        worst.seconds = max(worst.seconds, ended - begun)
        worst.syncs = max(worst.syncs, sum(begun < sync.ended < ended for sync in self._disk.syncs()))

    def _lost(self, name: str, captured: int) -> int:
        # A source polls one after the other, so that the first so many polls are those that were captured.
        return len(set(range(1, captured + 1)) - set(self._rig.numbers(name)))


def _sum(status: dict[str, Any], count: str) -> int:
    return sum(int(source[count]) for source in status["sources"].values())
