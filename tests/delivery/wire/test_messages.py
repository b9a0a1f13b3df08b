"""What is put together by hand is what protobuf makes of it."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp
from viam.proto.app.data import Annotations, BoundingBox
from viam.proto.app.datasync import (
    DataCaptureUploadRequest,
    DataType,
    SensorData,
    SensorMetadata,
    UploadMetadata,
)

from module.delivery.wire.messages import (
    About,
    Times,
    method_parameters,
    payload_request,
    rows_request,
    sensor_metadata,
)

ANNOTATIONS = Annotations(bboxes=[BoundingBox(label="cat", confidence=0.5)])
ABOUT = About("part", "rdk:component:camera", "eye", "GetImages", ("a", "b"), ("d",), ".jpg", "image/jpeg")
MOMENTS_US = [-62_135_596_800_000_000, -1, 0, 1, 999_999, 1_000_000, 1_700_000_000_000_000, 1_234_567_890_123_456]


def stamp(microseconds: int) -> Timestamp:
    made = Timestamp()
    made.FromMicroseconds(microseconds)
    return made


@pytest.mark.parametrize("annotations", [None, ANNOTATIONS], ids=["bare", "annotated"])
@pytest.mark.parametrize("moment_us", MOMENTS_US)
def test_times_and_annotations_are_those_of_protobuf(moment_us: int, annotations: Annotations | None) -> None:
    later_us = moment_us + 1234
    expected = SensorMetadata(time_requested=stamp(moment_us), time_received=stamp(later_us), annotations=annotations)
    said = annotations.SerializeToString() if annotations else b""
    assert SensorMetadata.FromString(sensor_metadata(Times(moment_us, later_us), said)) == expected
    moments = (datetime.fromtimestamp(moment_us // 10**6, UTC), datetime.fromtimestamp(moment_us // 10**6 + 1, UTC))
    by_datetime = SensorMetadata.FromString(sensor_metadata(moments, said))
    assert by_datetime.time_received.ToMicroseconds() == moment_us // 10**6 * 10**6 + 10**6
    assert by_datetime.annotations == expected.annotations


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 100_000])
def test_a_payload_is_in_the_request_that_protobuf_makes(size: int) -> None:
    payload, metadata = random.randbytes(size), sensor_metadata(Times(1, 2), b"")
    expected = DataCaptureUploadRequest(
        metadata=UploadMetadata(**ABOUT._asdict(), type=DataType.DATA_TYPE_BINARY_SENSOR),
        sensor_contents=[SensorData(metadata=SensorMetadata.FromString(metadata), binary=payload)],
    )
    for _ in range(2):
        assert (
            DataCaptureUploadRequest.FromString(payload_request(ABOUT, None, payload, metadata).SerializeToString())
            == expected
        )


def test_parameters_travel_as_values_of_any_kind() -> None:
    given = {"pin": "11", "n": 1.5, "deep": {"a": [True, None]}}
    packed = method_parameters(json.dumps(given))
    assert packed.keys() == given.keys()
    for name, message in packed.items():
        assert message.type_url == "type.googleapis.com/google.protobuf.Value"
        value = Value()
        assert message.Unpack(value)
        assert MessageToDict(value) == given[name]
    assert method_parameters("") == {}


def test_what_differs_from_the_last_upload_is_said() -> None:
    """The part that is made once for all of a source is made for that source alone."""
    for about in (ABOUT, ABOUT._replace(component_name="other"), ABOUT._replace(tags=()), ABOUT):
        request = DataCaptureUploadRequest.FromString(rows_request(about, None, []).SerializeToString())
        assert (request.metadata.component_name, tuple(request.metadata.tags)) == (about.component_name, about.tags)
    binary = DataCaptureUploadRequest.FromString(payload_request(ABOUT, None, b"", b"").SerializeToString())
    assert binary.metadata.type == DataType.DATA_TYPE_BINARY_SENSOR
