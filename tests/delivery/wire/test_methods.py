"""Our upload methods against the SDK's own: what arrives is the same, and what the SDK's lack is there."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpclib import GRPCError, Status
from viam.proto.app.data import Annotations, BoundingBox
from viam.proto.app.datasync import SensorMetadata

from module.collection.readings import sensor_data
from module.delivery.wire.files import OpenFile
from module.delivery.wire.methods import SerialisedRows
from module.errors import FileChanged, FileUnavailable
from module.local.calls import Call, Refusal
from tests.delivery.pair import CAMERA, CHUNK, T1, T2, Pair, assert_same, connected
from tests.delivery.rig import PART, local_cloud

PAYLOADS = [b"", b"x", b"a" * CHUNK, b"b" * (CHUNK + 1), os.urandom(3 * CHUNK)]
LABELS: list[dict[str, Any]] = [
    {},
    {"tags": ["a", "ü"], "dataset_ids": ["d1", "d2"], "mime_type": "image/jpeg", "data_request_times": (T1, T2)},
    {"tags": [], "dataset_ids": [], "mime_type": ""},
]


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("data", PAYLOADS, ids=len)
@pytest.mark.parametrize("extension", [".jpg", "jpg", ""])
async def test_binary_is_what_the_sdk_sends(pair: Pair, data: bytes, extension: str, labels: dict[str, Any]) -> None:
    arguments = {"binary_data": data, "part_id": PART, "file_extension": extension, **CAMERA, **labels}
    theirs, own = await pair.compare("binary_data_capture_upload", **arguments)
    assert_same(theirs, own)
    assert own.messages == theirs.messages


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("data", PAYLOADS, ids=len)
@pytest.mark.parametrize("extension", [".pcd", "pcd"])
@pytest.mark.parametrize("component", [CAMERA, {}], ids=["camera", "nobody"])
async def test_a_stream_is_what_the_sdk_sends(
    pair: Pair, data: bytes, extension: str, labels: dict[str, Any], component: dict[str, str]
) -> None:
    arguments = {"data": data, "part_id": PART, "file_ext": extension, **component, **labels}
    assert_same(*await pair.compare("streaming_data_capture_upload", **arguments))


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("upload", ["binary_data_capture_upload", "streaming_data_capture_upload"])
async def test_annotations_travel_beside_what_the_sdk_sends(pair: Pair, upload: str, labels: dict[str, Any]) -> None:
    """The SDK's methods cannot carry them, and nothing else differs."""
    names = ("binary_data", "file_extension") if upload.startswith("binary") else ("data", "file_ext")
    arguments = {names[0]: PAYLOADS[-1], names[1]: ".jpg", "part_id": PART, **CAMERA, **labels}
    box = BoundingBox(label="cat", confidence=0.5, x_max_normalized=0.25, y_max_normalized=1)
    annotations = Annotations(bboxes=[box])
    await getattr(pair.sdk, upload)(**arguments)
    await getattr(pair.ours, upload)(**arguments, annotations=annotations.SerializeToString())
    theirs, own = pair.cloud.arrivals
    assert own.sensor_metadata is not None
    assert own.sensor_metadata.annotations == annotations
    own.sensor_metadata.ClearField("annotations")
    assert own.sensor_metadata == (theirs.sensor_metadata or SensorMetadata())
    assert (own.metadata, own.payload) == (theirs.metadata, theirs.payload)


async def test_a_stream_may_have_no_extension(pair: Pair) -> None:
    """The SDK's raises IndexError."""
    await pair.ours.streaming_data_capture_upload(b"x", PART, "")
    assert pair.cloud.arrivals[0].metadata.file_extension == ""


@pytest.mark.parametrize("data", PAYLOADS, ids=len)
@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"file_name": "report", "file_extension": ".txt", "tags": ["a"], "dataset_ids": ["d"]},
        {"file_name": "report.txt", "file_extension": "txt", **CAMERA},
    ],
)
async def test_a_file_of_bytes_is_what_the_sdk_sends(pair: Pair, data: bytes, labels: dict[str, Any]) -> None:
    assert_same(*await pair.compare("file_upload", part_id=PART, data=data, **labels))


async def test_a_file_of_bytes_keeps_its_mime_type(pair: Pair) -> None:
    """The SDK's drops it, and nothing else differs."""
    theirs, own = await pair.compare("file_upload", part_id=PART, data=b"x", mime_type="text/plain")
    assert (theirs.metadata.mime_type, own.metadata.mime_type) == ("", "text/plain")
    own.metadata.mime_type = ""
    assert own.metadata == theirs.metadata


