"""What sources give, as it arrives in the cloud, through a real module process."""

from __future__ import annotations

import json
import struct
import time
from typing import Any

import cv2
import numpy as np
import pytest
from viam.components.movement_sensor import MovementSensor
from viam.errors import NoCaptureToStoreError
from viam.proto.common import GeoPoint, Vector3

from module.local.calls import UploadMethod
from module.local.viam_server import GENERIC_SERVICE as GENERIC
from module.local.viam_server import MachineError
from tests.process.rig import NAME, CountingSensor, Starter, StillCamera


@pytest.fixture
def start(start_in_one_process: Starter) -> Starter:
    return start_in_one_process


def _noise(height: int, width: int) -> Any:
    return np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)


def _encoded(extension: str, pixels: Any) -> bytes:
    done, data = cv2.imencode(extension, pixels)
    assert done
    return bytes(data.tobytes())


JPEG = _encoded(".jpg", _noise(120, 160))


async def test_a_row_says_what_where_and_when(start: Starter) -> None:
    rig = await start(
        CountingSensor("s1"),
        sources=[{"name": "s1", "tags": ["own"], "extra": {"unit": "m"}}],
        tags=["all"],
        dataset_ids=["d1"],
    )
    before = time.time()
    await rig.command("capture", sources=["s1"], tags=["once"], wait="uploaded")
    (arrival,) = rig.arrivals()
    metadata = arrival.metadata
    assert (metadata.part_id, metadata.component_type, metadata.component_name, metadata.method_name) == (
        "part-1",
        "rdk:component:sensor",
        "s1",
        "Readings",
    )
    assert list(metadata.tags) == ["all", "own", "once"]
    assert list(metadata.dataset_ids) == []
    (row,) = arrival.rows
    requested, received = (
        getattr(row.metadata, name).ToMicroseconds() / 1e6 for name in ("time_requested", "time_received")
    )
    assert before <= requested <= received <= time.time()


async def test_a_poll_says_that_it_is_for_data(start: Starter) -> None:
    sensor = CountingSensor("s1")
    rig = await start(sensor, sources=[{"name": "s1", "extra": {"unit": "m", "fromDataManagement": False}}])
    await rig.command("capture")
    assert sensor.extras == [{"unit": "m", "fromDataManagement": True}]


async def test_polls_that_a_filter_module_holds_back_are_counted_and_make_no_noise(start: Starter) -> None:
    sensor = CountingSensor("s1", fail=lambda number: None if number % 2 else NoCaptureToStoreError())  # type: ignore[no-untyped-call]
    rig = await start(sensor, sources=[{"name": "s1"}])
    answer = await rig.command("capture", count=6)
    assert answer == {"captured": {"s1": 3}, "uploaded": {}, "errors": {}}
    source = (await rig.status())["sources"]["s1"]
    assert (source["captured"], source["filtered"], source["errors"], source["last_error"]) == (3, 3, 0, None)
    assert "no capture" not in rig.printed()


async def test_a_filter_module_that_holds_all_back_after_an_error_is_no_trouble(start: Starter) -> None:
    """It answers; and the health sensor shows each last error."""

    def fail(number: int) -> Exception:
        return RuntimeError("unplugged") if number == 1 else NoCaptureToStoreError()  # type: ignore[no-untyped-call]

    rig = await start(CountingSensor("s1", fail=fail), sources=[{"name": "s1"}])
    assert "unplugged" in (await rig.command("capture", sources=["s1"]))["errors"]["s1"]
    assert "unplugged" in (await rig.status())["sources"]["s1"]["last_error"]
    assert (await rig.command("capture", sources=["s1"]))["errors"] == {}
    source = (await rig.status())["sources"]["s1"]
    assert (source["captured"], source["filtered"], source["errors"], source["last_error"]) == (0, 1, 1, None)


async def test_a_resource_that_raises_is_counted_and_named(start: Starter) -> None:
    sensor = CountingSensor("s1", fail=lambda number: ValueError("bus error") if number == 2 else None)
    rig = await start(sensor, sources=[{"name": "s1"}])
    answer = await rig.command("capture", count=3)
    assert answer["captured"] == {"s1": 2}
    assert "bus error" in answer["errors"]["s1"]
    source = (await rig.status())["sources"]["s1"]
    assert (source["captured"], source["errors"], source["last_error"]) == (2, 1, None)


async def test_movement_sensors_give_their_readings_too(start: Starter) -> None:
    class Gps(MovementSensor):
        async def get_readings(self, **_: Any) -> Any:
            return {"position": GeoPoint(latitude=40.5, longitude=-70.5), "velocity": Vector3(x=1, y=2, z=3)}

        get_accuracy = get_angular_velocity = get_compass_heading = get_geometries = get_readings
        get_linear_acceleration = get_linear_velocity = get_orientation = get_position = get_properties = get_readings

    rig = await start(Gps("gps"), sources=[{"name": "gps", "api": "rdk:component:movement_sensor"}])
    await rig.command("capture", wait="uploaded")
    (row,) = rig.rows("gps")
    assert row["readings"]["position"] == {"lat": 40.5, "lng": -70.5, "_type": "geopoint"}
    assert row["readings"]["velocity"] == {"x": 1, "y": 2, "z": 3, "_type": "vector3"}
    assert rig.arrivals()[0].metadata.component_type == "rdk:component:movement_sensor"


