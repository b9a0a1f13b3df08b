"""How to call each method of each API, and how to read its answer; part of ``sources``.

``METHODS`` has a row for each method that ``module.attributes.api_methods`` names. A row's payload has all fields of
the API's response under their names in the proto, also fields with their default value. viam-server's data manager
writes the same (rdk, ``components/*/collectors.go``, ``services/*/collectors.go``).
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import viam.components.audio_in
import viam.components.audio_out  # noqa: F401 - the SDK knows an API once its package is imported, these two by none else
from google.protobuf.message import Message
from viam.proto.common import DoCommandRequest, GetReadingsRequest
from viam.proto.component import arm, board, encoder, gantry, motor, movementsensor, powersensor, servo
from viam.proto.component.audioin import GetAudioRequest, GetAudioResponse
from viam.proto.component.camera import GetImagesRequest
from viam.proto.robot import GetPoseRequest, RobotServiceStub
from viam.proto.service import slam
from viam.proto.service.vision import CaptureAllFromCameraRequest
from viam.utils import dict_to_struct

from module.attributes import api_methods as apis
from module.attributes.api_methods import Parameter
from module.attributes.uploader import SourceConfig
from module.collection.annotations import annotations_of, label
from module.collection.image_header import dimensions
from module.collection.wav import is_pcm, wav
from module.errors import PollError
from module.structs import plain, plain_fields

_POINT_CLOUD = ("pointcloud/pcd", ".pcd")
_WORLD = "world"
_WAV = ("audio/wav", ".wav")
# As viam-server has it: a codec that it does not know has no extension.
_AUDIO = {"mp3": ("audio/mpeg", ".mp3")}
_OTHER_AUDIO = ("application/octet-stream", "")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of values: the struct to send, e.g. ``{"readings": {…}}``."""

    payload: Mapping[str, Any]

    @property
    def readings(self) -> Mapping[str, Any]:
        """The values, without the outer key that some APIs put around them."""
        wrapped: Mapping[str, Any] = self.payload.get("readings", self.payload.get("docommand_output", self.payload))
        return wrapped


@dataclass(frozen=True, slots=True)
class Blob:
    """One binary payload."""

    data: bytes
    mime_type: str
    captured_us: int | None = None
    """When it was taken, by the camera's own report."""
    name: str = ""
    """The name of this one of the camera's images."""
    annotations: bytes = b""
    """What was recognised in it: a serialised ``viam.proto.app.data.Annotations``."""
    extension: str | None = None
    """With its dot; None: it is an image, and its bytes show the type."""


Answer = Row | Blob
Ask = Callable[[], Awaitable[Sequence[Answer]]]
"""Asks a resource once."""
Prepare = Callable[[Any, SourceConfig, dict[str, Any]], Ask]
"""Binds a method to a resource, with the ``extra`` of each call. The request is made once for all calls."""


def _row(rpc: str, request: type[Message], **parameters: Parameter) -> Prepare:
    """A call whose response is the row; ``parameters`` are fields of the request."""
    known = request.DESCRIPTOR.fields_by_name

    def prepare(resource: Any, config: SourceConfig, extra: dict[str, Any]) -> Ask:
        fields = {"board_name" if "board_name" in known else "name": resource.name}
        fields |= {field: each.value_in(config.extra) for field, each in parameters.items()}
        asked = request(**fields, **({"extra": dict_to_struct(extra)} if "extra" in known else {}))

        async def ask() -> list[Answer]:
            response = await getattr(resource.client, rpc)(asked, timeout=config.timeout_s)
            return [Row(_fields(response))]

        return ask

    return prepare


def _fields(message: Message) -> dict[str, Any]:
    return {field.name: _value(getattr(message, field.name)) for field in message.DESCRIPTOR.fields}


def _value(value: Any) -> Any:
    if isinstance(value, Message):
        return _fields(value)
    return value if isinstance(value, (str, bool, int, float)) else list(value)


def _readings(resource: Any, config: SourceConfig, extra: dict[str, Any]) -> Ask:
    request = GetReadingsRequest(name=resource.name, extra=dict_to_struct(extra))

    async def ask() -> list[Answer]:
        # Not get_readings: it makes 0 of null.
        response = await resource.client.GetReadings(request, timeout=config.timeout_s)
        found = response.readings
        return [Row({"readings": {key: plain(found[key]) for key in found}})]

    return ask


