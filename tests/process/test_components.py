"""What each method of each API gives, as it arrives in the cloud, through a real module process."""

from __future__ import annotations

import io
import wave
from typing import Any

import pytest
from viam.components.generic import Generic
from viam.components.motor import Motor
from viam.components.servo import Servo
from viam.proto.app.data import Annotations
from viam.proto.app.data import Classification as Label
from viam.resource.base import ResourceBase
from viam.services.vision import Vision

from module.attributes.api_methods import methods_of
from module.collection.apis import METHODS
from module.local.calls import Arrival, UploadMethod
from module.local.viam_server import MachineError
from tests.process.component_cases import ANALOG, CASES, SAMPLES, SEEN, Case, Pin, audio, board, fake
from tests.process.rig import Rig, Starter, StillCamera
from tests.process.test_sources import JPEG


@pytest.fixture
def start(start_in_one_process: Starter) -> Starter:
    return start_in_one_process


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


async def test_a_vision_service_returns_its_frame_with_what_it_saw(start: Starter) -> None:
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


async def test_a_pin_is_no_part_of_what_the_board_gets(start: Starter) -> None:
    pin = Pin(read=ANALOG)
    await captured(start, board("a1", pin), method="Analogs", extra={"pin": "a1", "unit": "V"})
    assert pin.extras == [{"unit": "V", "fromDataManagement": True}]


async def test_rows_of_any_method_may_become_documents(start: Starter) -> None:
    _, (arrival,) = await captured(start, fake(Servo, get_position=90), upload_as="file")
    assert (arrival.payload or b"").endswith(b'"readings":{"position_deg":90}}\n')


async def test_a_parameter_that_a_source_lacks_may_come_with_the_command(start: Starter) -> None:
    """As for a generic component that is asked on command only."""
    rig = await start(fake(Generic, do_command={"is": 1}), sources=[{"name": "it"}])
    answer = await rig.command("capture", extra={"command": {"get": 1}}, wait="uploaded")
    assert (answer["captured"], answer["errors"]) == ({"it": 1}, {})
    assert rig.rows("it") == [{"docommand_output": {"is": 1}}]


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