@pytest.mark.parametrize("data", PAYLOADS, ids=len)
@pytest.mark.parametrize("name", ["report.txt", "archive.tar.gz", "bare", ".hidden"])
@pytest.mark.parametrize(
    "labels",
    [
        {"mime_type": ""},
        {"mime_type": "text/plain", "tags": ["a"], "dataset_ids": ["d"], "file_name": "another", **CAMERA},
    ],
)
async def test_a_file_on_disk_is_what_the_sdk_sends(
    pair: Pair, tmp_path: Path, data: bytes, name: str, labels: dict[str, Any]
) -> None:
    """But for its times, which the SDK does not know."""
    path = tmp_path / name
    path.write_bytes(data)
    theirs, by_path = await pair.compare("file_upload_from_path", filepath=str(path), part_id=PART, **labels)
    assert_same(theirs, by_path)
    async with OpenFile(str(tmp_path), str(path)) as file:
        await pair.ours.file_upload_from_path(file, PART, **labels)
    own = pair.cloud.arrivals[-1]
    assert own.metadata.file_modify_time.ToNanoseconds() == path.stat().st_mtime_ns // 1000 * 1000
    assert own.metadata.HasField("file_create_time")
    for metadata in (own.metadata, own.messages[0].metadata):
        metadata.ClearField("file_create_time")
        metadata.ClearField("file_modify_time")
    assert_same(theirs, own)


async def test_a_file_on_disk_says_its_mime_type(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"jpeg")
    async with OpenFile(str(tmp_path), str(tmp_path / "a.jpg")) as file:
        await pair.ours.file_upload_from_path(file, PART)
    assert pair.cloud.arrivals[0].metadata.mime_type == "image/jpeg"


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)


@pytest.mark.parametrize("tags", [None, [], ["a", "ü"]])
@pytest.mark.parametrize(
    "readings",
    [
        [{"readings": {"n": 1}}],
        [{"readings": {}}, {"readings": {"a": None, "b": True, "c": "ü", "d": -1.5, "e": 2**53}}],
        [{"readings": {"deep": {"er": [1, [2, {"x": []}], {}, "y", None]}}}] * 3,
        [{"readings": {"many": list(range(200))}, "more": {"k": "v" * 300}}],
    ],
)
async def test_rows_are_what_the_sdk_sends(
    pair: Pair, readings: Sequence[dict[str, Any]], tags: list[str] | None
) -> None:
    """Ours are serialised when they are captured, the SDK's from dictionaries when they are sent."""
    times = [(T1 + timedelta(microseconds=n), T2) for n in range(len(readings))]
    arguments: dict[str, Any] = {"part_id": PART, **CAMERA, "tags": tags}
    dictionaries = [dict(reading) for reading in readings]
    theirs, from_dictionaries = await pair.compare(
        "tabular_data_capture_upload", tabular_data=dictionaries, data_request_times=times, **arguments
    )
    rows = SerialisedRows([sensor_data(r, _us(a), _us(b)) for r, (a, b) in zip(readings, times, strict=True)])
    file_id = await pair.ours.tabular_data_capture_upload(rows, **arguments)
    own = pair.cloud.arrivals[-1]
    assert own.file_id == file_id
    for arrival in (own, from_dictionaries):
        assert_same(theirs, arrival)
        assert arrival.rows == theirs.rows


@pytest.mark.parametrize("method", ["stream", "bytes", "path"])
async def test_no_message_is_much_larger_than_a_chunk(pair: Pair, tmp_path: Path, method: str) -> None:
    data = os.urandom(10 * CHUNK + 7)
    (tmp_path / "f.bin").write_bytes(data)
    if method == "stream":
        await pair.ours.streaming_data_capture_upload(data, PART, ".bin", tags=["t"] * 20)
    elif method == "bytes":
        await pair.ours.file_upload(PART, data, file_name="f")
    else:
        async with OpenFile(str(tmp_path), str(tmp_path / "f.bin")) as file:
            await pair.ours.file_upload_from_path(file, PART)
    (arrival,) = pair.cloud.arrivals
    assert arrival.payload == data
    assert len(arrival.message_sizes) == 1 + 11
    assert max(arrival.message_sizes) <= CHUNK + 1000