@pytest.mark.parametrize(
    ("data", "mime_type", "extension"),
    [
        (JPEG, "image/jpeg", ".jpeg"),
        (_encoded(".png", _noise(40, 50)), "image/png", ".png"),
        (_encoded(".webp", _noise(40, 50)), "image/webp", ".webp"),
        (JPEG[: len(JPEG) // 2], "image/jpeg", ".jpeg"),
        (b"\xff\xd8\xff", "image/jpeg", ".jpeg"),
    ],
    ids=["jpeg", "png", "webp", "cut jpeg", "hardly a jpeg"],
)
async def test_encoded_images_arrive_byte_for_byte(start: Starter, data: bytes, mime_type: str, extension: str) -> None:
    camera = StillCamera("c1", [("color", data, mime_type)])
    captured_us = int(time.time() - 3600) * 10**6 + 250_000
    camera.captured_at = captured_us / 1e6
    rig = await start(camera, sources=[{"name": "c1", "api": "rdk:component:camera", "dataset_ids": ["d"]}])
    answer = await rig.command("capture", wait="uploaded")
    (arrival,) = rig.arrivals()
    assert arrival.method is UploadMethod.BINARY
    assert arrival.payload == data
    assert answer["uploaded"] == {"c1": [arrival.file_id]}
    metadata = arrival.metadata
    assert (metadata.method_name, metadata.file_extension, metadata.mime_type) == ("GetImages", extension, mime_type)
    assert list(metadata.dataset_ids) == ["d"]
    assert arrival.sensor_metadata is not None
    assert arrival.sensor_metadata.time_received.ToMicroseconds() == captured_us


@pytest.mark.parametrize(
    "seconds",
    [-62_135_596_800, 0, 946_684_799, time.time() - 90_000, time.time() + 90_000, 253_402_300_799],
    ids=["Go's zero time", "the epoch", "1999", "the day before", "the day after", "9999"],
)
async def test_an_image_whose_time_the_camera_left_unset_has_the_time_of_its_poll(
    start: Starter, seconds: float
) -> None:
    camera = StillCamera("c1", [("color", JPEG, "image/jpeg")])
    camera.captured_at = seconds
    rig = await start(camera, sources=[{"name": "c1"}])
    before = time.time_ns() // 1000
    answer = await rig.command("capture", wait="uploaded")
    assert answer["errors"] == {}
    (arrival,) = rig.arrivals()
    assert arrival.sensor_metadata is not None
    requested, received = arrival.sensor_metadata.time_requested, arrival.sensor_metadata.time_received
    assert before <= requested.ToMicroseconds() <= received.ToMicroseconds() <= time.time_ns() // 1000


async def test_raw_images_become_png_and_depth_keeps_its_millimetres(start: Starter) -> None:
    color = np.random.default_rng(2).integers(0, 255, (30, 40, 4), dtype=np.uint8)
    color[:, :, 3] = 255
    depth = np.random.default_rng(3).integers(0, 65535, (30, 40), dtype=np.uint16)
    rgba = b"RGBA" + struct.pack(">II", 40, 30) + color.tobytes()
    raw = b"DEPTHMAP" + struct.pack(">QQ", 40, 30) + depth.astype(">u2").tobytes()
    camera = StillCamera("c1", [("color", rgba, "image/vnd.viam.rgba"), ("depth", raw, "image/vnd.viam.dep")])
    rig = await start(camera, sources=[{"name": "c1"}])
    await rig.command("capture", wait="uploaded")
    arrivals = rig.arrivals(UploadMethod.BINARY)
    assert [arrival.metadata.mime_type for arrival in arrivals] == ["image/png", "image/png"]
    payloads = [np.frombuffer(arrival.payload or b"", np.uint8) for arrival in arrivals]
    images: list[Any] = [cv2.imdecode(payload, cv2.IMREAD_UNCHANGED) for payload in payloads]
    deep, flat = sorted(images, key=lambda image: image.ndim)
    assert np.array_equal(deep, depth)
    assert np.array_equal(flat[:, :, :3], color[:, :, 2::-1])


async def test_a_large_jpeg_goes_in_chunks_with_no_large_message(start: Starter) -> None:
    data = _encoded(".jpg", _noise(2200, 3000))
    assert len(data) > 1_000_000
    rig = await start(StillCamera("c1", [("", data, "image/jpeg")]), sources=[{"name": "c1"}])
    await rig.command("capture", wait="uploaded")
    (arrival,) = rig.arrivals()
    assert arrival.method is UploadMethod.STREAMING
    assert arrival.payload == data
    assert max(arrival.message_sizes) < 300_000


async def test_point_clouds_arrive_as_pcd(start: Starter) -> None:
    camera = StillCamera("c1", [], b"VERSION .7\n" + bytes(1000))
    rig = await start(camera, sources=[{"name": "c1", "method": "NextPointCloud", "upload_as": "streaming"}])
    await rig.command("capture", wait="uploaded")
    (arrival,) = rig.arrivals(UploadMethod.STREAMING)
    assert arrival.payload == camera.cloud
    metadata = arrival.metadata
    assert (metadata.method_name, metadata.file_extension, metadata.mime_type) == (
        "NextPointCloud",
        ".pcd",
        "pointcloud/pcd",
    )


async def test_only_the_chosen_of_a_cameras_images_are_kept(start: Starter) -> None:
    camera = StillCamera("c1", [("a", JPEG, "image/jpeg"), ("b", JPEG + b"x", "image/jpeg")])
    rig = await start(camera, sources=[{"name": "c1", "image": {"names": ["b"]}}])
    await rig.command("capture", wait="uploaded")
    assert [arrival.payload for arrival in rig.arrivals()] == [JPEG + b"x"]


async def test_readings_can_travel_as_documents_of_lines(start: Starter) -> None:
    rig = await start(
        CountingSensor("s1"),
        sources=[{"name": "s1", "upload_as": "file", "tags": ["t"]}],
        upload={"batch_wait_s": 3600},
        dataset_ids=["d"],
    )
    await rig.command("capture", count=5)
    await rig.drained()
    (arrival,) = rig.arrivals()
    assert arrival.method is UploadMethod.FILE
    metadata = arrival.metadata
    assert (metadata.component_type, metadata.component_name, metadata.method_name) == (
        "rdk:component:sensor",
        "s1",
        "Readings",
    )
    assert (metadata.file_extension, metadata.mime_type) == (".ndjson", "application/x-ndjson")
    assert (list(metadata.tags), list(metadata.dataset_ids)) == (["t"], ["d"])
    lines = [json.loads(line) for line in (arrival.payload or b"").decode().splitlines()]
    assert [line["readings"]["n"] for line in lines] == [1, 2, 3, 4, 5]
    assert all(line.keys() == {"time_requested", "time_received", "readings"} for line in lines)
    assert all(line["time_requested"].endswith("Z") for line in lines)


async def test_without_its_resource_a_source_waits_and_captures_once_it_is_there(start: Starter) -> None:
    late = CountingSensor("late")
    sources = [{"name": "here", "interval_s": 0.1}, {"name": "late", "interval_s": 0.1}]
    rig = await start(CountingSensor("here"), sources=sources)
    status = await rig.until(lambda status: status["sources"]["here"]["captured"] >= 2)
    assert status["sources"]["late"]["state"] == "waiting"
    assert "no late" in status["sources"]["late"]["last_error"]
    rig.server.add(late)
    await rig.server.reconfigure_resource("uploader")
    await rig.until(lambda status: status["sources"]["late"]["captured"] >= 2)


async def test_a_required_resource_is_a_required_dependency(start: Starter) -> None:
    rig = await start(CountingSensor("here"))
    sources = [{"name": "gone", "required": True}, {"name": "here"}]
    assert await rig.server.validate("uploader", rig.attributes(sources=sources)) == (["gone"], ["here"])
    with pytest.raises(MachineError, match="gone"):
        await rig.configure(sources=sources)


async def test_a_source_of_the_wrong_kind_says_what_the_resource_is(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1", "method": "NextPointCloud"}])
    source = (await rig.status())["sources"]["s1"]
    assert source["state"] == "waiting"
    has = "it has Readings, GetWorldPose or DoCommand"
    assert source["last_error"] == f"s1 is a rdk:component:sensor, which has no NextPointCloud; {has}"


async def test_two_resources_of_one_name_are_distinguished_by_their_api(start: Starter) -> None:
    """viam-server passes neither, and the source says what may be the case."""
    sources = [{"name": "twin"}, {"name": "twin", "id": "sensor", "api": "rdk:component:sensor"}]
    rig = await start(CountingSensor("twin"), StillCamera("twin", []), sources=sources[:1])
    source = (await rig.status())["sources"]["twin"]
    assert source["state"] == "waiting"
    assert "no twin," in source["last_error"]
    assert "two resources have this name, set its api" in source["last_error"]
    await rig.server.reconfigure_resource(NAME, rig.attributes(sources=sources[1:]))
    await rig.command("capture")


@pytest.mark.parametrize("more", [{}, {"required": True}, {"api": GENERIC, "extra": {"command": {"command": "help"}}}])
async def test_a_source_that_names_its_own_service_says_so(start: Starter, more: dict[str, Any]) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": NAME, "id": "own", **more}, {"name": "s1"}])
    source = (await rig.status())["sources"]["own"]
    told = f"{NAME} is this service itself, which cannot capture itself"
    assert (source["state"], source["last_error"]) == ("waiting", told)
    await rig.command("capture", sources=["s1"])


async def test_a_remotes_resource_is_polled_by_its_full_name(start: Starter) -> None:
    rig = await start(CountingSensor("far:s1"), sources=[{"name": "far:s1"}])
    await rig.command("capture", wait="uploaded")
    assert rig.arrivals()[0].metadata.component_name == "far:s1"
