"""What each method of each API gives, as it arrives in the cloud, through a real module process."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import pytest
from viam.components.arm import Arm
from viam.components.audio_in import AudioIn
from viam.components.board import Board
from viam.components.button import Button
from viam.components.encoder import Encoder
from viam.components.gantry import Gantry
from viam.components.generic import Generic
from viam.components.motor import Motor
from viam.components.movement_sensor import MovementSensor
from viam.components.power_sensor import PowerSensor
from viam.components.sensor import Sensor
from viam.components.servo import Servo
from viam.media.video import CameraMimeType, ViamImage
from viam.proto.app.data import Annotations
from viam.proto.app.data import Classification as Label
from viam.proto.common import AudioInfo, GeoPoint, Orientation, Pose, Vector3
from viam.proto.component.arm import JointPositions
from viam.proto.component.audioin import AudioChunk, GetAudioResponse
from viam.proto.component.board import ReadAnalogReaderResponse
from viam.proto.component.encoder import PositionType
from viam.proto.service.vision import Classification, Detection
from viam.resource.base import ResourceBase
from viam.services.slam import SLAM
from viam.services.vision import CaptureAllResult, Vision
from viam.streams import StreamWithIterator

from module.attributes.api_methods import methods_of
from module.collection.apis import METHODS
from module.local.calls import Arrival, UploadMethod
from module.local.viam_server import MachineError
from tests.process.rig import Rig, Starter, StillCamera
from tests.process.test_sources import JPEG


@pytest.fixture
def start(start_in_one_process: Starter) -> Starter:
    return start_in_one_process


PCD = b"VERSION .7\nDATA binary\n" + bytes(range(256))
SAMPLES = bytes(range(200)) * 2
POSE = Pose(x=1, y=2.5, z=-3, o_x=0, o_y=0, o_z=1, theta=90)
POSE_ROW = {"x": 1, "y": 2.5, "z": -3, "o_x": 0, "o_y": 0, "o_z": 1, "theta": 90}
VECTOR, VECTOR_ROW = Vector3(x=1, y=0, z=-2), {"x": 1, "y": 0, "z": -2}
ANALOG = ReadAnalogReaderResponse(value=512, min_range=0, max_range=3.25, step_size=0.5)


def fake(base: Any, name: str = "it", **answers: Any) -> Any:
    """A resource whose methods give these answers, and which remembers what it was asked with."""
    asked: list[dict[str, Any]] = []

    def answering(answer: Any) -> Any:
        async def method(_self: Any, *args: Any, **kwargs: Any) -> Any:
            asked.append({"args": args, **kwargs})
            return answer(*args, **kwargs) if callable(answer) else answer

        return method

    methods = {**dict.fromkeys(base.__abstractmethods__, None), **answers}
    resource = type(base.__name__, (base,), {key: answering(answer) for key, answer in methods.items()})(name)
    resource.asked = asked
    return resource


class Pin:
    """An analog reader or a GPIO pin."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.extras: list[Any] = []

    async def read(self, *, extra: Any = None, **_: Any) -> Any:
        self.extras.append(extra)
        return self.answers["read"]

    async def get(self, *, extra: Any = None, **_: Any) -> Any:
        self.extras.append(extra)
        return self.answers["get"]


def board(name: str, pin: Pin) -> Any:
    def by_name(given: str) -> Pin:
        assert given == name
        return pin

    return fake(Board, analog_by_name=by_name, gpio_pin_by_name=by_name)


def audio(*forms: tuple[int, int]) -> Any:
    """Give a chunk of SAMPLES for each sample rate and number of channels."""

    async def chunks() -> AsyncIterator[GetAudioResponse]:
        for number, (rate, channels) in enumerate(forms):
            info = AudioInfo(codec="pcm16", sample_rate_hz=rate, num_channels=channels)
            chunk = AudioChunk(audio_data=SAMPLES, audio_info=info, end_timestamp_nanoseconds=1000 * (number + 1))
            yield GetAudioResponse(audio=chunk)

    return fake(AudioIn, get_audio=lambda *_, **__: StreamWithIterator(chunks()))


