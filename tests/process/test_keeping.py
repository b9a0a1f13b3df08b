"""What is kept of what was polled: (attribute, input, what was kept), through a real module process."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import cv2
import numpy as np
import pytest
from grpclib import GRPCError
from viam.components.sensor import Sensor
from viam.proto.app.data import Annotations
from viam.services.vision import Detection, Vision

from module.local.calls import UploadMethod
from tests.process.rig import Beside, CountingSensor, Rig, Starter, StillCamera


@pytest.fixture
def start(start_in_one_process: Starter) -> Starter:
    return start_in_one_process


class ScriptedSensor(Sensor):
    """Gives one of its readings after the other, then the last one for ever."""

    def __init__(self, name: str, script: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(name)
        self.script = list(script)
        self.polls = 0

    async def get_readings(self, **_: Any) -> Mapping[str, Any]:
        self.polls += 1
        return self.script[min(self.polls, len(self.script)) - 1]


class TimedCamera(StillCamera):
    """Remembers when it was asked."""

    def __init__(self, name: str, images: Sequence[tuple[str, bytes, str]]) -> None:
        super().__init__(name, images)
        self.asked: list[datetime] = []

    async def get_images(self, **options: Any) -> Any:
        self.asked.append(datetime.now(UTC))
        return await super().get_images(**options)


class Watcher(Vision):
    """Finds what it is told to find."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.sees: list[Detection] = []
        self.frames = 0
        self.fails = False

    async def get_detections(self, image: Any, **_: Any) -> list[Detection]:
        self.frames += 1
        if self.fails:
            raise RuntimeError("the model is broken")
        return self.sees

    async def get_detections_from_camera(self, camera_name: str, **_: Any) -> list[Detection]:
        return self.sees

    async def _nothing(self, *_: Any, **__: Any) -> Any:
        return []

    get_classifications = get_classifications_from_camera = get_object_point_clouds = _nothing
    capture_all_from_camera = get_properties = get_detections_3d = _nothing


def _numbers(values: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"v": value} for value in values]


DEADBANDS: list[tuple[str, dict[str, Any], list[dict[str, Any]], list[int]]] = [
    ("any difference", {}, _numbers([1, 1, 2, 2, 1]), [0, 2, 4]),
    ("one for all", {"deadband": 1}, _numbers([0, 0.9, 1.0, 1.1, 2.2, 0]), [0, 3, 4, 5]),
    ("slow drift adds up", {"deadband": 1}, _numbers([0, 0.4, 0.8, 1.2, 1.6, 2.3]), [0, 3, 5]),
    (
        "by key path",
        {"deadband": {"a.b": 10}},
        [{"a": {"b": b, "c": 0}} for b in (0, 9, 11)] + [{"a": {"b": 12, "c": 1}}],
        [0, 2, 3],
    ),
    ("keys that come and go", {"deadband": 5}, [{"a": 1}, {"a": 1, "b": 1}, {"a": 1}, {"a": 1}], [0, 1, 2]),
    ("other values", {"deadband": 5}, _numbers(["on", "on", "off", True, True]), [0, 2, 3]),
    ("NaN", {"deadband": 5}, _numbers([1, math.nan, math.nan, 1]), [0, 1, 3]),
]


@pytest.mark.parametrize(
    ("on_change", "script", "kept"), [row[1:] for row in DEADBANDS], ids=[row[0] for row in DEADBANDS]
)
async def test_on_change_keeps_only_what_changed(
    start: Starter, on_change: dict[str, Any], script: list[dict[str, Any]], kept: list[int]
) -> None:
    marked = [{**reading, "i": {"n": 0}} for reading in script]
    sensor = ScriptedSensor("s1", marked)
    rig = await start(sensor, sources=[{"name": "s1", "interval_s": 0.05, "on_change": on_change}])
    await _until_polled(rig, lambda: sensor.polls > len(script) + 3)
    status = await rig.drained()
    arrived = [{**row["readings"]} for row in rig.rows("s1")]
    wanted = [{**marked[index]} for index in kept]
    assert [_plain(row) for row in arrived] == [_plain(row) for row in wanted]
    source = status["sources"]["s1"]
    assert source["captured"] == len(kept)
    assert source["captured"] + source["filtered"] >= len(script)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


