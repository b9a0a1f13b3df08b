"""The limit: gRPC's C core sends the same messages, serialised beforehand, from memory."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from viam.proto.app.datasync import (
    DataCaptureUploadRequest,
    DataType,
    FileData,
    FileUploadRequest,
    SensorData,
    UploadMetadata,
)

from benchmarks.identity import PART
from benchmarks.inputs import frame, row
from benchmarks.processes import serve

_SERVICE = "/viam.app.datasync.v1.DataSyncService/"
_CHUNK_BYTES = 262_144
_METADATA = (("authorization", "Bearer token"),)


class Core:
    """A channel of the C core, and what it is to send."""

    def __init__(self, port: int) -> None:
        options = (("grpc.max_send_message_length", -1),)
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
        self._unary = channel.unary_unary(f"{_SERVICE}DataCaptureUpload")
        self._stream = channel.stream_unary(f"{_SERVICE}FileUpload")
        self._messages: list[bytes] = []

    async def rows(self, count: int, a_call: int) -> None:
        """Have rows ready."""
        metadata = UploadMetadata(
            part_id=PART,
            component_type="rdk:component:sensor",
            component_name="sensor-0",
            method_name="Readings",
            type=DataType.DATA_TYPE_TABULAR_SENSOR,
        )
        for start in range(0, count, a_call):
            contents = [SensorData.FromString(row(number)) for number in range(start, min(count, start + a_call))]
            request = DataCaptureUploadRequest(metadata=metadata, sensor_contents=contents)
            self._messages.append(request.SerializeToString())

    async def frames(self, count: int) -> None:
        """Have frames ready."""
        metadata = UploadMetadata(
            part_id=PART,
            component_type="rdk:component:camera",
            component_name="camera",
            method_name="GetImages",
            type=DataType.DATA_TYPE_BINARY_SENSOR,
            file_extension=".jpg",
        )
        request = DataCaptureUploadRequest(metadata=metadata, sensor_contents=[SensorData(binary=frame())])
        self._messages = [request.SerializeToString()] * count

    async def work(self, at_once: int) -> dict[str, float]:
        """Send all of it, so many calls at once."""
        seconds = await asyncio.to_thread(self._work, at_once)
        self._messages = []
        return {"seconds": seconds}

    def _work(self, at_once: int) -> float:
        begun = time.monotonic()
        room = threading.Semaphore(at_once)
        calls: list[Any] = []
        for message in self._messages:
            room.acquire()
            call = self._unary.future(message, metadata=_METADATA)
            call.add_done_callback(lambda _: room.release())
            calls.append(call)
        for call in calls:
            call.result()
        return time.monotonic() - begun

    async def stream(self, path: str) -> dict[str, float]:
        """Send a file, chunk by chunk, each serialised as it is read."""
        begun = time.monotonic()
        await asyncio.to_thread(lambda: self._stream(_chunks(path), metadata=_METADATA))
        return {"seconds": time.monotonic() - begun}


def _chunks(path: str) -> Iterator[bytes]:
    metadata = UploadMetadata(part_id=PART, type=DataType.DATA_TYPE_FILE, file_name="file.bin", file_extension=".bin")
    yield FileUploadRequest(metadata=metadata).SerializeToString()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield FileUploadRequest(file_contents=FileData(data=chunk)).SerializeToString()


async def main() -> None:
    """Serve until the standard input ends."""
    core = Core(int(sys.argv[1]))
    await serve({"rows": core.rows, "frames": core.frames, "work": core.work, "stream": core.stream})


if __name__ == "__main__":
    asyncio.run(main())
