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
from viam.proto.app.datasync import DataType, UploadMetadata

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


class Times(NamedTuple):
    """When a capture was asked for and received, in microseconds since the epoch."""

    requested_us: int
    received_us: int


def rows_request(about: About, parameters: Mapping[str, Any] | None, rows: Iterable[bytes]) -> Serialised:
    """Make a DataCaptureUploadRequest of rows, each a serialised ``SensorData``."""
    parts = [_head(about, _ROWS, parameters)]
    for row in rows:
        parts += (b"\x12", _varint(len(row)), row)
    return Serialised(b"".join(parts))


def payload_request(about: About, parameters: Mapping[str, Any] | None, payload: bytes, metadata: bytes) -> Serialised:
    """Make a DataCaptureUploadRequest of one payload; ``metadata`` is a serialised ``SensorMetadata``."""
    # The payload is the last field of SensorData, number 3.
    contents = b"\x1a" + _varint(len(payload))
    if metadata:
        contents = b"".join((b"\x0a", _varint(len(metadata)), metadata, contents))
    size = _varint(len(contents) + len(payload))
    return Serialised(b"".join((_head(about, _BINARY, parameters), b"\x12", size, contents, payload)))


def sensor_metadata(times: tuple[datetime, datetime] | Times | None, annotations: bytes) -> bytes:
    """Make a serialised SensorMetadata: when a capture was asked for and received, and what is seen in it.

    Datetimes are aware; ``annotations`` are a serialised ``Annotations``.
    """
    if times is None:
        requested = received = b""
    elif isinstance(times, Times):
        # By hand: protobuf's own way, by datetimes, takes as long as the claim of the capture.
        requested, received = _timestamp(times.requested_us), _timestamp(times.received_us)
    else:
        requested, received = map(_timestamp_of, times)
    fields = ((b"\x0a", requested), (b"\x12", received), (b"\x22", annotations))
    return b"".join([tag + _varint(len(field)) + field for tag, field in fields if field])


def _timestamp_of(time: datetime) -> bytes:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    said: bytes = stamp.SerializeToString()
    return said


def _timestamp(microseconds: int) -> bytes:
    seconds, rest = divmod(microseconds, 1_000_000)
    return b"\x08" + _long_varint(seconds) + (b"\x10" + _long_varint(rest * 1000) if rest else b"")


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


def timestamp(microseconds: int) -> Timestamp:
    """Give microseconds since the epoch as they travel."""
    return Timestamp(seconds=microseconds // 1_000_000, nanos=microseconds % 1_000_000 * 1000)


def chunk(*parts: bytes) -> Serialised:
    """Make a message of nothing but its field 2: a StreamingDataCaptureUploadRequest with a chunk, for one."""
    return Serialised(b"".join((b"\x12", _varint(sum(map(len, parts))), *parts)))


def file_chunk(data: bytes) -> Serialised:
    """Make a FileUploadRequest with a FileData, whose data are its field 1."""
    return chunk(b"\x0a", _varint(len(data)), data) if data else chunk()


def _long_varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_varint = functools.lru_cache(maxsize=4096)(_long_varint)