async def test_a_heartbeat_keeps_one_now_and_then(start: Starter) -> None:
    sensor = ScriptedSensor("s1", [{"v": 1}])
    source = {"name": "s1", "interval_s": 0.1, "on_change": {"deadband": 1, "heartbeat_s": 0.5}}
    rig = await start(sensor, sources=[source])
    begun = time.monotonic()
    await _until_polled(rig, lambda: sensor.polls >= 21)
    status = await rig.drained()
    # The first, one each half second, and what came before the first look here.
    assert 4 <= status["sources"]["s1"]["captured"] <= 2 + (time.monotonic() - begun) / 0.5


def _scene(shade: int) -> bytes:
    pixels = np.full((240, 320, 3), 128, dtype=np.uint8)
    pixels[:120, :160] = shade
    done, data = cv2.imencode(".jpg", pixels)
    assert done
    return bytes(data.tobytes())


async def test_min_difference_keeps_images_that_changed_enough(start: Starter) -> None:
    camera = StillCamera("c1", [("", _scene(0), "image/jpeg")])
    source = {"name": "c1", "interval_s": 0.05, "on_change": {"min_difference": 0.05}}
    rig = await start(camera, sources=[source])
    kept = []
    for shade, differs in ((0, True), (20, False), (255, True), (250, False), (0, True)):
        image = _scene(shade)
        camera.images = [("", image, "image/jpeg")]
        before = camera.polls
        await _until_polled(rig, lambda before=before: camera.polls > before + 2)  # type: ignore[misc]
        if differs:
            kept.append(image)
    await rig.drained()
    assert [arrival.payload for arrival in rig.arrivals()] == kept


async def test_a_command_gets_its_capture_whatever_changed(start: Starter) -> None:
    rig = await start(ScriptedSensor("s1", [{"v": 1}]), sources=[{"name": "s1", "on_change": {}, "gate": {}}])
    assert (await rig.command("capture", count=3))["captured"] == {"s1": 3}


async def test_a_gate_keeps_from_before_it_opens_to_after_it_closes(start: Starter) -> None:
    """Frames from 2 s before to 1 s after, none twice, none outside by more than one period."""
    camera = TimedCamera("c1", [("", b"frame", "image/jpeg")])
    door = ScriptedSensor("door", [{"open": False}])
    gate = {"sensor": "door", "key": "open", "poll_hz": 50, "before_s": 2, "after_s": 1}
    rig = await start(camera, door, sources=[{"name": "c1", "capture_frequency_hz": 10, "gate": gate}])
    async with Beside(rig) as beside:
        status = await rig.until(lambda status: status["sources"]["c1"]["state"] == "gated" and camera.polls > 35)
        assert status["sources"]["c1"]["captured"] == 0
        door.script = [{"open": True}]
        opened = datetime.now(UTC)
        await asyncio.sleep(1)
        door.script = [{"open": False}]
        closed = datetime.now(UTC)
        await asyncio.sleep(2)
        status = await rig.drained()
    times = sorted(
        arrival.sensor_metadata.time_requested.ToDatetime(UTC)
        for arrival in rig.arrivals()
        if arrival.sensor_metadata is not None
    )
    slack = timedelta(seconds=0.15 + beside.late_s)
    assert opened - timedelta(seconds=2) - slack <= times[0] <= opened - timedelta(seconds=2) + slack
    assert closed + timedelta(seconds=1) - slack <= times[-1] <= closed + timedelta(seconds=1) + slack
    assert len(times) == len(set(times)) == status["sources"]["c1"]["captured"]
    # Each poll between the first frame and the last is kept. It is asked for before the camera hears of it.
    first = next(number for number, asked in enumerate(camera.asked) if asked >= times[0])
    kept = camera.asked[first : first + len(times)]
    assert all(time <= asked for time, asked in zip(times, kept, strict=True))
    assert all(time > asked for time, asked in zip(times[1:], kept, strict=False))
    assert status["sources"]["c1"]["filtered"] > 0


