from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from viam.components.camera import Camera

from module.demo import configuration, machine, webcam
from module.demo.cell import Cell
from module.demo.machine import DepthCamera, HostSensor, SceneCamera, WebcamCamera
from module.demo.scene import Scene
from module.demo.webcam import Webcam


@pytest.fixture(scope="module")
def view() -> Scene:
    return Scene(640, 480)


def _decoded(data: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


async def test_the_host_tells_what_it_really_does() -> None:
    readings = await HostSensor("host").get_readings()
    assert readings["load_1m"] >= 0
    assert readings["memory_total_mb"] > 100
    assert 0 <= readings["disk_free_mb"] <= readings["disk_total_mb"]
    assert readings["uptime_s"] > 0
    assert all(isinstance(value, (int, float)) for value in readings.values())


async def test_a_busy_processor_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_PROC", tmp_path)
    monkeypatch.setattr(machine, "_CPU_WINDOW_S", 0.0)
    stat, sensor = tmp_path / "stat", HostSensor("host")
    stat.write_text("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 1 1 1\n")
    assert (await sensor.get_readings())["cpu_percent"] == 20
    stat.write_text("cpu  160 10 100 720 110 0 0 0 0 0\ncpu0 1 1 1 1\n")
    assert (await sensor.get_readings())["cpu_percent"] == 70


async def test_looks_that_are_close_together_give_the_same_percentage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_PROC", tmp_path)
    # However far apart a busy computer makes them.
    monkeypatch.setattr(machine, "_CPU_WINDOW_S", 3600.0)
    stat, sensor = tmp_path / "stat", HostSensor("host")
    stat.write_text("cpu  100 0 100 800 0 0 0 0 0 0\n")
    first = await sensor.get_readings()
    stat.write_text("cpu  101 0 100 800 0 0 0 0 0 0\n")
    assert (await sensor.get_readings())["cpu_percent"] == first["cpu_percent"] == 20


async def test_the_memory_that_is_available_comes_from_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_PROC", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal:  2000000 kB\nMemAvailable:  1000000 kB\n")
    assert (await HostSensor("host").get_readings())["memory_available_mb"] == 1024


async def test_the_hottest_zone_is_told_and_one_that_is_off_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_THERMAL", tmp_path)
    assert "temperature_c" not in await HostSensor("host").get_readings()
    for zone, text in (("thermal_zone0", "41500\n"), ("thermal_zone1", "52250\n"), ("thermal_zone2", "")):
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "temp").write_text(text)
    assert (await HostSensor("host").get_readings())["temperature_c"] == 52.25


