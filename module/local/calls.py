"""What the local cloud knows: calls that have begun, uploads that have arrived, sequences that were made."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
from viam.proto.app import datasync
from viam.proto.app.data import CreateSequenceRequest
from viam.proto.app.datasync import DataType, SensorData, SensorMetadata, UploadMetadata


class Refusal(Exception):
    """The cloud refuses a call: ``Refusal(grpc.StatusCode.UNAVAILABLE, "text")``."""


class UploadMethod(enum.StrEnum):
    """The upload method of a call."""

    BINARY = "binary_data_capture_upload"
    """``DataCaptureUpload`` of one binary payload."""
    TABULAR = "tabular_data_capture_upload"
    """``DataCaptureUpload`` of rows."""
    STREAMING = "streaming_data_capture_upload"
    """``StreamingDataCaptureUpload``."""
    FILE = "file_upload"
    """``FileUpload``: both ``file_upload`` and ``file_upload_from_path``, whose messages are the same."""


@dataclass(frozen=True, slots=True)
class Call:
    """An upload that has begun: its first message is here, nothing is stored yet."""

    method: UploadMethod
    metadata: UploadMetadata
    sensor_metadata: SensorMetadata | None
    """Of a binary or streaming upload. None for files, and for rows, which contain theirs."""
    first: Any
    """The complete first message."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An upload that has been stored; the first three fields are those of its ``Call``."""

    method: UploadMethod
    metadata: UploadMetadata
    sensor_metadata: SensorMetadata | None
    rows: tuple[SensorData, ...]
    """The rows of a tabular upload."""
    size: int
    """Bytes of the payload; the payload of rows is their serialised messages, joined."""
    sha256: str
    """The hash of the payload, hexadecimal."""
    payload: bytes | None
    """The payload, if the cloud keeps payloads."""
    message_sizes: tuple[int, ...]
    """Bytes of each gRPC message of the call, in order."""
    messages: tuple[Any, ...]
    """The messages themselves, if the cloud records them."""
    file_id: str
    """The cloud's answer."""
    when: datetime
    """When it was stored, UTC."""
    path: Path | None = None
    """The file that has it, if the cloud has a folder."""


@dataclass(frozen=True, slots=True)
class CreatedSequence:
    """A sequence that the cloud has made."""

    request: CreateSequenceRequest
    sequence_id: str
    """The cloud's answer."""
    when: datetime
    """When it was made, UTC."""


def opened(first: Any) -> tuple[Call, tuple[SensorData, ...]]:
    """Read a call's first message; returns the call, and its rows."""
    if first is None or not first.HasField("metadata"):
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "no metadata in the first message")
    metadata = first.metadata
    if isinstance(first, datasync.FileUploadRequest):
        return Call(UploadMethod.FILE, metadata, None, first), ()
    if isinstance(first, datasync.StreamingDataCaptureUploadRequest):
        return Call(UploadMethod.STREAMING, metadata.upload_metadata, metadata.sensor_metadata, first), ()
    contents = tuple(first.sensor_contents)
    if metadata.type == DataType.DATA_TYPE_TABULAR_SENSOR and contents:
        return Call(UploadMethod.TABULAR, metadata, None, first), contents
    if metadata.type == DataType.DATA_TYPE_BINARY_SENSOR and len(contents) == 1:
        return Call(UploadMethod.BINARY, metadata, contents[0].metadata, first), ()
    text = f"{len(contents)} contents of type {metadata.type}; allowed are tabular rows, or one binary"
    raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, text)
