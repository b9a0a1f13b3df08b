"""A module process that is broken again and again, with books kept of all it said and all that the cloud holds."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

from grpclib import GRPCError
from grpclib.exceptions import StreamTerminatedError

from module.demo.cloud import Arrival, LocalCloud, UploadMethod
from module.demo.viam_server import MachineError
from tests.faults.ledger import Key, Ledger
from tests.faults.link import Link
from tests.process.rig import KEY, KEY_ID, PART, CountingSensor, Rig

RATES_HZ = {"s1": 20.0, "s2": 30.0, "s3": 50.0}
DATA = "upload_data"
GONE = (GRPCError, StreamTerminatedError, OSError, MachineError, TimeoutError)
"""What a call meets whose module is killed meanwhile."""
_ASK_EVERY_S = 0.02
_SETTLE_S = 60.0


class Bench:
    """One machine with three counting sensors, a module that may die, a link that may stall, a cloud that may fail."""

    def __init__(self, folder: Path, chance: random.Random, name: str) -> None:
        self.chance = chance
        self.name = name
        self.ledger = Ledger()
        self.sensors = {key: CountingSensor(key) for key in RATES_HZ}
        self.cloud = LocalCloud(None, api_keys={KEY_ID: KEY}, part_ids={PART})
        self.start_s = 1.0
        """How long the last start took, from the process to the answer to AddResource."""
        self.attributes: dict[str, Any] = {"upload": {"chunk_bytes": 8192, "timeout_s": 1.0}}
        """Of the uploader, beside its sources; what is changed here holds from the next start on."""
        self.environ: dict[str, str] = {}
        """Of the module's process."""
        self._folder = folder
        self._base = dict.fromkeys(RATES_HZ, (0, 0))
        self._data = 0
        self._books = asyncio.Lock()
        self._reported = asyncio.Condition()
        self._seen: dict[str, int] = {}
        self._up = False

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Serve cloud, link and machine, with the module running; all ends with the block."""
        async with contextlib.AsyncExitStack() as stack:
            address = await self.cloud.start()
            stack.push_async_callback(self.cloud.stop)
            self._up = True
            self.link = Link(int(address.rpartition(":")[2]))
            sensors = list(self.sensors.values())
            self.rig = Rig(self._folder, sensors, self.cloud, await self.link.open(), environ=self.environ)
            stack.push_async_callback(self.link.close)
            await stack.enter_async_context(self.rig.server)
            await self._configure()
            watch = asyncio.create_task(self._watch(), name="watch")
            stack.push_async_callback(_end, watch)
            yield

    # ------------------------------------------------------------------ the module's life

    async def kill(self) -> None:
        """End the module with ``kill -9``, wherever it stands."""
        await self.rig.server.kill()

    async def restart(self) -> None:
        """Start the module again, with its uploader."""
        server = self.rig.server
        # What a kill in the middle of the start leaves half done is added afresh below.
        server._configs.clear()
        begun = time.monotonic()
        await server.restart()
        await self._configure()
        self.start_s = time.monotonic() - begun

    async def _configure(self) -> None:
        async with self._books:
            # The old life is over, the new one polls nothing before it is configured.
            self._base = {key: (0, len(sensor.polls)) for key, sensor in self.sensors.items()}
            self._seen = dict.fromkeys(RATES_HZ, 0)
        sources = [{"name": key, "capture_frequency_hz": rate} for key, rate in RATES_HZ.items()]
        await self.rig.configure(sources=sources, **self.attributes)

    async def captured(self, count: int, timeout_s: float = 30.0) -> None:
        """Return once the status has reported so many captures of each source since the last start or settling."""
        async with asyncio.timeout(timeout_s), self._reported:
            await self._reported.wait_for(lambda: self._seen and min(self._seen.values()) >= count)

    async def set_cloud(self, *, up: bool) -> None:
        """Take the cloud away, or bring it back."""
        if up != self._up:
            await (self.cloud.start() if up else self.cloud.stop())
            self._up = up

    def heal(self) -> None:
        """Take every fault of the cloud and the link away, but not its absence."""
        self.cloud.judge = self.cloud.after = None
        self.link.flow()

    # ------------------------------------------------------------------ the books

    def put(self, count: int, size: int) -> list[asyncio.Task[None]]:
        """Have ``upload_data`` called so many times at once; each that is answered counts as captured."""
        return [asyncio.create_task(self._put(size)) for _ in range(count)]

    async def _put(self, size: int) -> None:
        self._data += 1
        number = self._data
        with contextlib.suppress(*GONE):
            await self.rig.command(DATA, text="x" * size, file_name=f"{number}.txt")
            self.ledger.report([(DATA, number)])

    async def _watch(self) -> None:
        while True:
            async with self._books:
                with contextlib.suppress(*GONE):
                    await self._report()
            async with self._reported:
                self._reported.notify_all()
            await asyncio.sleep(_ASK_EVERY_S)

    async def _report(self) -> None:
        async with asyncio.timeout(5):
            status = await self.rig.status()
        for key, (captured, polled) in self._base.items():
            count = int(status["sources"][key]["captured"]) - captured
            # A source polls one after the other, so that the first so many polls are those that were captured.
            self.ledger.report((key, polled + n) for n in range(self._seen[key] + 1, count + 1))
            self._seen[key] = max(self._seen[key], count)

    def take(self) -> None:
        """Enter what has arrived since the last time."""
        arrivals, self.cloud.arrivals[:] = list(self.cloud.arrivals), []
        self.ledger.deliver(key for arrival in arrivals for key in _keys(arrival))

    def begin(self, fault: str) -> None:
        """A fault begins."""
        self.take()
        self.ledger.begin(fault)

    def strike(self) -> None:
        """The fault has done its work."""
        self.take()
        self.ledger.strike()

    async def settle(self) -> None:
        """Heal all, upload all that waits (failures are retried), and count what is missing."""
        self.heal()
        await self.set_cloud(up=True)
        await self.rig.command("pause", what="capture")
        status: dict[str, Any] = {}
        try:
            async with asyncio.timeout(_SETTLE_S):
                while True:
                    await self.rig.command("flush", timeout_s=5)
                    status = await self.rig.status()
                    if not status["spool"]["failed"] and not status["spool"]["items"]:
                        break
                    await self.rig.command("retry")
        except TimeoutError:
            self._fail(f"not drained within {_SETTLE_S} s: {status}")
        async with self._books:
            await self._report()
            self._base = {
                key: (int(status["sources"][key]["captured"]), len(sensor.polls))
                for key, sensor in self.sensors.items()
            }
            self._seen = dict.fromkeys(RATES_HZ, 0)
        if status["spool"]["dropped"]:
            self._fail(f"dropped: {status}")
        self.take()
        lost = self.ledger.close()
        if lost:
            print(f"{self.name}: LOST {sorted(lost.items())[:20]} ({len(lost)} in all); {self._folder}", flush=True)  # noqa: T201
        await self.rig.command("resume", what="capture")

    def _fail(self, text: str) -> NoReturn:
        raise AssertionError(f"{self.name}: {text}; the log is {self.rig.log}")


def _keys(arrival: Arrival) -> list[Key]:
    if arrival.method is UploadMethod.TABULAR:
        name = arrival.metadata.component_name
        readings = (row.struct.fields["readings"].struct_value for row in arrival.rows)
        return [(name, int(reading.fields["n"].number_value)) for reading in readings]
    return [(DATA, int(arrival.metadata.file_name.partition(".")[0]))]


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