async def test_a_gate_whose_sensor_fails_stays_as_it_was_and_says_so(start: Starter) -> None:
    failing = asyncio.Event()
    sensor = CountingSensor("s1")
    door = CountingSensor("door", fail=lambda _: ValueError("no answer") if failing.is_set() else None)
    gate = {"sensor": "door", "key": "n", "above": 0, "poll_hz": 50}
    rig = await start(sensor, door, sources=[{"name": "s1", "interval_s": 0.05, "gate": gate}])
    await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 3)
    failing.set()
    status = await rig.until(lambda status: status["sources"]["s1"]["last_error"] is not None)
    assert "gate: door: Readings failed" in status["sources"]["s1"]["last_error"]
    before = status["sources"]["s1"]["captured"]
    await rig.until(lambda status: status["sources"]["s1"]["captured"] >= before + 3)


async def test_without_the_gates_sensor_the_gate_stays_closed_and_says_why(start: Starter) -> None:
    gate = {"sensor": "door", "key": "open"}
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1", "interval_s": 0.05, "gate": gate}])
    status = await rig.until(lambda status: status["sources"]["s1"]["filtered"] >= 3)
    source = status["sources"]["s1"]
    assert (source["state"], source["captured"]) == ("gated", 0)
    told = "gate: this machine has no door, or it is not ready; if two resources have this name, rename one"
    assert source["last_error"] == told


async def test_trigger_opens_a_gate_with_the_seconds_before_and_after(start: Starter) -> None:
    sensor = CountingSensor("s1")
    gate = {"before_s": 0.5, "after_s": 0.3}
    sources = [{"name": "s1", "interval_s": 0.05, "gate": gate}, {"name": "s1", "id": "free"}]
    rig = await start(sensor, sources=sources)
    async with Beside(rig) as beside:
        await rig.until(lambda status: status["sources"]["s1"]["filtered"] >= 5)
        at, opened = len(sensor.polls), time.monotonic()
        answer = await rig.command("trigger", sources=["s1"], for_s=0.2)
        assert answer["opened"] == ["s1"]
        await rig.until(lambda _: len(sensor.polls) > at + 25)
        await rig.drained()
    numbers = rig.numbers("s1")
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    # Half a second before, and half a second from then on, at the times at which the sensor was asked.
    slack = 0.15 + beside.late_s
    before, last = opened - sensor.polls[numbers[0] - 1], sensor.polls[numbers[-1] - 1] - opened
    assert 0.5 - slack <= before <= 0.5 + slack
    assert 0.5 - slack <= last <= 0.5 + slack
    assert abs(answer["kept_before"]["s1"] - (at + 1 - numbers[0])) <= 1 + slack / 0.05
    with pytest.raises(GRPCError, match="sources that have a gate"):
        await rig.command("trigger", sources=["s1", "free"], for_s=60)
    assert (await rig.status())["sources"]["s1"]["state"] == "paused"
    await rig.command("resume")
    await rig.until(lambda status: status["sources"]["s1"]["state"] == "gated")


