"""A fake machine and the real module process on it; the machine's work is not measured."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from viam.components.camera import Camera
from viam.components.sensor import Sensor
from viam.media.video import CameraMimeType, NamedImage
from viam.proto.common import ResponseMetadata
from viam.resource.base import ResourceBase

from benchmarks.identity import KEY, KEY_ID, NAME, PART
from benchmarks.inputs import readings
from benchmarks.processes import ROOT
from module.demo import scene
from module.demo.scene import Scene
from module.local.viam_server import ViamServer

AS_A_MODULE = (sys.executable, "-m", "module")
AS_INSTALLED = (str(ROOT / "run.sh"),)


class CannedSensor(Sensor):
    """Ten fields that differ from poll to poll."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.polls = 0

    async def get_readings(self, **_: Any) -> Mapping[str, Any]:
        """Answer at once."""
        self.polls += 1
        return readings(self.polls)


class ShortSensor(CannedSensor):
    """Three fields: a row of some 110 bytes."""

    async def get_readings(self, **_: Any) -> Mapping[str, Any]:
        """Answer at once."""
        self.polls += 1
        return {"temperature": self.polls * 0.25, "humidity": self.polls * 0.5, "valid": True}


class CannedCamera(Camera):
    """The same JPEG for ever."""

    def __init__(self, name: str, jpeg: bytes) -> None:
        super().__init__(name)
        self.polls = 0
        # Made bare, as the module's demo does: the SDK would look for its size each time.
        self._image = NamedImage.__new__(NamedImage)
        self._image.name, self._image._data, self._image._mime_type = "color", jpeg, CameraMimeType.JPEG

    async def get_images(self, **_: Any) -> tuple[list[NamedImage], ResponseMetadata]:
        """Answer at once."""
        self.polls += 1
        return [self._image], ResponseMetadata()

    async def get_point_cloud(self, **_: Any) -> tuple[bytes, str]:
        """Refuse."""
        raise NotImplementedError

    async def get_properties(self, **_: Any) -> Camera.Properties:
        """Tell what it gives."""
        return Camera.Properties(supports_pcd=False, mime_types=[CameraMimeType.JPEG])


def jpeg_720p() -> bytes:
    """A frame of the demo's scene, 1280 by 720."""
    return scene.jpeg(Scene(1280, 720).picture(0.0))


class Machine:
    """One module process, and the resources that it polls."""

    def __init__(self, server: ViamServer) -> None:
        self.server = server

    @property
    def pid(self) -> int:
        """The module's process."""
        return self.server.pid

    @property
    def socket(self) -> str:
        """Where the machine's resources are served."""
        return str(self.server._served().sockets / "parent.sock")

    async def configure(self, address: str, spool: Path, **attributes: Any) -> None:
        """Add the uploader, with its defaults except for what is set."""
        own = {
            "cloud": {"address": address},
            "spool": {"min_free_bytes": 0, "max_bytes": 1 << 50, "directory": str(spool)},
        }
        await self.server.add_resource(NAME, {**own, **attributes})

    async def command(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """Have the uploader carry out a command."""
        return await self.server.do_command(NAME, {"command": verb, **arguments})

    async def status(self) -> dict[str, Any]:
        """The uploader's status."""
        return await self.command("status")

    async def until(
        self, holds: Callable[[dict[str, Any]], bool], *, every_s: float = 0.02, timeout_s: float = 600.0
    ) -> dict[str, Any]:
        """Ask for the status until it holds."""
        async with asyncio.timeout(timeout_s):
            while not holds(status := await self.status()):
                await asyncio.sleep(every_s)
        return status


@contextlib.asynccontextmanager
async def machine(
    folder: Path,
    resources: Sequence[ResourceBase] = (),
    *,
    command: Sequence[str] = AS_A_MODULE,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Machine]:
    """A machine whose module is ready and not configured yet."""
    folder.mkdir(parents=True, exist_ok=True)
    server = ViamServer(
        resources,
        command,
        home=folder / "home",
        root=ROOT,
        log_file=folder / "module.log",
        part_id=PART,
        api_key_id=KEY_ID,
        api_key=KEY,
        environ={"PYTHONPATH": str(ROOT), **(environ or {})},
    )
    async with server:
        yield Machine(server)
