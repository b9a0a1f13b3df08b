"""A backlog of a million rows and gigabytes of payloads: what it costs the process that starts over it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.measure import use_of
from module.capture import Capture, Kind, Origin
from module.collection.readings import sensor_data
from module.local.calls import Arrival, Call
from module.local.cloud import LocalCloud
from module.spool.database import Database
from tests.process.rig import KEY, KEY_ID, NAME, PART, CountingSensor, Rig

ROWS, PAYLOAD_BYTES = 1_000_000, 100_000
SMALL_BYTES, LARGE_BYTES = 1_000_000_000, 5_000_000_000
MOST_MB, MOST_STARTS = 60.0, 2.0
"""The promise: so much more memory than without a backlog, and a start that takes at most so many times as long."""
ALARMS = 3
_FRESH, _ALARM = "fresh", "alarm"
_TRANSACTIONS = 50
_ROW_SOURCES = 4
_CAPTURES = 50
_DRAINED_ROWS, _DRAINED_PAYLOADS = 20_000, 500
_SLOTS, _UPLOAD_S = 8, 1.5
_LATER_S = 15.0
"""An upload that began after an alarm takes so much longer, if the alarm is not stored before."""
_LOOK_EVERY_S = 0.02
_PATIENCE_S = 180.0
_SLACK_BYTES = 1_500_000_000


class NoRoom(Exception):
    """The disk has not the room for the backlog."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; memory is resident memory in MB."""

    payload_bytes: int
    made_s: float
    empty_start_s: float
    """From the start of a process that has no backlog to its first capture."""
    ready_s: float
    """From the start of the process until it is ready."""
    captured_s: float
    """From AddResource to the first capture that counted."""
    empty_start_cpu_s: float
    """The processor's time that a start without a backlog takes, however busy the computer is."""
    start_cpu_s: float
    """The same of the start over the backlog."""
    idle_mb: float
    """The most that a process takes that has no backlog."""
    started_mb: float
    """At most, of the start over the backlog."""
    waiting_mb: float
    """At most, while it captures and does not upload."""
    draining_mb: float
    """At most, while it uploads."""
    overtaken: int
    """Uploads that began after an alarm was captured and were stored before it."""

    @property
    def start_s(self) -> float:
        """From the start of the process to its first capture."""
        return self.ready_s + self.captured_s

    @property
    def extra_mb(self) -> float:
        """How much more memory the backlog takes at most."""
        return max(self.started_mb, self.waiting_mb, self.draining_mb) - self.idle_mb

    def sentence(self) -> str:
        """All of it in words."""
        return (
            f"Over a backlog of {ROWS:,} rows and {self.payload_bytes / 1e9:g} GB of payloads a start took "
            f"{self.start_s:.2f} s: {self.ready_s:.2f} s until the process was ready, and {self.captured_s:.2f} s more "
            f"until the first capture counted; without a backlog a start took {self.empty_start_s:.2f} s. It took "
            f"{self.idle_mb:.0f} MB of memory without a backlog, at most "
            f"{self.started_mb:.0f} MB when it started over it, {self.waiting_mb:.0f} MB while it waited and "
            f"{self.draining_mb:.0f} MB while it was uploaded. Of the uploads that began after a fresh alarm of a "
            f"higher priority was captured, {self.overtaken} were stored before it."
        )


async def met_with_a_backlog(folder: Path, payload_bytes: int) -> Figures:
    """Make such a spool below ``folder``, and let a module process start over it; raises NoRoom.

    What is made is deleted again.
    """
    folder.mkdir(parents=True)
    free = shutil.disk_usage(folder).free
    if free < payload_bytes + _SLACK_BYTES:
        raise NoRoom(f"{folder} has {free / 1e9:.1f} GB free, a backlog of {payload_bytes / 1e9:g} GB takes more")
    spool = folder / "spool"
    try:
        async with _Process(folder / "without", folder / "empty") as process:
            await process.captures(_CAPTURES)
            await process.uploads()
            await process.captures(_CAPTURES)
            idle_mb = process.peak_mb()
            empty_start_s, empty_start_cpu_s = process.ready_s + process.captured_s, process.start_cpu_s
        begun = time.monotonic()
        await asyncio.to_thread(make_backlog, spool, ROWS, payload_bytes)
        made_s = time.monotonic() - begun
        async with _Process(folder / "with", spool) as process:
            started_mb = process.peak_mb()
            held = await process.captures(_CAPTURES)
            assert held["spool"]["items"] >= ROWS + payload_bytes // PAYLOAD_BYTES, held
            waiting_mb = process.peak_mb()
            await process.uploads()
            await process.drains(_DRAINED_ROWS, _DRAINED_PAYLOADS)
            overtaken = sum([await process.alarm() for _ in range(ALARMS)])
            return Figures(
                payload_bytes,
                made_s,
                empty_start_s,
                process.ready_s,
                process.captured_s,
                empty_start_cpu_s,
                process.start_cpu_s,
                idle_mb,
                started_mb,
                waiting_mb,
                process.peak_mb(),
                overtaken,
            )
    finally:
        shutil.rmtree(spool, ignore_errors=True)