async def test_a_vision_service_opens_the_gate_on_the_frame_that_is_kept(start: Starter) -> None:
    camera = StillCamera("c1", [("", _scene(0), "image/jpeg")])
    watcher = Watcher("eye")
    gate = {"vision": "eye", "label": "person", "min_confidence": 0.6, "before_s": 4}
    rig = await start(camera, watcher, sources=[{"name": "c1", "interval_s": 0.1, "gate": gate}])
    watcher.sees = [
        Detection(x_min=0, y_min=0, x_max=10, y_max=10, confidence=0.5, class_name="person"),
        Detection(x_min=0, y_min=0, x_max=10, y_max=10, confidence=0.9, class_name="cat"),
    ]
    # For longer than is kept from before.
    await _until_polled(rig, lambda: watcher.frames >= 45)
    assert (await rig.status())["sources"]["c1"]["captured"] == 0
    box = Detection(x_min=32, y_min=24, x_max=160, y_max=120, confidence=0.8, class_name="person")
    watcher.sees = [*watcher.sees, box]
    # Those from before are at most the 42 of below.
    await rig.until(lambda status: status["sources"]["c1"]["captured"] >= 46)
    watcher.sees = []
    await rig.drained()
    noted = [arrival.sensor_metadata.annotations for arrival in rig.arrivals() if arrival.sensor_metadata is not None]
    found = [annotations for annotations in noted if annotations.bboxes]
    assert len(found) >= 3
    # The frames from before were not found to show anything.
    assert 1 <= len(noted) - len(found) <= 4 / 0.1 + 2
    assert isinstance(found[0], Annotations)
    (bbox,) = found[0].bboxes
    assert bbox.label == "person"
    corners = (bbox.x_min_normalized, bbox.y_min_normalized, bbox.x_max_normalized, bbox.y_max_normalized)
    assert corners == pytest.approx((0.1, 0.1, 0.5, 0.5))


async def test_a_failing_model_delays_nobody_and_is_named(start: Starter) -> None:
    camera, sensor, watcher = StillCamera("c1", [("", _scene(0), "image/jpeg")]), CountingSensor("s1"), Watcher("eye")
    watcher.fails = True
    sources = [
        {"name": "c1", "interval_s": 0.1, "gate": {"vision": "eye"}},
        {"name": "s1", "capture_frequency_hz": 20},
    ]
    rig = await start(camera, sensor, watcher, sources=sources)
    status = await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 20)
    assert "gate: eye: GetDetections failed" in status["sources"]["c1"]["last_error"]
    # Who waited for the model would be polled no more often than it was asked.
    assert len(sensor.polls) > 1 + watcher.frames


@pytest.mark.parametrize("source", [{"name": "s1"}, {"name": "c1", "method": "NextPointCloud"}], ids=["sensor", "own"])
async def test_a_vision_service_on_a_camera_gates_what_is_no_image(start: Starter, source: dict[str, Any]) -> None:
    """The readings of a sensor, or the camera's own point clouds, which the vision service is not asked about."""
    camera, sensor, watcher = StillCamera("c1", [], cloud=b"points"), CountingSensor("s1"), Watcher("eye")
    gate = {"vision": "eye", "camera": "c1", "poll_hz": 20}
    rig = await start(camera, sensor, watcher, sources=[{"id": "it", "interval_s": 0.05, "gate": gate, **source}])
    await rig.until(lambda status: status["sources"]["it"]["filtered"] >= 3)
    watcher.sees = [Detection(x_min=0, y_min=0, x_max=1, y_max=1, confidence=0.9, class_name="x")]
    status = await rig.until(lambda status: status["sources"]["it"]["captured"] >= 3)
    assert (status["sources"]["it"]["last_error"], watcher.frames) == (None, 0)


async def test_outside_its_active_hours_a_source_rests(start: Starter) -> None:
    now = datetime.now(UTC)
    around, later = (
        f"{now + timedelta(minutes=a):%H:%M}-{now + timedelta(minutes=b):%H:%M}" for a, b in ((-5, 5), (30, 60))
    )
    sources = [
        {"name": "s1", "id": "open", "interval_s": 0.05, "active_hours": [around]},
        {"name": "s1", "id": "closed", "interval_s": 0.05, "active_hours": [later]},
    ]
    rig = await start(CountingSensor("s1"), sources=sources)
    status = await rig.until(lambda status: status["sources"]["open"]["captured"] >= 5)
    assert [status["sources"][key]["state"] for key in ("open", "closed")] == ["active", "resting"]
    assert status["sources"]["closed"]["captured"] == status["sources"]["closed"]["missed"] == 0


