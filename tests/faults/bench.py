"""A module process that is broken again and again, with books kept of all it said and all that the cloud holds."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import copy
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from grpclib import GRPCError
from grpclib.exceptions import StreamTerminatedError
from viam.components.sensor import Sensor
from viam.media.video import NamedImage
from viam.proto.app.datasync import SensorData
from viam.proto.common import ResponseMetadata
from viam.resource.base import ResourceBase

from module.local.calls import Arrival, UploadMethod
from module.local.cloud import LocalCloud
from module.local.viam_server import MachineError
from tests.faults.ledger import Key, Ledger
from tests.faults.link import Link
from tests.process.rig import KEY, KEY_ID, NAME, PART, CountingSensor, Rig, StillCamera

RATES_HZ = {"s1": 20.0, "s2": 30.0, "s3": 50.0}
DATA, CAMERA, FILLER = "upload_data", "album", "filler"
MESSAGE_BYTES = 4 * 1024 * 1024
GONE = (GRPCError, StreamTerminatedError, OSError, MachineError, TimeoutError)
"""What a call meets whose module is killed meanwhile."""
_ASK_EVERY_S = 0.02
_SETTLE_S = 60.0
_STILL_S = 30.0


class GrowingCamera(StillCamera):
    """Gives images of which each is one byte larger than the one before: its size is its number."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name, [])
        self.size = size

    async def get_images(self, **_: Any) -> tuple[list[NamedImage], ResponseMetadata]:
        self.size += 1
        self.images = [("", b"x" * self.size, "image/jpeg")]
        return await super().get_images()


class Filler(Sensor):
    """Gives what takes room, never the same twice: what a full spool is to drop."""

    async def get_readings(self, **_: Any) -> Mapping[str, Any]:
        return {"noise": secrets.token_hex(15_000)}