def _do_command(resource: Any, config: SourceConfig, _extra: dict[str, Any]) -> Ask:
    request = DoCommandRequest(name=resource.name, command=dict_to_struct(apis.COMMAND.value_in(config.extra)))

    async def ask() -> list[Answer]:
        # Not do_command, for the same reason.
        response = await resource.client.DoCommand(request, timeout=config.timeout_s)
        return [Row({"docommand_output": plain_fields(response.result)})]

    return ask


def _world_pose(resource: Any, config: SourceConfig, extra: dict[str, Any]) -> Ask:
    # The machine's frame system answers, over the same connection as the resource.
    robot = RobotServiceStub(resource.channel)
    request = GetPoseRequest(component_name=resource.name, destination_frame=_WORLD, extra=dict_to_struct(extra))

    async def ask() -> list[Answer]:
        response = await robot.GetPose(request, timeout=config.timeout_s)
        return [Row({"pose": _fields(response.pose.pose)})]

    return ask


def _images(resource: Any, config: SourceConfig, extra: dict[str, Any]) -> Ask:
    names = list(config.image.names)
    request = GetImagesRequest(name=resource.name, extra=dict_to_struct(extra), filter_source_names=names)

    async def ask() -> list[Answer]:
        # Not get_images: it scans each JPEG for its size, and raises IndexError if the scan reaches the end.
        response = await resource.client.GetImages(request, timeout=config.timeout_s)
        captured_us = None
        if response.response_metadata.HasField("captured_at"):
            captured_us = response.response_metadata.captured_at.ToMicroseconds()
        blobs: list[Answer] = [
            Blob(
                image.image,
                image.mime_type,
                captured_us,
                name=image.source_name,
                # As viam-server does: the label tells the images of one camera apart.
                annotations=image.annotations.SerializeToString() + label(image.source_name),
            )
            for image in response.images
            if not names or image.source_name in names
        ]
        if not blobs:
            had = ", ".join(image.source_name for image in response.images) or "none"
            raise PollError(
                f"{config.name}: GetImages returned none of the images that image.names allows; it returned {had}"
            )
        return blobs

    return ask


def _point_cloud(resource: Any, config: SourceConfig, extra: dict[str, Any]) -> Ask:
    async def ask() -> list[Answer]:
        data, _ = await resource.get_point_cloud(extra=extra, timeout=config.timeout_s)
        mime_type, extension = _POINT_CLOUD
        return [Blob(data, mime_type, extension=extension)]

    return ask


def _map(resource: Any, config: SourceConfig, _extra: dict[str, Any]) -> Ask:
    async def ask() -> list[Answer]:
        mime_type, extension = _POINT_CLOUD
        return [
            Blob(b"".join(await resource.get_point_cloud_map(timeout=config.timeout_s)), mime_type, extension=extension)
        ]

    return ask


def _capture_all(resource: Any, config: SourceConfig, extra: dict[str, Any]) -> Ask:
    camera = apis.CAMERA_NAME.value_in(config.extra)
    least = apis.MIN_CONFIDENCE.value_in(config.extra, 0)

    request = CaptureAllFromCameraRequest(
        name=resource.name,
        camera_name=camera,
        return_image=True,
        return_classifications=True,
        return_detections=True,
        extra=dict_to_struct(extra),
    )

    async def ask() -> list[Answer]:
        # Not capture_all_from_camera: it scans the image for its size, as get_images does.
        response = await resource.client.CaptureAllFromCamera(request, timeout=config.timeout_s)
        image = response.image
        if not image.image:
            raise PollError(f"{config.name}: CaptureAllFromCamera returned no image of {camera}")
        width, height = dimensions(image.image, image.mime_type) or (0, 0)
        seen = annotations_of(
            [each for each in response.detections if each.confidence >= least],
            [each for each in response.classifications if each.confidence >= least],
            width=width,
            height=height,
        )
        return [Blob(image.image, image.mime_type, name=image.source_name, annotations=seen)]

    return ask


def _audio(resource: Any, config: SourceConfig, extra: dict[str, Any]) -> Ask:
    codec = apis.CODEC.value_in(config.extra, "pcm16")
    seconds = apis.audio_s(config.extra, config.period_s)
    struct = dict_to_struct(extra)
    heard_until_ns = 0

    async def ask() -> list[Answer]:
        nonlocal heard_until_ns
        request = GetAudioRequest(
            name=resource.name,
            codec=codec,
            duration_seconds=seconds,
            # So that the device can go on where the last recording ended.
            previous_timestamp_nanoseconds=heard_until_ns,
            request_id=str(uuid.uuid4()),
            extra=struct,
        )
        responses = await resource.client.GetAudio(request, timeout=config.timeout_s)
        blobs = _recordings(responses, codec)
        if not blobs:
            raise PollError(f"{config.name}: GetAudio returned no sound")
        heard_until_ns = responses[-1].audio.end_timestamp_nanoseconds
        return blobs

    return ask