async def test_set_schedule_holds_for_its_time(start: Starter) -> None:
    sensor = CountingSensor("s1")
    rig = await start(sensor, sources=[{"name": "s1", "interval_s": 60}])
    answer = await rig.command("set_schedule", source="s1", capture_frequency_hz=20, for_s=5)
    assert (answer["source"], answer["schedule"]) == ("s1", "20 Hz")
    assert answer["until"].endswith("Z")
    await rig.until(lambda status: status["sources"]["s1"]["schedule"] == "every 60 s")
    # A busy computer misses some of the hundred; every 60 s would be one.
    assert 2 <= len(sensor.polls) <= 102
    for bad in (
        {"source": "s1"},
        {"source": "s1", "cron": "* *"},
        {"source": "s1", "interval_s": 1, "cron": "* * * * *"},
    ):
        with pytest.raises(GRPCError, match="set_schedule"):
            await rig.command("set_schedule", **bad)


async def test_set_tags_holds_until_the_next_one(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1", "tags": ["own"]}])
    await rig.command("set_tags", tags=["a"])
    await rig.command("capture", tags=["once"], wait="uploaded")
    await rig.command("set_tags", tags=[])
    await rig.command("capture", wait="uploaded")
    assert [list(arrival.metadata.tags) for arrival in rig.arrivals()] == [["own", "a", "once"], ["own"]]


async def _until_polled(rig: Rig, holds: Callable[[], bool]) -> None:
    await rig.until(lambda _: holds())


def _shape(data: bytes) -> tuple[int, ...]:
    return tuple(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).shape)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("image", "mime_type", "shape", "untouched"),
    [
        ({}, "image/jpeg", (240, 320, 3), True),
        ({"format": "jpeg"}, "image/jpeg", (240, 320, 3), True),
        ({"format": "png"}, "image/png", (240, 320, 3), False),
        ({"format": "webp", "quality": 60}, "image/webp", (240, 320, 3), False),
        ({"max_width": 160}, "image/jpeg", (120, 160, 3), False),
        ({"max_height": 60}, "image/jpeg", (60, 80, 3), False),
        ({"max_width": 1000}, "image/jpeg", (240, 320, 3), True),
        ({"crop": [10, 20, 100, 50]}, "image/jpeg", (50, 100, 3), False),
        ({"crop": [10, 20, 100, 50], "max_width": 50, "format": "webp"}, "image/webp", (25, 50, 3), False),
    ],
)
async def test_images_arrive_as_they_were_asked_for(
    start: Starter, image: dict[str, Any], mime_type: str, shape: tuple[int, ...], untouched: bool
) -> None:
    data = _scene(50)
    rig = await start(StillCamera("c1", [("", data, "image/jpeg")]), sources=[{"name": "c1", "image": image}])
    await rig.command("capture", wait="uploaded")
    (arrival,) = rig.arrivals(UploadMethod.BINARY)
    assert arrival.metadata.mime_type == mime_type
    assert _shape(arrival.payload or b"") == shape
    assert (arrival.payload == data) == untouched


async def test_a_corrupt_image_that_needs_work_is_an_error_that_names_its_source(start: Starter) -> None:
    camera = StillCamera("c1", [("", _scene(0)[:500], "image/jpeg")])
    rig = await start(camera, sources=[{"name": "c1", "image": {"format": "webp"}}])
    answer = await rig.command("capture")
    assert answer["captured"] == {"c1": 0}
    assert answer["errors"]["c1"].startswith("c1: ")
    camera.images = [("", _scene(0), "image/jpeg")]
    assert (await rig.command("capture"))["captured"] == {"c1": 1}


async def test_an_image_that_could_not_be_processed_is_not_compared_with(start: Starter) -> None:
    """Otherwise a still scene would be one error, and nothing from then on."""
    camera = StillCamera("c1", [("", _scene(0), "image/jpeg")])
    source = {"name": "c1", "interval_s": 0.05, "on_change": {}, "image": {"crop": [1000, 0, 10, 10]}}
    rig = await start(camera, sources=[source])
    status = await rig.until(lambda status: status["sources"]["c1"]["errors"] >= 3)
    assert "lies outside an image of 320x240 pixels" in status["sources"]["c1"]["last_error"]
