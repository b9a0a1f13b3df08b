"""A resource of each API, each of its methods once, and what arrives of it in the cloud."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

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

from tests.process.rig import StillCamera
from tests.process.test_sources import JPEG

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
    *(
        Case(
            audio((8000, 1)),
            component("audio_in"),
            "GetAudio",
            SAMPLES,
            {"codec": codec},
            mime_type,
            extension,
            named=False,
        )
        for codec, mime_type, extension in (
            ("opus", "application/octet-stream", ""),
            ("mp3", "audio/mpeg", ".mp3"),
        )
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