def _recordings(responses: Sequence[GetAudioResponse], codec: str) -> list[Answer]:
    """One payload for as long as the sample rate and the channels stay the same."""
    parts: list[tuple[tuple[int, int], list[bytes]]] = []
    for response in responses:
        form = (response.audio.audio_info.sample_rate_hz, response.audio.audio_info.num_channels)
        if not parts or parts[-1][0] != form:
            parts.append((form, []))
        parts[-1][1].append(response.audio.audio_data)
    joined = [(form, b"".join(chunks)) for form, chunks in parts if any(chunks)]
    if is_pcm(codec):
        return [Blob(wav(data, codec, *form), _WAV[0], extension=_WAV[1]) for form, data in joined]
    mime_type, extension = _AUDIO.get(codec, _OTHER_AUDIO)
    return [Blob(data, mime_type, extension=extension) for _, data in joined]


METHODS: Mapping[tuple[str, str], Prepare] = {
    (apis.ARM, "EndPosition"): _row("GetEndPosition", arm.GetEndPositionRequest),
    (apis.ARM, "JointPositions"): _row("GetJointPositions", arm.GetJointPositionsRequest),
    (apis.AUDIO_IN, "GetAudio"): _audio,
    (apis.BOARD, "Analogs"): _row(
        "ReadAnalogReader", board.ReadAnalogReaderRequest, analog_reader_name=apis.ANALOG_READER
    ),
    (apis.BOARD, "Gpios"): _row("GetGPIO", board.GetGPIORequest, pin=apis.GPIO_PIN),
    (apis.CAMERA, "GetImages"): _images,
    (apis.CAMERA, "NextPointCloud"): _point_cloud,
    (apis.ENCODER, "TicksCount"): _row("GetPosition", encoder.GetPositionRequest),
    (apis.GANTRY, "Position"): _row("GetPosition", gantry.GetPositionRequest),
    (apis.GANTRY, "Lengths"): _row("GetLengths", gantry.GetLengthsRequest),
    (apis.MOTOR, "Position"): _row("GetPosition", motor.GetPositionRequest),
    (apis.MOTOR, "IsPowered"): _row("IsPowered", motor.IsPoweredRequest),
    (apis.MOVEMENT_SENSOR, "Readings"): _readings,
    (apis.MOVEMENT_SENSOR, "Position"): _row("GetPosition", movementsensor.GetPositionRequest),
    (apis.MOVEMENT_SENSOR, "LinearVelocity"): _row("GetLinearVelocity", movementsensor.GetLinearVelocityRequest),
    (apis.MOVEMENT_SENSOR, "AngularVelocity"): _row("GetAngularVelocity", movementsensor.GetAngularVelocityRequest),
    (apis.MOVEMENT_SENSOR, "LinearAcceleration"): _row(
        "GetLinearAcceleration", movementsensor.GetLinearAccelerationRequest
    ),
    (apis.MOVEMENT_SENSOR, "CompassHeading"): _row("GetCompassHeading", movementsensor.GetCompassHeadingRequest),
    (apis.MOVEMENT_SENSOR, "Orientation"): _row("GetOrientation", movementsensor.GetOrientationRequest),
    (apis.POWER_SENSOR, "Readings"): _readings,
    (apis.POWER_SENSOR, "Voltage"): _row("GetVoltage", powersensor.GetVoltageRequest),
    (apis.POWER_SENSOR, "Current"): _row("GetCurrent", powersensor.GetCurrentRequest),
    (apis.POWER_SENSOR, "Power"): _row("GetPower", powersensor.GetPowerRequest),
    (apis.SENSOR, "Readings"): _readings,
    (apis.SERVO, "Position"): _row("GetPosition", servo.GetPositionRequest),
    (apis.SLAM, "Position"): _row("GetPosition", slam.GetPositionRequest),
    (apis.SLAM, "PointCloudMap"): _map,
    (apis.VISION, "CaptureAllFromCamera"): _capture_all,
}
"""By API and name."""
_OF_ANY = {apis.PLACED: _world_pose, "DoCommand": _do_command}


def prepare(api: str, name: str) -> Prepare:
    """How to call a method that ``module.attributes.api_methods`` names: its row of ``METHODS``, or as for any API."""
    return METHODS.get((api, name)) or _OF_ANY.get(name, _readings)