async def test_without_proc_what_the_standard_library_gives_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS."""
    monkeypatch.setattr(machine, "_PROC", tmp_path / "none")
    readings = await HostSensor("host").get_readings()
    assert {"load_1m", "memory_total_mb", "disk_free_mb", "uptime_s"} <= set(readings)
    assert not {"cpu_percent", "memory_available_mb"} & set(readings)


async def test_a_camera_gives_a_jpeg_of_the_scene_and_when_it_was_taken(view: Scene) -> None:
    before = time.time()
    (image,), metadata = await SceneCamera("front", view).get_images()
    assert (image.name, image.mime_type) == ("color", "image/jpeg")
    assert _decoded(image.data).shape == (480, 640, 3)
    assert before <= metadata.captured_at.ToNanoseconds() / 1e9 <= time.time()


async def test_a_camera_without_depth_refuses_a_point_cloud(view: Scene) -> None:
    camera = SceneCamera("front", view)
    assert not (await camera.get_properties()).supports_pcd
    with pytest.raises(NotImplementedError, match="front has no point clouds"):
        await camera.get_point_cloud()


async def test_a_depth_camera_gives_both_images_of_one_view(view: Scene) -> None:
    camera: Camera = DepthCamera("depth", view)
    (color, depth), _ = await camera.get_images()
    assert (color.mime_type, depth.mime_type) == ("image/jpeg", "image/vnd.viam.dep")
    assert len(depth.bytes_to_depth_array()) == 480
    assert (await camera.get_properties()).supports_pcd


async def test_a_depth_camera_gives_only_the_images_that_are_asked_for(view: Scene) -> None:
    images, _ = await DepthCamera("depth", view).get_images(filter_source_names=["depth"])
    assert [image.name for image in images] == ["depth"]


async def test_a_point_cloud_is_large_enough_for_chunks(view: Scene) -> None:
    data, mime_type = await DepthCamera("depth", view).get_point_cloud()
    assert mime_type == "pointcloud/pcd"
    assert data.startswith(b"VERSION .7\n")
    assert len(data) > 1_000_000


async def test_taking_a_picture_leaves_the_event_loop_free(view: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = SceneCamera("front", view)
    picture, held = view.picture, threading.Event()

    def slow(at_s: float) -> Any:
        assert held.wait(30)
        return picture(at_s)

    monkeypatch.setattr(view, "picture", slow)
    taking = asyncio.create_task(camera.get_images())
    await asyncio.sleep(0.05)
    assert not taking.done()
    held.set()
    await taking


async def test_the_machine_has_sensors_a_vision_service_and_cameras_one_of_them_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Webcam, "find", lambda: None)
    made = {resource.name: resource for resource in machine.resources(Cell())}
    assert list(made) == ["host", *("conveyor", "gripper", "drive", "gps"), "inspector", "front", "depth", "panorama"]
    panorama = made["panorama"]
    assert isinstance(panorama, SceneCamera)
    (image,), _ = await panorama.get_images()
    assert len(image.data) > 1_000_000


async def test_a_webcam_is_a_camera_beside_those_of_the_cell(hardware: type[_Capture]) -> None:
    (webcam,) = (resource for resource in machine.resources(Cell()) if resource.name == "webcam")
    assert isinstance(webcam, WebcamCamera)
    (image,), _ = await webcam.get_images()
    assert _decoded(image.data).shape == (4, 6, 3)
    await webcam.close()
    assert hardware.released == 1


@pytest.mark.parametrize("webcam", [False, True])
def test_every_source_is_of_something_that_the_machine_has(webcam: bool, hardware: type[_Capture]) -> None:
    hardware.opens = webcam
    names = {resource.name for resource in machine.resources(Cell())}
    configured = configuration.sources(datetime.now(UTC), webcam=webcam)
    assert {source["name"] for source in configured} == names - {"inspector"}
    gates = [source["gate"] for source in configured if "gate" in source]
    assert {gate.get("sensor") or gate["vision"] for gate in gates} <= names


class _Capture:
    """The hardware behind ``cv2.VideoCapture``."""

    opens = True
    reads = True
    asked: list[Any]
    released = 0

    def __init__(self, device: Any) -> None:
        _Capture.asked.append(device)

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.opens

    def read(self) -> tuple[bool, Any]:
        return self.reads, np.full((4, 6, 3), 9, np.uint8) if self.reads else None

    def release(self) -> None:
        _Capture.released += 1


@pytest.fixture
def hardware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Capture]]:
    _Capture.opens, _Capture.reads, _Capture.asked, _Capture.released = True, True, [], 0
    device = tmp_path / "video0"
    device.touch()
    monkeypatch.setattr(webcam, "_DEVICE", device)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(cv2, "VideoCapture", _Capture)
    # Put back what finding one sets.
    for name in ("OPENCV_LOG_LEVEL", "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "OPENCV_AVFOUNDATION_SKIP_AUTH"):
        monkeypatch.setenv(name, "")
    yield _Capture
    _Capture.opens, _Capture.reads = True, True


@pytest.mark.parametrize("fault", ["opens", "reads"])
def test_a_webcam_that_gives_nothing_is_let_go(hardware: type[_Capture], fault: str) -> None:
    setattr(hardware, fault, False)
    assert Webcam.find() is None
    assert hardware.released == 1


def test_without_a_device_none_is_tried(hardware: type[_Capture], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webcam, "_DEVICE", Path("/nowhere/video0"))
    assert Webcam.find() is None
    assert hardware.asked == []


def test_a_webcam_that_goes_away_is_an_error_not_a_picture(hardware: type[_Capture]) -> None:
    found = Webcam.find()
    assert found is not None
    hardware.reads = False
    with pytest.raises(OSError, match="no more pictures"):
        found.picture()