def answer_command(command: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
    return {"answer": [1, None, "x"], "asked": command["ask"]}


SEEN = CaptureAllResult(
    image=ViamImage(JPEG, CameraMimeType.JPEG),
    detections=[
        Detection(x_min=16, y_min=30, x_max=80, y_max=120, confidence=0.75, class_name="cat"),
        Detection(x_min=0, y_min=0, x_max=9, y_max=9, confidence=0.25, class_name="mouse"),
    ],
    classifications=[Classification(class_name="day", confidence=0.5)],
)


class Case(NamedTuple):
    """One row of the table."""

    resource: ResourceBase
    api: str
    method: str
    payload: Any
    """The struct of a row, or the bytes."""
    extra: dict[str, Any] = {}  # noqa: RUF012 - never written to
    mime_type: str = ""
    extension: str = ""
    named: bool = True
    """Whether the source must name the method."""


def component(subtype: str) -> str:
    return f"rdk:component:{subtype}"


READINGS = {"a": 1.5, "b": {"c": True}, "d": None, "e": [None, "x"]}
MOVES = component("movement_sensor")
POWERS = component("power_sensor")
CASES = [
    Case(fake(Arm, get_end_position=POSE), component("arm"), "EndPosition", {"pose": POSE_ROW}),
    Case(
        fake(Arm, get_joint_positions=JointPositions(values=[0, 90.5, -45])),
        component("arm"),
        "JointPositions",
        {"positions": {"values": [0, 90.5, -45]}},
    ),
    Case(
        board("a1", Pin(read=ANALOG)),
        component("board"),
        "Analogs",
        {"value": 512, "min_range": 0, "max_range": 3.25, "step_size": 0.5},
        {"reader_name": "a1"},
    ),
    Case(board("11", Pin(get=False)), component("board"), "Gpios", {"high": False}, {"pin_name": "11"}),
    Case(board("11", Pin(get=True)), component("board"), "Gpios", {"high": True}, {"pin": "11"}),
    Case(
        fake(Encoder, get_position=(12.5, PositionType.POSITION_TYPE_TICKS_COUNT)),
        component("encoder"),
        "TicksCount",
        {"value": 12.5, "position_type": 1},
        named=False,
    ),
    Case(fake(Gantry, get_position=[1.0, 0, 3]), component("gantry"), "Position", {"positions_mm": [1, 0, 3]}),
    Case(fake(Gantry, get_lengths=[1000.0]), component("gantry"), "Lengths", {"lengths_mm": [1000]}),
    Case(fake(Motor, get_position=0.0), component("motor"), "Position", {"position": 0}),
    Case(fake(Motor, is_powered=(False, 0.5)), component("motor"), "IsPowered", {"is_on": False, "power_pct": 0.5}),
    Case(fake(MovementSensor, get_readings=READINGS), MOVES, "Readings", {"readings": READINGS}, named=False),
    Case(
        fake(MovementSensor, get_position=(GeoPoint(latitude=40.5, longitude=-70), 8.5)),
        MOVES,
        "Position",
        {"coordinate": {"latitude": 40.5, "longitude": -70}, "altitude_m": 8.5},
    ),
    Case(fake(MovementSensor, get_linear_velocity=VECTOR), MOVES, "LinearVelocity", {"linear_velocity": VECTOR_ROW}),
    Case(fake(MovementSensor, get_angular_velocity=VECTOR), MOVES, "AngularVelocity", {"angular_velocity": VECTOR_ROW}),
    Case(
        fake(MovementSensor, get_linear_acceleration=VECTOR),
        MOVES,
        "LinearAcceleration",
        {"linear_acceleration": VECTOR_ROW},
    ),
    Case(fake(MovementSensor, get_compass_heading=359.5), MOVES, "CompassHeading", {"value": 359.5}),
    Case(
        fake(MovementSensor, get_orientation=Orientation(o_z=1, theta=45)),
        MOVES,
        "Orientation",
        {"orientation": {"o_x": 0, "o_y": 0, "o_z": 1, "theta": 45}},
    ),
    Case(fake(PowerSensor, get_readings=READINGS), POWERS, "Readings", {"readings": READINGS}, named=False),
    Case(fake(PowerSensor, get_voltage=(12.5, False)), POWERS, "Voltage", {"volts": 12.5, "is_ac": False}),
    Case(fake(PowerSensor, get_current=(0.5, True)), POWERS, "Current", {"amperes": 0.5, "is_ac": True}),
    Case(fake(PowerSensor, get_power=6.25), POWERS, "Power", {"watts": 6.25}),
    Case(fake(Sensor, get_readings=READINGS), component("sensor"), "Readings", {"readings": READINGS}, named=False),
    Case(fake(Servo, get_position=90), component("servo"), "Position", {"position_deg": 90}, named=False),
    Case(fake(SLAM, get_position=POSE), "rdk:service:slam", "Position", {"pose": POSE_ROW}, named=False),
    Case(
        fake(SLAM, get_point_cloud_map=[PCD[:9], PCD[9:]]),
        "rdk:service:slam",
        "PointCloudMap",
        PCD,
        {},
        "pointcloud/pcd",
        ".pcd",
    ),
    Case(
        StillCamera("it", [("color", JPEG, "image/jpeg")]),
        component("camera"),
        "GetImages",
        JPEG,
        {},
        "image/jpeg",
        ".jpeg",
        named=False,
    ),
    Case(StillCamera("it", [], PCD), component("camera"), "NextPointCloud", PCD, {}, "pointcloud/pcd", ".pcd"),
    Case(
        fake(Vision, capture_all_from_camera=SEEN),
        "rdk:service:vision",
        "CaptureAllFromCamera",
        JPEG,
        {"camera_name": "eye"},
        "image/jpeg",
        ".jpeg",
        named=False,
    ),
    Case(
        audio((8000, 1)),
        component("audio_in"),
        "GetAudio",
        SAMPLES,
        {"codec": "opus"},
        "application/octet-stream",
        "",
        named=False,
    ),
    Case(
        audio((8000, 1)),
        component("audio_in"),
        "GetAudio",
        SAMPLES,
        {"codec": "mp3"},
        "audio/mpeg",
        ".mp3",
        named=False,
    ),
    *(
        Case(
            fake(base, do_command=answer_command),
            api,
            "DoCommand",
            {"docommand_output": {"answer": [1, None, "x"], "asked": "why"}},
            {key: {"ask": "why"}},
            named=named,
        )
        for base, api, key, named in (
            (Generic, component("generic"), "command", False),
            (Button, component("button"), "docommand_input", False),
            (Arm, component("arm"), "command", True),
            (Vision, "rdk:service:vision", "command", True),
        )
    ),
]


async def captured(start: Starter, resource: ResourceBase, **source: Any) -> tuple[Rig, list[Arrival]]:
    """Capture once, and give what has arrived then."""
    rig = await start(resource, sources=[{"name": "it", **source}])
    answer = await rig.command("capture", wait="uploaded")
    assert answer["errors"] == {}
    return rig, rig.arrivals()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.api} {case.method} {'-'.join(case.extra)}".strip())
