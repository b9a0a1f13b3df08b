"""Serialises messages of viam.app.datasync.v1 around payloads that are already bytes.

Protocol Buffers, "Encoding": each field is a tag, its length as a varint, and its bytes. A payload is the last
field, so it need not be copied.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp
from viam.proto.app.datasync import DataType, UploadMetadata

from module.clock import stamps
from module.network.framing import Serialised

_ROWS = DataType.DATA_TYPE_TABULAR_SENSOR
_BINARY = DataType.DATA_TYPE_BINARY_SENSOR


def serialised(message: Message) -> Serialised:
    """Return a protobuf message, serialised."""
    return Serialised(message.SerializeToString())


class About(NamedTuple):
    """The metadata of an upload except its times; mostly the same as for the last capture of the source."""

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


Pair = tuple[datetime | None, datetime | None]
"""The same as the SDK's methods take it; either end may be missing."""


@functools.lru_cache(maxsize=256)
def method_parameters(text: str) -> dict[str, AnyMessage]:
    """Return the parameters of a JSON object, each as a ``google.protobuf.Value`` in an ``Any``; "" has none.

    viam-server does the same (rdk, ``protoutils/messages.go``, ``ConvertMapToProtoAny``).
    """
    packed: dict[str, AnyMessage] = {}
    for name, value in json.loads(text or "{}").items():
        packed[name] = AnyMessage()
        packed[name].Pack(ParseDict(value, Value()), deterministic=True)
    return packed


def rows_request(about: About, parameters: Mapping[str, Any] | None, rows: Iterable[bytes]) -> Serialised:
    """Make a DataCaptureUploadRequest of rows, each a serialised ``SensorData``."""
    parts = [_head(about, _ROWS, parameters)]
    for row in rows:
        parts += (b"\x12", varint(len(row)), row)
    return Serialised(b"".join(parts))


def payload_request(about: About, parameters: Mapping[str, Any] | None, payload: bytes, metadata: bytes) -> Serialised:
    """Make a DataCaptureUploadRequest of one payload; ``metadata`` is a serialised ``SensorMetadata``."""
    # The payload is the last field of SensorData, number 3.
    contents = b"\x1a" + varint(len(payload))
    if metadata:
        contents = b"".join((b"\x0a", varint(len(metadata)), metadata, contents))
    size = varint(len(contents) + len(payload))
    return Serialised(payload, head=b"".join((_head(about, _BINARY, parameters), b"\x12", size, contents)))


def row(struct: Message, times: Pair | None) -> bytes:
    """Make a serialised SensorData of one row, a ``Struct``; ``times`` as in ``sensor_metadata``."""
    fields = [(b"\x12", struct.SerializeToString())]
    if times is not None:
        fields.insert(0, (b"\x0a", sensor_metadata(times, b"")))
    return _joined(fields)


def sensor_metadata(times: Pair | Times | None, annotations: bytes) -> bytes:
    """Make a serialised SensorMetadata: the two times of a capture, and its annotations.

    A datetime without a zone means UTC, as in the SDK. ``annotations`` are a serialised ``Annotations``.
    """
    requested, received = (None, None) if times is None else times
    fields = [
        (tag, _timestamp(moment)) for tag, moment in ((b"\x0a", requested), (b"\x12", received)) if moment is not None
    ]
    return _joined([*fields, (b"\x22", annotations)] if annotations else fields)


def _joined(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([tag + varint(len(field)) + field for tag, field in fields])


def _timestamp(moment: int | datetime) -> bytes:
    if isinstance(moment, datetime):
        stamp = Timestamp()
        stamp.FromDatetime(moment)
        said: bytes = stamp.SerializeToString()
        return said
    # By hand: protobuf's own way, by datetimes, takes as long as the claim of the capture.
    return stamps.timestamp_bytes(moment)


def _head(about: About, data_type: int, parameters: Mapping[str, Any] | None) -> bytes:
    """Field 1, the UploadMetadata."""
    return _make_head(about, data_type, parameters) if parameters else _known_head(about, data_type)


@functools.lru_cache(maxsize=1024)
def _known_head(about: About, data_type: int) -> bytes:
    return _make_head(about, data_type, None)


def _make_head(about: About, data_type: int, parameters: Mapping[str, Any] | None) -> bytes:
    metadata = UploadMetadata(type=data_type, method_parameters=parameters, **about._asdict())  # type: ignore[arg-type]
    said: bytes = metadata.SerializeToString()
    return b"\x0a" + varint(len(said)) + said


def timestamp(microseconds: int) -> Timestamp:
    """Return microseconds since the epoch as a ``Timestamp``."""
    return Timestamp(seconds=microseconds // 1_000_000, nanos=microseconds % 1_000_000 * 1000)


def chunk(data: bytes | memoryview) -> Serialised:
    """Make a StreamingDataCaptureUploadRequest of a chunk, which is field 2."""
    return Serialised(data, head=b"\x12" + varint(len(data)))


def file_chunk(data: bytes | memoryview) -> Serialised:
    """Make a FileUploadRequest whose field 2 is a FileData; its data is field 1."""
    field = b"\x0a" + varint(len(data)) if data else b""
    return Serialised(data, head=b"\x12" + varint(len(field) + len(data)) + field)


varint = functools.lru_cache(maxsize=4096)(stamps.varint)
