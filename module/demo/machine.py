"""The resources of the demo's machine: a work cell's cameras, sensors and vision, and this computer's metrics."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from viam.components.camera import Camera
from viam.components.sensor import Sensor
from viam.media.video import CameraMimeType, NamedImage
from viam.proto.common import ResponseMetadata
from viam.resource.base import ResourceBase

from module.demo import scene
from module.demo.cell import Cell
from module.demo.inspector import Inspector
from module.demo.scene import Scene
from module.demo.sensors import ConveyorSensor, DriveSensor, GpsSensor, GripperSensor
from module.demo.webcam import Webcam

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels: TypeAlias = npt.NDArray[Any]

_MEGABYTE = 1_000_000
_CPU_WINDOW_S = 0.5
_PROC = Path("/proc")
_THERMAL = Path("/sys/class/thermal")


def resources(cell: Cell) -> list[ResourceBase]:
    """What the machine has, ``webcam`` only if this computer has one; takes up to a few seconds."""
    view = Scene(640, 480, cell=cell)
    found = Webcam.find()
    return [
        HostSensor("host"),
        ConveyorSensor("conveyor", cell),
        GripperSensor("gripper", cell),
        DriveSensor("drive", cell),
        GpsSensor("gps"),
        Inspector("inspector"),
        SceneCamera("front", view),
        DepthCamera("depth", view),
        # Large enough that its JPEG, above 1 MB, goes in chunks.
        SceneCamera("panorama", Scene(2560, 1920, seed=2, cell=cell)),
        *([WebcamCamera("webcam", found)] if found is not None else ()),
    ]


class HostSensor(Sensor):
    """Metrics of this computer; each name has its unit. Metrics that the system does not have are left out."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._cpu = _Cpu()

    async def get_readings(self, **_: Any) -> dict[str, float]:
        """Read them from the kernel, which answers from memory."""
        disk = shutil.disk_usage("/")
        return {
            "load_1m": round(os.getloadavg()[0], 2),
            **self._cpu.percent(),
            **_memory(),
            "disk_total_mb": disk.total // _MEGABYTE,
            "disk_free_mb": disk.free // _MEGABYTE,
            **_uptime(),
            **_temperature(),
        }


class _Cpu:
    """Remembers what the processors had done when they were last looked at."""

    def __init__(self) -> None:
        self._seen = (0, 0)
        self._seen_at = -_CPU_WINDOW_S
        self._percent = 0.0

    def percent(self) -> dict[str, float]:
        """How busy the processors were in the last half second, of 100; nothing but on Linux."""
        stat = _PROC / "stat"
        if not stat.exists():
            return {}
        now = time.monotonic()
        # The kernel counts in hundredths of a second: two looks close together would tell nothing.
        if now - self._seen_at >= _CPU_WINDOW_S:
            fields = [int(field) for field in stat.read_text().split("\n", 1)[0].split()[1:9]]
            idle, total = fields[3] + fields[4], sum(fields)
            passed = total - self._seen[1]
            if passed > 0:
                self._percent = round(100 * (1 - (idle - self._seen[0]) / passed), 1)
            self._seen, self._seen_at = (idle, total), now
        return {"cpu_percent": min(100.0, max(0.0, self._percent))}


def _memory() -> dict[str, float]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    memory: dict[str, float] = {"memory_total_mb": total // _MEGABYTE}
    meminfo = _PROC / "meminfo"
    if meminfo.exists():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        if "MemAvailable" in lines:
            memory["memory_available_mb"] = int(lines["MemAvailable"].split()[0]) * 1024 // _MEGABYTE
    return memory


def _uptime() -> dict[str, float]:
    if sys.platform == "linux":
        return {"uptime_s": round(time.clock_gettime(time.CLOCK_BOOTTIME), 3)}
    return {"uptime_s": round(time.monotonic(), 3)}


def _temperature() -> dict[str, float]:
    """The hottest of the thermal zones that have a temperature."""
    degrees = []
    for zone in sorted(_THERMAL.glob("thermal_zone*/temp")):
        try:
            degrees.append(int(zone.read_text()) / 1000)
        except (OSError, ValueError):
            # A zone that is switched off has a file that cannot be read.
            continue
    return {"temperature_c": max(degrees)} if degrees else {}


class _ColorCamera(Camera):
    """One JPEG image, named ``color``, of what ``_picture`` returns."""

    def _picture(self, at_s: float) -> Pixels:
        raise NotImplementedError

    async def get_images(
        self, *, filter_source_names: Sequence[str] | None = None, **_: Any
    ) -> tuple[list[NamedImage], ResponseMetadata]:
        """Take the images in a thread; ``captured_at`` is the time."""
        metadata = ResponseMetadata()
        captured = time.time_ns()
        images = await asyncio.to_thread(self._take, captured / 1e9)
        metadata.captured_at.FromNanoseconds(captured)
        return [image for image in images if not filter_source_names or image.name in filter_source_names], metadata

    def _take(self, at_s: float) -> list[NamedImage]:
        return [_image("color", scene.jpeg(self._picture(at_s)), CameraMimeType.JPEG)]

    async def get_point_cloud(self, **_: Any) -> tuple[bytes, str]:
        """Refuse: a picture has no depth."""
        raise NotImplementedError(f"{self.name} has no point clouds")

    async def get_properties(self, **_: Any) -> Camera.Properties:
        """Return the kinds of its images."""
        return Camera.Properties(supports_pcd=False, mime_types=[CameraMimeType.JPEG])


class SceneCamera(_ColorCamera):
    """The work cell in colour."""

    def __init__(self, name: str, view: Scene) -> None:
        super().__init__(name)
        self._view = view

    def _picture(self, at_s: float) -> Pixels:
        return self._view.picture(at_s)


class WebcamCamera(_ColorCamera):
    """The webcam of this computer."""

    def __init__(self, name: str, webcam: Webcam) -> None:
        super().__init__(name)
        self._webcam = webcam

    def _picture(self, at_s: float) -> Pixels:  # noqa: ARG002 - a webcam has one time only: now
        return self._webcam.picture()

    async def close(self) -> None:
        """Let go of the webcam."""
        await asyncio.to_thread(self._webcam.close)


class DepthCamera(SceneCamera):
    """The scene as a JPEG named ``color`` and as raw depth in millimetres named ``depth``, and as a point cloud."""

    def _take(self, at_s: float) -> list[NamedImage]:
        depth = scene.raw_depth(self._view.depth(at_s))
        return [*super()._take(at_s), _image("depth", depth, CameraMimeType.VIAM_RAW_DEPTH)]

    async def get_point_cloud(self, **_: Any) -> tuple[bytes, str]:
        """Return a binary PCD, in metres."""
        at_s = time.time()
        cloud = await asyncio.to_thread(lambda: scene.point_cloud(self._view.picture(at_s), self._view.depth(at_s)))
        return cloud, CameraMimeType.PCD

    async def get_properties(self, **_: Any) -> Camera.Properties:
        """Return the kinds of its images."""
        mime_types = [CameraMimeType.JPEG, CameraMimeType.VIAM_RAW_DEPTH]
        return Camera.Properties(supports_pcd=True, mime_types=mime_types)


def _image(name: str, data: bytes, mime_type: CameraMimeType) -> NamedImage:
    # Made bare: where the SDK makes one it looks for the size of a JPEG byte by byte, and can run past the end.
    image = NamedImage.__new__(NamedImage)
    image.name, image._data, image._mime_type = name, data, mime_type  # noqa: SLF001
    return image