async def test_a_method_arrives_as_viam_server_sends_it(start: Starter, case: Case) -> None:
    """The shapes are those that rdk's own tests expect (``components/*/collectors_test.go``)."""
    source = {"method": case.method} if case.named else {}
    rig, (arrival,) = await captured(start, case.resource, extra=case.extra, **source)
    metadata = arrival.metadata
    assert (metadata.component_name, metadata.component_type, metadata.method_name) == ("it", case.api, case.method)
    assert (metadata.mime_type, metadata.file_extension) == (case.mime_type, case.extension)
    if isinstance(case.payload, bytes):
        assert (arrival.method, arrival.payload) == (UploadMethod.BINARY, case.payload)
    else:
        assert rig.rows("it") == [case.payload]


def test_the_table_above_has_every_method() -> None:
    shown = {(case.api, case.method) for case in CASES}
    assert {*METHODS} <= shown
    assert {method.name for method in methods_of(None)} == {name for _, name in shown} | {"GetWorldPose"}


async def test_a_vision_service_gives_its_frame_with_what_it_saw(start: Starter) -> None:
    vision = fake(Vision, capture_all_from_camera=SEEN)
    source = {"extra": {"camera_name": "eye", "min_confidence_score": 0.5, "unit": "m"}}
    _, (arrival,) = await captured(start, vision, **source)
    assert arrival.sensor_metadata is not None
    (box,) = arrival.sensor_metadata.annotations.bboxes
    sides = (box.x_min_normalized, box.y_min_normalized, box.x_max_normalized, box.y_max_normalized)
    assert (box.label, box.confidence, sides) == ("cat", 0.75, (0.1, 0.25, 0.5, 1.0))
    (label,) = arrival.sensor_metadata.annotations.classifications
    assert (label.label, label.confidence) == ("day", 0.5)
    (asked,) = vision.asked
    assert (asked["args"], asked["extra"]) == (("eye",), {"unit": "m", "fromDataManagement": True})


async def test_boxes_follow_the_crop(start: Starter) -> None:
    """The image has 160 by 120 pixels; the mouse in its corner is cropped away."""
    vision = fake(Vision, capture_all_from_camera=SEEN)
    _, (arrival,) = await captured(start, vision, extra={"camera_name": "eye"}, image={"crop": [40, 60, 80, 60]})
    assert arrival.sensor_metadata is not None
    (box,) = arrival.sensor_metadata.annotations.bboxes
    sides = (box.x_min_normalized, box.y_min_normalized, box.x_max_normalized, box.y_max_normalized)
    assert (box.label, sides) == ("cat", (0.0, 0.0, 0.5, 1.0))