def make_backlog(directory: Path, rows: int, payload_bytes: int) -> None:
    """Fill a new spool with so many rows of four sensors, and images of 100 kB between them."""
    directory.mkdir(mode=0o700)
    sensors = [
        Origin(f"s{number}", Kind.ROW, api="rdk:component:sensor", name=f"s{number}", method="Readings")
        for number in range(_ROW_SOURCES)
    ]
    camera = Origin("c", Kind.BINARY, api="rdk:component:camera", name="c", method="GetImages", extension=".jpg")
    now_us = time.time_ns() // 1000
    row, image = sensor_data({"readings": {"n": 1.5, "ok": True}}, now_us, now_us), os.urandom(PAYLOAD_BYTES)
    with contextlib.closing(Database(directory / "spool.sqlite3")) as spool:
        # It is lost with a crash of this process, and quick: the module turns the journal on again.
        spool._db.execute("PRAGMA journal_mode = OFF")
        spool._db.execute("PRAGMA synchronous = OFF")
        images = payload_bytes // PAYLOAD_BYTES // _TRANSACTIONS
        for _ in range(_TRANSACTIONS):
            spool._db.execute("BEGIN")
            for sensor in sensors:
                count = rows // _TRANSACTIONS // _ROW_SOURCES
                spool.insert([Capture(sensor, now_us, now_us, row)] * count)
            spool.insert([Capture(camera, now_us, now_us, image)] * images)
            spool.commit()
    # Otherwise the first sync of the module would wait for all of it.
    with (directory / "spool.sqlite3").open("rb") as file:
        os.fsync(file.fileno())


class _Process:
    """A module process over a spool, with a cloud that counts what arrives and keeps nothing."""

    def __init__(self, folder: Path, spool: Path) -> None:
        self.ready_s = self.captured_s = self.start_cpu_s = 0.0
        self.cloud = LocalCloud(None, api_keys={KEY_ID: KEY}, part_ids={PART})
        self.cloud.judge, self.cloud.after = self._judge, self._after
        self._folder = folder
        self._spool = spool
        self._slow = False
        # Uploads that have begun, in all and before the last alarm was captured; what has arrived.
        self._begun = self._captured_at = self._rows = self._payloads = self._alarms = self._late = 0
        self._numbers: dict[int, int] = {}
        self._stored = asyncio.Event()
        """The last alarm is."""

    async def __aenter__(self) -> Self:
        sensors = [CountingSensor(_FRESH), CountingSensor(_ALARM)]
        self.rig = Rig(self._folder, sensors, self.cloud, await self.cloud.start())
        begun = time.monotonic()
        await self.rig.server.start()
        self.ready_s = time.monotonic() - begun
        begun = time.monotonic()
        await self.rig.configure(**self._attributes(disabled=True))
        await self.captures(1)
        self.captured_s = time.monotonic() - begun
        self.start_cpu_s = use_of(self.rig.server.pid).cpu_s
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.rig.server.close()
        await self.cloud.stop()

    def _attributes(self, *, disabled: bool) -> dict[str, Any]:
        fresh = {"name": _FRESH, "capture_frequency_hz": 50}
        return {
            "sources": [fresh, {"name": _ALARM, "priority": 9}],
            "spool": {"directory": str(self._spool), "max_bytes": 4 * LARGE_BYTES},
            "upload": {"disabled": disabled, "batch_wait_s": 0, "concurrency": _SLOTS},
        }

    def peak_mb(self) -> float:
        """The most memory since the last time this was asked for."""
        process = Path("/proc") / str(self.rig.server.pid)
        lines = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        # Begins the peak again (proc(5)).
        (process / "clear_refs").write_text("5")
        return int(lines["VmHWM"].split()[0]) / 1024

    async def captures(self, count: int) -> dict[str, Any]:
        """Return with the status once so many more were captured."""
        before = (await self.rig.status())["sources"][_FRESH]["captured"]
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                status = await self.rig.status()
                if status["sources"][_FRESH]["captured"] >= before + count:
                    return status
                await asyncio.sleep(_LOOK_EVERY_S)

    async def uploads(self) -> None:
        """Have it upload, from now on."""
        await self.rig.server.reconfigure_resource(NAME, self.rig.attributes(**self._attributes(disabled=False)))

    async def drains(self, rows: int, payloads: int) -> None:
        """Return once so much of the backlog has arrived."""
        await self.cloud.wait_for(lambda: self._rows >= rows and self._payloads >= payloads, _PATIENCE_S)

    async def alarm(self) -> int:
        """Capture an alarm over slow uploads that hold every slot; gives how many later ones were stored before it."""
        # None is a later one before the alarm is known to be captured.
        self._slow, seen, self._captured_at = True, self._begun, sys.maxsize
        await self.cloud.wait_for(lambda: self._begun >= seen + _SLOTS, _PATIENCE_S)
        count, self._late = self._alarms, 0
        self._stored.clear()
        await self.rig.command("capture", sources=[_ALARM])
        self._captured_at = self._begun
        await self.cloud.wait_for(lambda: self._alarms > count, _PATIENCE_S)
        late, self._slow = self._late, False
        return late

    async def _judge(self, call: Call) -> None:
        self._begun += 1
        number = self._numbers[id(asyncio.current_task())] = self._begun
        if self._slow and call.metadata.component_name != _ALARM:
            await asyncio.sleep(_UPLOAD_S)
            if number > self._captured_at:
                # Longer than a busy computer holds the alarm up once it has a slot, so that only one that
                # has to wait for a later one's slot is overtaken.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stored.wait(), _LATER_S)

    async def _after(self, arrival: Arrival) -> None:
        self.cloud.arrivals.clear()
        number = self._numbers.pop(id(asyncio.current_task()))
        if arrival.metadata.component_name == _ALARM:
            self._alarms += 1
            self._stored.set()
        elif self._slow and number > self._captured_at:
            self._late += 1
        if arrival.rows:
            self._rows += len(arrival.rows)
        else:
            self._payloads += 1
        await self.cloud._tell()