@pytest.mark.parametrize("size", [1, 2_000_000])
async def test_an_upload_without_progress_is_given_up(size: int) -> None:
    """Whether the cloud keeps its answer to itself, or takes no more bytes."""

    async def hang(_: Call) -> None:
        await asyncio.Event().wait()

    async with local_cloud() as (cloud, address), connected(address, timeout_s=0.3) as ours:
        cloud.judge = hang
        began = time.monotonic()
        async with asyncio.timeout(30):
            with pytest.raises(TimeoutError):
                await ours.streaming_data_capture_upload(bytes(size), PART, ".bin")
        assert time.monotonic() - began > 0.25


@contextlib.asynccontextmanager
async def slow_road(address: str, bytes_per_s: float) -> AsyncIterator[str]:
    """A road to the cloud that takes bytes slowly, and holds few of them."""
    host, port = "127.0.0.1", int(address.rpartition(":")[2])
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float) -> None:
        while data := await reader.read(2048):
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(len(data) / rate)

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float) -> None:
        task = asyncio.create_task(pump(reader, writer, rate))
        tasks.add(task)
        # Not in a finally: a task that is cancelled before its first step never gets there.
        task.add_done_callback(lambda _: writer.transport.abort())

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, on = await asyncio.open_connection(host, port)
        start(reader, on, bytes_per_s)
        start(back, writer, 1e9)

    listening = socket.create_server((host, 0))
    # Else the kernel would take in all of it, on behalf of the slow reader.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server = await asyncio.start_server(serve, sock=listening, limit=4096)
    try:
        yield f"http://{host}:{listening.getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@pytest.mark.parametrize("size", [60_000, 200_000])
async def test_a_slow_upload_that_goes_on_is_not_given_up(size: int) -> None:
    """However long it takes in all, and though all of it may be handed to the kernel long before it is sent."""
    async with (
        local_cloud() as (cloud, address),
        slow_road(address, size / 2.0) as road,
        connected(road, timeout_s=0.8) as ours,
    ):
        began = time.monotonic()
        await ours.streaming_data_capture_upload(bytes(size), PART, ".bin")
        assert time.monotonic() - began > 1.5
        assert [arrival.size for arrival in cloud.arrivals] == [size]


async def test_a_file_that_changes_under_way_does_not_arrive(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.touch()
    # More than can be on its way before the cloud has judged the call.
    os.truncate(path, 32_000_000)
    began = asyncio.Event()

    async def change(_: Call) -> None:
        with path.open("ab") as log:
            log.write(b"one more line")
        began.set()

    pair.cloud.judge = change
    async with OpenFile(str(tmp_path), str(path)) as file:
        with pytest.raises(FileChanged, match=r"log\.txt"):
            await pair.ours.file_upload_from_path(file, PART)
    assert began.is_set()
    pair.cloud.judge = None
    await pair.ours.file_upload(PART, b"the next one")
    assert [arrival.payload for arrival in pair.cloud.arrivals] == [b"the next one"]


async def test_a_file_that_the_disk_does_not_give_is_no_trouble_of_the_network(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f.bin").write_bytes(b"x")

    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    async with OpenFile(str(tmp_path), str(tmp_path / "f.bin")) as file:
        with pytest.raises(FileUnavailable, match=r"f\.bin' cannot be read: .*Input/output"):
            await pair.ours.file_upload_from_path(file, PART)
    assert pair.cloud.arrivals == []


async def test_one_stalled_upload_is_given_up_though_others_get_on() -> None:
    """They share a connection, and the bytes on it are not all the same."""

    async def hang(call: Call) -> None:
        if call.metadata.component_name == "bad":
            await asyncio.Event().wait()

    async with local_cloud() as (cloud, address), connected(address, timeout_s=0.4) as ours:
        cloud.judge = hang
        stalled = asyncio.create_task(ours.streaming_data_capture_upload(bytes(9999), PART, "", component_name="bad"))
        async with asyncio.timeout(30):
            while not stalled.done():
                await ours.file_upload(PART, bytes(50_000))
        with pytest.raises(TimeoutError):
            await stalled


@pytest.mark.parametrize("size", [0, 10_000_000])
async def test_a_refusal_is_heard_before_all_is_sent(pair: Pair, size: int) -> None:
    async def refuse(_: Call) -> None:
        raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "no room for you")

    pair.cloud.judge = refuse
    with pytest.raises(GRPCError, match="no room for you") as refused:
        await pair.ours.streaming_data_capture_upload(bytes(size), PART, ".bin")
    assert refused.value.status is Status.FAILED_PRECONDITION
