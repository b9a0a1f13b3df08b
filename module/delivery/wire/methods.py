"""The five upload methods of viam's DataClient, made for large payloads and for a process that runs for years.

``CourierClient`` has the names and arguments of ``viam.app.data_client.DataClient`` (viam-sdk 0.85.1), and sends the
same messages. In addition, it

- ends an upload only if it makes no progress, however long the upload takes;
- sends payloads and files in chunks, so that no message is large and no file is held in memory;
- sets the MIME type of ``file_upload``, the create and modify times of files, and takes an empty extension;
- takes rows that are serialised already, rows without times, and times of which one is missing;
- sends annotations with binary data.

All methods raise the errors of ``module.network.call``; ``module.delivery.outcome`` decides what they mean.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.struct_pb2 import Struct
from grpclib.client import Channel as SdkChannel
from grpclib.client import Stream, StreamUnaryMethod, UnaryUnaryMethod
from viam.app.data_client import DataClient
from viam.proto.app.datasync import (
    DataCaptureUploadMetadata,
    DataCaptureUploadResponse,
    DataType,
    FileData,
    FileUploadRequest,
    FileUploadResponse,
    SensorMetadata,
    StreamingDataCaptureUploadRequest,
    StreamingDataCaptureUploadResponse,
    UploadMetadata,
)

from module.delivery.wire.files import OpenFile
from module.delivery.wire.messages import (
    About,
    Pair,
    Times,
    chunk,
    file_chunk,
    payload_request,
    row,
    rows_request,
    sensor_metadata,
    serialised,
    timestamp,
)
from module.delivery.wire.progress import report
from module.delivery.wire.stall import Patience, StallWatch
from module.files import threads
from module.network.call import Call
from module.network.channel import Channel
from module.network.framing import Serialised

_SERVICE = "/viam.app.datasync.v1.DataSyncService/"


@dataclass(frozen=True, slots=True)
class SerialisedRows:
    """Rows of ``tabular_data_capture_upload``, each a serialised ``SensorData``."""

    rows: Sequence[bytes]


class CourierClient(DataClient):
    """A DataClient with one channel and one token; see the top of this file."""

    def __init__(
        self,
        channel: Channel | SdkChannel,
        metadata: Mapping[str, str],
        *,
        timeout_s: float,
        chunk_bytes: int,
        patience: Patience | None = None,
    ) -> None:
        """``timeout_s``: seconds without progress after which an upload raises TimeoutError.

        Once all of it is sent, ``patience`` decides how long the answer may take; uploads to one cloud share it.
        """
        under: Any = channel
        super().__init__(under, metadata)
        self._timeout_s = timeout_s
        self._chunk_bytes = chunk_bytes
        self._patience = patience or Patience(timeout_s)
        # As the generated stub's, except that the requests are bytes already.
        self._data_capture = UnaryUnaryMethod(
            under, f"{_SERVICE}DataCaptureUpload", Serialised, DataCaptureUploadResponse
        )
        self._streaming_data_capture = StreamUnaryMethod(
            under, f"{_SERVICE}StreamingDataCaptureUpload", Serialised, StreamingDataCaptureUploadResponse
        )
        self._file = StreamUnaryMethod(under, f"{_SERVICE}FileUpload", Serialised, FileUploadResponse)

    async def tabular_data_capture_upload(
        self,
        tabular_data: list[Mapping[str, Any]] | SerialisedRows,
        part_id: str,
        component_type: str,
        component_name: str,
        method_name: str,
        data_request_times: Sequence[Pair | None] | None = None,
        method_parameters: Mapping[str, Any] | None = None,
        tags: list[str] | None = None,
    ) -> str:
        """Upload rows of readings in one message; returns the file id.

        Rows that are dictionaries may have times, one pair each; serialised rows contain their times. Raises ValueError
        if there are more or fewer pairs than rows, as in the SDK.
        """
        if not isinstance(tabular_data, SerialisedRows):
            tabular_data = SerialisedRows(_rows(tabular_data, data_request_times))
        about = About(part_id, component_type, component_name, method_name, tuple(tags or ()))
        response = await self._send_one(rows_request(about, method_parameters, tabular_data.rows))
        return response.file_id

    async def binary_data_capture_upload(
        self,
        binary_data: bytes,
        part_id: str,
        component_type: str,
        component_name: str,
        method_name: str,
        file_extension: str,
        method_parameters: Mapping[str, Any] | None = None,
        tags: list[str] | None = None,
        dataset_ids: list[str] | None = None,
        data_request_times: Pair | Times | None = None,
        mime_type: str | None = None,
        annotations: bytes = b"",
    ) -> str:
        """Upload one payload in one message; returns its binary data id.

        ``annotations``: a serialised ``viam.proto.app.data.Annotations``.
        """
        about = About(
            part_id,
            component_type,
            component_name,
            method_name,
            tuple(tags or ()),
            tuple(dataset_ids or ()),
            _dotted(file_extension),
            mime_type or "",
        )
        response = await self._send_one(
            payload_request(about, method_parameters, binary_data, sensor_metadata(data_request_times, annotations))
        )
        return response.binary_data_id

    async def streaming_data_capture_upload(
        self,
        data: bytes,
        part_id: str,
        file_ext: str,
        component_type: str | None = None,
        component_name: str | None = None,
        method_name: str | None = None,
        method_parameters: Mapping[str, Any] | None = None,
        data_request_times: Pair | Times | None = None,
        tags: list[str] | None = None,
        dataset_ids: list[str] | None = None,
        mime_type: str | None = None,
        annotations: bytes = b"",
    ) -> str:
        """Upload one payload in chunks; returns its binary data id.

        ``annotations``: a serialised ``viam.proto.app.data.Annotations``.
        """
        metadata = DataCaptureUploadMetadata(
            upload_metadata=UploadMetadata(
                part_id=part_id,
                component_type=component_type or "",
                component_name=component_name or "",
                method_name=method_name or "",
                method_parameters=method_parameters,
                type=DataType.DATA_TYPE_BINARY_SENSOR,
                file_extension=_dotted(file_ext),
                tags=tags,
                dataset_ids=dataset_ids,
                mime_type=mime_type or "",
            ),
            sensor_metadata=SensorMetadata.FromString(sensor_metadata(data_request_times, annotations)),
        )
        async with self._open(self._streaming_data_capture) as stream:
            await stream.send_message(serialised(StreamingDataCaptureUploadRequest(metadata=metadata)))
            await self._send_chunks(stream, data, chunk)
            response = await _answer(stream)
        return str(response.binary_data_id)

    async def file_upload(
        self,
        part_id: str,
        data: bytes,
        component_type: str | None = None,
        component_name: str | None = None,
        method_name: str | None = None,
        file_name: str | None = None,
        method_parameters: Mapping[str, Any] | None = None,
        file_extension: str | None = None,
        tags: list[str] | None = None,
        dataset_ids: list[str] | None = None,
        mime_type: str | None = None,
    ) -> str:
        """Upload bytes as a file, in chunks, with its MIME type, which the SDK drops; returns its binary data id."""
        metadata = UploadMetadata(
            part_id=part_id,
            component_type=component_type or "",
            component_name=component_name or "",
            method_name=method_name or "",
            type=DataType.DATA_TYPE_FILE,
            file_name=file_name or "",
            method_parameters=method_parameters,
            file_extension=file_extension or "",
            tags=tags,
            dataset_ids=dataset_ids,
            mime_type=mime_type or "",
        )
        response = await self._file_upload(metadata, FileData(data=data))
        return response.binary_data_id

    async def file_upload_from_path(
        self,
        filepath: str | OpenFile,
        part_id: str,
        component_type: str | None = None,
        component_name: str | None = None,
        method_name: str | None = None,
        method_parameters: Mapping[str, Any] | None = None,
        tags: list[str] | None = None,
        dataset_ids: list[str] | None = None,
        mime_type: str | None = None,
        file_name: str | None = None,
    ) -> str:
        """Upload a file from disk, read chunk by chunk in a thread; returns its binary data id.

        An ``OpenFile`` also has its MIME type and its create and modify times. If the file changes during the upload,
        raises FileChanged before the cloud could accept it as complete.
        """
        if not isinstance(filepath, OpenFile):
            return await super().file_upload_from_path(
                filepath,
                part_id,
                component_type,
                component_name,
                method_name,
                method_parameters,
                tags,
                dataset_ids,
                mime_type,
                file_name,
            )
        metadata = UploadMetadata(
            part_id=part_id,
            component_type=component_type or "",
            component_name=component_name or "",
            method_name=method_name or "",
            type=DataType.DATA_TYPE_FILE,
            file_name=filepath.name if file_name is None else file_name,
            method_parameters=method_parameters,
            file_extension=filepath.extension,
            tags=tags,
            dataset_ids=dataset_ids,
            mime_type=filepath.mime_type if mime_type is None else mime_type,
            file_create_time=timestamp(filepath.created_us),
            file_modify_time=timestamp(filepath.modified_us),
        )
        async with self._open(self._file) as stream:
            await stream.send_message(serialised(FileUploadRequest(metadata=metadata)))
            # The last chunk is yielded only once the file has been found unchanged; one without any gets an empty one.
            pending = b""
            # A file that hangs must not look like a cloud that hangs: it raises before the upload counts as stalled.
            patience_s = min(threads.ANSWER_S, self._timeout_s / 2)
            async for piece in filepath.chunks(self._chunk_bytes, patience_s=patience_s):
                if pending:
                    await stream.send_message(file_chunk(pending))
                pending = piece
            await stream.send_message(file_chunk(pending), end=True)
            response = await _answer(stream)
        return str(response.binary_data_id)

    # What the SDK's own method calls for a path, so that it is watched and chunked too.

    async def _file_upload(self, metadata: UploadMetadata, file_contents: FileData) -> FileUploadResponse:
        data = file_contents.data
        async with self._open(self._file) as stream:
            await stream.send_message(serialised(FileUploadRequest(metadata=metadata)))
            await self._send_chunks(stream, data, file_chunk)
            response: FileUploadResponse = await _answer(stream)
        return response

    async def _send_one(self, request: Serialised) -> DataCaptureUploadResponse:
        async with self._open(self._data_capture) as stream:
            await stream.send_message(request, end=True)
            response: DataCaptureUploadResponse = await _answer(stream)
        return response

    async def _send_chunks(
        self, stream: Call | Stream[Any, Any], data: bytes, message: Callable[[memoryview], Serialised]
    ) -> None:
        """Send the data as messages of at most a chunk each, the last one as the end; no data is one empty chunk."""
        view, last = memoryview(data), max(0, len(data) - 1) // self._chunk_bytes * self._chunk_bytes
        for start in range(0, last + 1, self._chunk_bytes):
            await stream.send_message(message(view[start : start + self._chunk_bytes]), end=start == last)

    @contextlib.asynccontextmanager
    async def _open(self, method: Any) -> AsyncIterator[Call | Stream[Any, Any]]:
        """Open a call that raises TimeoutError once it has made no progress for ``timeout_s``.

        A channel of grpclib does not show progress, so a call on it has no limit.
        """
        async with asyncio.timeout(None) as limit, method.open(metadata=self._metadata) as stream:
            if not isinstance(stream, Call):
                yield stream
                return
            watch = StallWatch(limit, stream, self._timeout_s, self._patience)
            report(lambda: stream.sent_bytes)
            try:
                yield stream
                watch.answered()
            finally:
                watch.stop()


async def _answer(stream: Call | Stream[Any, Any]) -> Any:
    response = await stream.recv_message()
    if response is None:
        # Raises the status that the cloud ended the stream with.
        await stream.recv_trailing_metadata()
        raise EOFError("the cloud ended the upload without an answer")
    return response


def _rows(rows: Sequence[Mapping[str, Any]], times: Sequence[Pair | None] | None) -> list[bytes]:
    pairs = [None] * len(rows) if times is None else times
    if len(pairs) != len(rows):
        raise ValueError(f"data_request_times and tabular_data differ in length: {len(pairs)} and {len(rows)}")
    made = []
    for values, pair in zip(rows, pairs, strict=True):
        struct = Struct()
        struct.update(values)
        made.append(row(struct, pair))
    return made


def _dotted(extension: str) -> str:
    return extension if not extension or extension.startswith(".") else f".{extension}"
