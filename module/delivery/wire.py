"""Messages of viam.app.datasync.v1 as the bytes that travel, made around payloads that are bytes already.

Protocol Buffers, "Encoding": each field is a tag, its length as a varint, and its bytes. So a payload is copied once.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from viam.proto.app.datasync import DataType, SensorMetadata, UploadMetadata
from viam.utils import datetime_to_timestamp

_ROWS = DataType.DATA_TYPE_TABULAR_SENSOR
_BINARY = DataType.DATA_TYPE_BINARY_SENSOR


@dataclass(frozen=True, slots=True)
class Serialised:
    """A request as the bytes that travel."""

    data: bytes


class About(NamedTuple):
    """What an upload says of a capture, but for its times: what it said of the last one of that source."""

    part_id: str
    component_type: str
    component_name: str
    method_name: str
    tags: tuple[str, ...]
    dataset_ids: tuple[str, ...] = ()
    file_extension: str = ""
    mime_type: str = ""


def rows_request(about: About, parameters: Mapping[str, Any] | None, rows: Iterable[bytes]) -> Serialised:
    """Make a DataCaptureUploadRequest of rows, each a serialised ``SensorData``."""
    parts = [_head(about, _ROWS, parameters)]
    for row in rows:
        parts += (b"\x12", _varint(len(row)), row)
    return Serialised(b"".join(parts))


def payload_request(
    about: About,
    parameters: Mapping[str, Any] | None,
    payload: bytes,
    times: tuple[datetime, datetime] | None,
    annotations: bytes,
) -> Serialised:
    """Make a DataCaptureUploadRequest of one payload; ``annotations`` are a serialised ``Annotations``."""
    contents = b""
    if times or annotations:
        said = sensor_metadata(times, annotations).SerializeToString()
        contents = b"\x0a" + _varint(len(said)) + said
    # The payload is the last field of SensorData, number 3.
    contents += b"\x1a" + _varint(len(payload))
    size = _varint(len(contents) + len(payload))
    return Serialised(b"".join((_head(about, _BINARY, parameters), b"\x12", size, contents, payload)))


def _head(about: About, data_type: int, parameters: Mapping[str, Any] | None) -> bytes:
    """Field 1, the UploadMetadata."""
    return _make_head(about, data_type, parameters) if parameters else _known_head(about, data_type)


@functools.lru_cache(maxsize=1024)
def _known_head(about: About, data_type: int) -> bytes:
    return _make_head(about, data_type, None)


def _make_head(about: About, data_type: int, parameters: Mapping[str, Any] | None) -> bytes:
    metadata = UploadMetadata(type=data_type, method_parameters=parameters, **about._asdict())  # type: ignore[arg-type]
    said: bytes = metadata.SerializeToString()
    return b"\x0a" + _varint(len(said)) + said


def sensor_metadata(times: tuple[datetime, datetime] | None, annotations: bytes) -> SensorMetadata:
    """When a capture was asked for and received, aware, and what is seen in it."""
    metadata = SensorMetadata()
    if times is not None:
        metadata.time_requested.CopyFrom(datetime_to_timestamp(times[0]))
        metadata.time_received.CopyFrom(datetime_to_timestamp(times[1]))
    if annotations:
        metadata.annotations.ParseFromString(annotations)
    return metadata


def timestamp(microseconds: int) -> Timestamp:
    """Give microseconds since the epoch as they travel."""
    return Timestamp(seconds=microseconds // 1_000_000, nanos=microseconds % 1_000_000 * 1000)


def chunk(*parts: bytes) -> Serialised:
    """Make a message of nothing but its field 2: a StreamingDataCaptureUploadRequest with a chunk, for one."""
    return Serialised(b"".join((b"\x12", _varint(sum(map(len, parts))), *parts)))


def file_chunk(data: bytes) -> Serialised:
    """Make a FileUploadRequest with a FileData, whose data are its field 1."""
    return chunk(b"\x0a", _varint(len(data)), data) if data else chunk()


@functools.lru_cache(maxsize=4096)
def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
