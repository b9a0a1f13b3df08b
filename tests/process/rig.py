"""A real module process between a machine of fakes and the local cloud: what every test of this folder stands on.

The machine's resources are fake hardware; the module, its socket, its spool and the gRPC on both sides are real.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from google.protobuf.json_format import MessageToDict
from viam.components.camera import Camera
from viam.components.sensor import Sensor
from viam.media.video import CameraMimeType, NamedImage
from viam.proto.common import ResponseMetadata
from viam.proto.component.camera import GetPropertiesResponse
from viam.resource.base import ResourceBase

from module.local.calls import Arrival, UploadMethod
from module.local.cloud import LocalCloud
from module.local.viam_server import ViamServer

ROOT = Path(__file__).parents[2]
KEY_ID, KEY, PART = "11111111-2222-3333-4444-555555555555", "the-very-secret-api-key", "part-1"
NAME = "uploader"
MODULE = (sys.executable, "-m", "module")


class CountingSensor(Sensor):
    """Gives 1, 2, 3 …, so that each loss and each repetition shows; remembers when it was asked."""

    def __init__(self, name: str, *, fail: Callable[[int], Exception | None] = lambda _: None) -> None:
        super().__init__(name)
        self.polls: list[float] = []
        self.extras: list[dict[str, Any]] = []
        self.hang = asyncio.Event()
        self.hang.set()
        self._fail = fail

    async def get_readings(self, *, extra: Any = None, timeout: float | None = None, **_: Any) -> Mapping[str, Any]:
        self.polls.append(time.monotonic())
        self.extras.append(dict(extra or {}))
        number = len(self.polls)
        await self.hang.wait()
        error = self._fail(number)
        if error is not None:
            raise error
        return {"n": number, "at": time.time()}


class StillCamera(Camera):
    """Gives the same images for ever, and a point cloud."""

    def __init__(self, name: str, images: Sequence[tuple[str, bytes, str]], cloud: bytes = b"") -> None:
        super().__init__(name)
        self.images = list(images)
        self.cloud = cloud
        self.polls = 0
        self.captured_at: float | None = None

    async def get_images(self, **_: Any) -> tuple[list[NamedImage], ResponseMetadata]:
        self.polls += 1
        metadata = ResponseMetadata()
        if self.captured_at is not None:
            metadata.captured_at.FromMicroseconds(round(self.captured_at * 1e6))
        # The SDK reads the size of an image where it is made, and trips over broken ones: made bare, as a driver may.
        images = []
        for name, data, mime_type in self.images:
            image = NamedImage.__new__(NamedImage)
            image.name, image._data, image._mime_type = name, data, CameraMimeType.from_string(mime_type)
            images.append(image)
        return images, metadata

    async def get_point_cloud(self, **_: Any) -> tuple[bytes, str]:
        return self.cloud, "pointcloud/pcd"

    async def get_properties(self, **_: Any) -> Any:
        return GetPropertiesResponse()

    async def get_geometries(self, **_: Any) -> Any:
        return []


def machine(
    folder: Path,
    resources: Sequence[ResourceBase],
    log: Path,
    *,
    log_level: str = "info",
    environ: Mapping[str, str] | None = None,
    program: Sequence[str] = MODULE,
) -> ViamServer:
    """Return a machine with these resources and the module, not yet started; its ``VIAM_HOME`` is in ``folder``."""
    return ViamServer(
        resources,
        program,
        home=folder / "home",
        root=ROOT,
        log_file=log,
        log_level=log_level,
        part_id=PART,
        api_key_id=KEY_ID,
        api_key=KEY,
        environ={"PYTHONPATH": str(ROOT), **(environ or {})},
    )


class Rig:
    """One machine, one module, one cloud."""

    def __init__(
        self,
        folder: Path,
        resources: Sequence[ResourceBase],
        cloud: LocalCloud,
        address: str,
        *,
        log_level: str = "info",
        environ: Mapping[str, str] | None = None,
        program: Sequence[str] = MODULE,
    ) -> None:
        self.folder = folder
        self.cloud = cloud
        self.address = address
        self.log = folder / "module.log"
        self.server = machine(folder, resources, self.log, log_level=log_level, environ=environ, program=program)

    def spool_of(self, service: str = NAME) -> Path:
        """Return the directory in which a service's spool lies by default."""
        return self.folder / "home" / "capture-courier" / PART / service

    async def configure(self, **attributes: Any) -> None:
        """Add the uploader with these attributes; small retries, so that tests need not wait."""
        await self.server.add_resource(NAME, self.attributes(**attributes))

    def attributes(self, **attributes: Any) -> dict[str, Any]:
        upload = {"batch_wait_s": 0.1, "retry_initial_s": 0.05, "retry_max_s": 0.5, **attributes.pop("upload", {})}
        cloud = {"address": self.address, **attributes.pop("cloud", {})}
        spool = {"min_free_bytes": 0, **attributes.pop("spool", {})}
        return {"upload": upload, "cloud": cloud, "spool": spool, **attributes}

    async def command(self, verb: str, **arguments: Any) -> dict[str, Any]:
        return await self.server.do_command(NAME, {"command": verb, **arguments})

    async def status(self) -> dict[str, Any]:
        return await self.command("status")

    async def until(self, holds: Callable[[dict[str, Any]], bool], timeout_s: float = 30.0) -> dict[str, Any]:
        """Ask for the status until it holds; the module has no way to tell by itself."""
        status: dict[str, Any] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    status = await self.status()
                    if holds(status):
                        return status
                    await asyncio.sleep(0.05)
        raise AssertionError(f"not within {timeout_s} s: {status}")

    async def drained(self, timeout_s: float = 45.0) -> dict[str, Any]:
        """Stop capturing, upload all there is, and give the status then."""
        await self.command("pause", what="capture")
        answer = await self.command("flush", timeout_s=timeout_s)
        assert answer == {"remaining_items": 0, "remaining_bytes": 0}, await self.status()
        return await self.status()

    def arrivals(self, method: UploadMethod | None = None, name: str | None = None) -> list[Arrival]:
        return [
            arrival
            for arrival in self.cloud.arrivals
            if (method is None or arrival.method is method)
            and (name is None or arrival.metadata.component_name == name)
        ]

    def numbers(self, name: str) -> list[int]:
        """What the counting sensor's rows in the cloud say, in the order of arrival."""
        return [
            int(row.struct.fields["readings"].struct_value.fields["n"].number_value)
            for arrival in self.arrivals(UploadMethod.TABULAR, name)
            for row in arrival.rows
        ]

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [MessageToDict(row.struct) for a in self.arrivals(UploadMethod.TABULAR, name) for row in a.rows]

    def printed(self) -> str:
        """All that the module has said: its output, and the logs that it sent to the machine."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return text + "\n".join(entry.message + entry.stack for entry in self.server.logs)


class Beside:
    """How far this computer is behind, measured beside a test: what is promised in time is allowed that much more.

    Use it as an async context manager. With a rig, its module is asked for the status all the while: if only the module
    is held up, no timer of this process is late.
    """

    def __init__(self, rig: Rig | None = None) -> None:
        self._rig = rig
        self._all_late_s: list[float] = []
        self._slowest_answer_s = 0.0

    @property
    def late_s(self) -> float:
        """The latest that a timer was, twice: the module and this process may wait one after the other.

        And the longest that the rig's module took for an answer.
        """
        return 2 * max(self._all_late_s, default=0.0) + self._slowest_answer_s

    @property
    def typical_late_s(self) -> float:
        """How late a timer was in the median, twice."""
        return 2 * statistics.median(self._all_late_s)

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._watch(), name="beside")]
        if self._rig is not None:
            self._tasks.append(asyncio.create_task(self._ask(self._rig), name="asks beside"))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.005
            await asyncio.sleep(0.005)
            self._all_late_s.append(loop.time() - due)

    async def _ask(self, rig: Rig) -> None:
        loop = asyncio.get_running_loop()
        while True:
            asked = loop.time()
            try:
                await rig.status()
            finally:
                # Also of the answer that is still awaited at the end.
                self._slowest_answer_s = max(self._slowest_answer_s, loop.time() - asked)
            await asyncio.sleep(0.02)


class GuestRig(Rig):
    """A machine whose module serves other tests too, one after the other; the cloud and the spool are this test's."""

    def __init__(self, folder: Path, server: ViamServer, log: Path, cloud: LocalCloud, address: str) -> None:
        self.folder = folder
        self.cloud = cloud
        self.address = address
        self.log = log
        self.server = server
        self._printed_before = log.stat().st_size

    def spool_of(self, service: str = NAME) -> Path:
        return self.folder / "spools" / service

    def attributes(self, **attributes: Any) -> dict[str, Any]:
        spool = {"directory": str(self.spool_of()), **attributes.pop("spool", {})}
        return super().attributes(spool=spool, **attributes)

    def printed(self) -> str:
        text = self.log.read_bytes()[self._printed_before :].decode(errors="replace")
        return text + "\n".join(entry.message + entry.stack for entry in self.server.logs)


Starter = Callable[..., Awaitable[Rig]]