class Bench:
    """One machine with three counting sensors, a module that may die, a link that may stall, a cloud that may fail."""

    def __init__(self, folder: Path, chance: random.Random, name: str) -> None:
        self.chance = chance
        self.name = name
        self.ledger = Ledger()
        self.sensors = {key: CountingSensor(key) for key in RATES_HZ}
        self.camera = GrowingCamera(CAMERA, 5000)
        """Polled on command alone."""
        self.filler = Filler(FILLER)
        self.cloud = LocalCloud(None, api_keys={KEY_ID: KEY}, part_ids={PART})
        self.start_s = 1.0
        """How long the last start took, from the process to the answer to AddResource."""
        self.attributes: dict[str, Any] = {"upload": {"chunk_bytes": 2048, "timeout_s": 1.0}}
        """Of the uploader, beside its sources; what is changed here holds from the next start on."""
        self.environ: dict[str, str] = {}
        """Of the module's process."""
        self.priority = 5
        """Of the sensors."""
        self.filling: dict[str, Any] | None = None
        """How the filler is captured, if it is; what it gives is in no books, and may be dropped."""
        self.others: dict[str, tuple[ResourceBase, dict[str, Any]]] = {}
        """More resources, and how each is captured; theirs are known by their order, one capture a poll."""
        self.check: Callable[[Arrival], None] = lambda _: None
        """Called with all that arrives."""
        self.may_fail = True
        """Whether captures may be among the failures when a fault is over; they are retried."""
        self._folder = folder
        self._given: dict[str, Any] | None = None
        """The uploader's attributes in this life of the process; None: it had none yet."""
        self._base: dict[str, tuple[int, int]] = {}
        self._told: collections.Counter[str] = collections.Counter()
        self._numbers: collections.defaultdict[str, dict[int, int]] = collections.defaultdict(dict)
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
            resources = [
                *self.sensors.values(),
                self.camera,
                self.filler,
                *(resource for resource, _ in self.others.values()),
            ]
            self.rig = Rig(self._folder, resources, self.cloud, await self.link.open(), environ=self.environ)
            stack.push_async_callback(self.link.close)
            await stack.enter_async_context(self.rig.server)
            await self.configure()
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
        self._given = None
        begun = time.monotonic()
        await server.restart()
        await self.configure()
        self.start_s = time.monotonic() - begun

    async def remove(self) -> None:
        """Remove the uploader from the module; ``configure`` adds it again."""
        async with self._books:
            await self._report()
            await self.rig.server.remove_resource(NAME)
            # After a round trip the last polls of the old life have come in.
            await self.rig.server.validate(NAME, self._attributes())

    async def configure(self) -> None:
        """Add the uploader."""
        async with self._books:
            # The old life is over, the new one polls nothing before it is configured.
            attributes = copy.deepcopy(self._attributes())
            # With unchanged attributes counts go on in the same process, and no poll that was answered is lost.
            if attributes != self._given:
                self._rebase(dict.fromkeys((*self.sensors, *self.others), 0))
            self._given = attributes
        await self.rig.configure(**attributes)
        # What was paused when the module ended still is, as the spool's directory says.
        await self.rig.command("resume")

    async def reconfigure(self) -> float:
        """Give the running module the ``attributes`` as they are now; gives the seconds that this took."""
        await self.still()
        async with self._books:
            self._rebase(dict.fromkeys(self._base, 0))
            self._given = copy.deepcopy(self._attributes())
            attributes, begun = self.rig.attributes(**self._given), time.monotonic()
            await self.rig.server.reconfigure_resource(NAME, attributes)
            took = time.monotonic() - begun
            # A pause outlives a change, and counts outlive one that changes nothing.
            status = await self.rig.status()
            self._rebase({key: int(status["sources"][key]["captured"]) for key in self._base})
            await self.rig.command("resume")
            return took

    async def still(self) -> None:
        """Pause capture, and return once all that was polled of the sensors is captured, counted and in the books."""
        await self.rig.command("resume", what="capture")
        # A poll that is on its way to its sensor shows nowhere. One that its sensor holds back shows, and its source
        # polls no more meanwhile: what the sensors have been asked from there on is all that they will be asked.
        for sensor in self.sensors.values():
            sensor.hang.clear()
        try:
            polls = {key: len(sensor.polls) for key, sensor in self.sensors.items()}
            await self._until_still(lambda key: len(self.sensors[key].polls) > polls[key], "is not polled")
            await self.rig.command("pause", what="capture")
        finally:
            for sensor in self.sensors.values():
                sensor.hang.set()
        await self._until_still(
            lambda key: sum(self._base[key][1:], self._seen[key]) == len(self.sensors[key].polls), "is not captured"
        )

    async def _until_still(self, holds: Callable[[str], bool], trouble: str) -> None:
        try:
            async with asyncio.timeout(_STILL_S), self._reported:
                await self._reported.wait_for(lambda: all(holds(key) for key in self.sensors))
        except TimeoutError:
            polls = {key: (*self._base[key], self._seen[key], len(self.sensors[key].polls)) for key in self.sensors}
            self._fail(f"what was polled {trouble}: {polls}; {await self.rig.status()}")

    def _attributes(self) -> dict[str, Any]:
        sources = [
            {"name": key, "capture_frequency_hz": rate, "priority": self.priority} for key, rate in RATES_HZ.items()
        ]
        sources += [{"name": CAMERA, "image": {"format": "passthrough"}}]
        sources += [{"name": key, **config} for key, (_, config) in self.others.items()]
        sources += [{"name": FILLER, **self.filling}] if self.filling is not None else []
        return {"sources": sources, **self.attributes}

    def _rebase(self, captured: dict[str, int]) -> None:
        """Number what is captured from here on, after so many of each source in this life."""
        past = {key: len(self.sensors[key].polls) if key in self.sensors else self._told[key] for key in captured}
        self._base = {key: (count, past[key]) for key, count in captured.items()}
        self._seen = dict.fromkeys(captured, 0)

    async def captured(self, count: int, timeout_s: float = 30.0) -> None:
        """Return once the status has reported so many captures of each sensor since the last start or settling."""
        async with asyncio.timeout(timeout_s), self._reported:
            await self._reported.wait_for(lambda: self._seen and min(self._seen[key] for key in RATES_HZ) >= count)

    async def set_cloud(self, *, up: bool, max_message_bytes: int = MESSAGE_BYTES) -> None:
        """Take the cloud away, or bring it back, with a limit for messages then."""
        if up != self._up:
            self.cloud._max_message_bytes = max_message_bytes
            await (self.cloud.start() if up else self.cloud.stop())
            self._up = up

    def heal(self) -> None:
        """Take every fault of the cloud and the link away, but not its absence."""
        self.cloud.judge = self.cloud.after = self.cloud.token_lifetime_s = None
        self.cloud.part_ids = {PART}
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

    async def picture(self) -> None:
        """Have the camera capture an image."""
        await self.rig.command("capture", sources=[CAMERA])
        self.ledger.report([(CAMERA, self.camera.size)])

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
            self._told[key] = polled + self._seen[key]

    def take(self) -> None:
        """Enter what has arrived since the last time."""
        arrivals, self.cloud.arrivals[:] = list(self.cloud.arrivals), []
        for arrival in arrivals:
            self.check(arrival)
        self.ledger.deliver(key for arrival in arrivals for key in self._keys(arrival))

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
        await self.still()
        status: dict[str, Any] = {}
        try:
            async with asyncio.timeout(_SETTLE_S):
                while True:
                    await self.rig.command("flush", timeout_s=5)
                    status = await self.rig.status()
                    if not status["spool"]["failed"] and not status["spool"]["items"]:
                        break
                    if status["spool"]["failed"] and not self.may_fail:
                        self._fail(f"among the failures without a reason: {await self.rig.command('failures')}")
                    await self.rig.command("retry")
        except TimeoutError:
            self._fail(f"not drained within {_SETTLE_S} s: {status}")
        async with self._books:
            await self._report()
            self._rebase({key: int(status["sources"][key]["captured"]) for key in self._base})
        if status["spool"]["dropped"] != status["sources"].get(FILLER, {"dropped": 0})["dropped"]:
            self._fail(f"dropped: {status}")
        self.take()
        lost = self.ledger.close()
        if lost:
            print(f"{self.name}: LOST {sorted(lost.items())[:20]} ({len(lost)} in all); {self._folder}", flush=True)  # noqa: T201
        await self.rig.command("resume", what="capture")

    def _keys(self, arrival: Arrival) -> list[Key]:
        name = arrival.metadata.component_name
        if name == FILLER:
            return []
        if name in self.others:
            stamps = [row.metadata.time_requested for row in arrival.rows]
            if arrival.sensor_metadata is not None:
                stamps = [arrival.sensor_metadata.time_requested]
            numbers = self._numbers[name]
            return [(name, numbers.setdefault(stamp.ToMicroseconds(), len(numbers) + 1)) for stamp in stamps]
        if arrival.method is UploadMethod.TABULAR:
            return [(name, number) for number in rows_of(arrival.rows)]
        if name == CAMERA:
            return [(CAMERA, arrival.size)]
        return [(DATA, int(arrival.metadata.file_name.partition(".")[0]))]

    def _fail(self, text: str) -> NoReturn:
        raise AssertionError(f"{self.name}: {text}; the log is {self.rig.log}")


def rows_of(rows: Iterable[SensorData]) -> list[int]:
    """The numbers in the rows of counting sensors."""
    readings = (row.struct.fields["readings"].struct_value for row in rows)
    return [int(reading.fields["n"].number_value) for reading in readings]


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