@pytest.mark.parametrize("upload_as", ["binary", "streaming"])
async def test_the_images_of_one_camera_bear_their_names(start: Starter, upload_as: str) -> None:
    camera = StillCamera("it", [("left", JPEG, "image/jpeg"), ("right", JPEG, "image/jpeg")])
    _, arrivals = await captured(start, camera, upload_as=upload_as)
    labels = [arrival.sensor_metadata.annotations for arrival in arrivals if arrival.sensor_metadata]
    expected = [Annotations(classifications=[Label(label=name)]) for name in ("left", "right")]
    assert sorted(labels, key=str) == expected
    assert {arrival.method.value for arrival in arrivals} == {f"{upload_as}_data_capture_upload"}


async def test_sound_is_a_wav_for_as_long_as_its_form_stays_the_same(start: Starter) -> None:
    recorder = audio((8000, 1), (8000, 1), (16000, 2))
    rig, arrivals = await captured(start, recorder, extra={"duration_seconds": 0.5})
    forms = []
    for arrival in arrivals:
        assert (arrival.metadata.mime_type, arrival.metadata.file_extension) == ("audio/wav", ".wav")
        with wave.open(io.BytesIO(arrival.payload or b"")) as file:
            form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            forms.append((*form, file.readframes(file.getnframes())))
    assert sorted(forms) == [(8000, 1, 2, SAMPLES * 2), (16000, 2, 2, SAMPLES)]
    await rig.command("capture")
    told = [{key: call[key] for key in ("codec", "duration_seconds")} for call in recorder.asked]
    assert told == [{"codec": "pcm16", "duration_seconds": 0.5}] * 2
    assert [call["previous_timestamp_ns"] for call in recorder.asked] == [0, 3000]


async def test_a_recording_lasts_as_long_as_the_period(start: Starter) -> None:
    recorder = audio((8000, 1))
    await captured(start, recorder, capture_frequency_hz=0.25)
    assert {call["duration_seconds"] for call in recorder.asked} == {4.0}


async def test_a_pin_is_told_apart_from_what_the_board_is_told(start: Starter) -> None:
    pin = Pin(read=ANALOG)
    await captured(start, board("a1", pin), method="Analogs", extra={"pin": "a1", "unit": "V"})
    assert pin.extras == [{"unit": "V", "fromDataManagement": True}]


async def test_rows_of_any_method_may_become_documents(start: Starter) -> None:
    _, (arrival,) = await captured(start, fake(Servo, get_position=90), upload_as="file")
    assert (arrival.payload or b"").endswith(b'"readings":{"position_deg":90}}\n')


IS_MOTOR = "it is a rdk:component:motor, which"
MOTOR_HAS = "it has Position, IsPowered, GetWorldPose or DoCommand"


@pytest.mark.parametrize(
    ("resource", "source", "problem"),
    [
        (fake(Motor), {}, f"{IS_MOTOR} needs a method; {MOTOR_HAS}"),
        (fake(Motor), {"method": "Voltage"}, f"{IS_MOTOR} has no Voltage; {MOTOR_HAS}"),
        (fake(Vision), {}, "it: CaptureAllFromCamera of a rdk:service:vision needs camera_name (a text) in extra"),
        (fake(Generic), {}, "it: DoCommand of a rdk:component:generic needs command or docommand_input (an object)"),
    ],
    ids=["no method", "not its method", "no camera", "no command"],
)
async def test_a_source_that_cannot_be_polled_says_what_it_needs(
    start: Starter, resource: ResourceBase, source: dict[str, Any], problem: str
) -> None:
    rig = await start(resource, sources=[{"name": "it", **source}])
    status = (await rig.status())["sources"]["it"]
    assert status["state"] == "waiting"
    assert status["last_error"].startswith(problem)
    assert (await rig.command("capture"))["errors"] == {"it": status["last_error"]}


async def test_an_api_with_several_methods_wants_one(start: Starter) -> None:
    rig = await start()
    with pytest.raises(
        Exception, match=r"sources\[0\]\.method: not given; allowed is Position, Lengths, GetWorldPose or DoCommand"
    ) as refusal:
        await rig.configure(sources=[{"name": "it", "api": "rdk:component:gantry"}])
    assert not isinstance(refusal.value, MachineError)
