"""The local cloud, spoken to with the SDK's own client and with grpclib, neither of which shares its code."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from grpclib import GRPCError, Status
from grpclib.client import Channel
from grpclib.exceptions import StreamTerminatedError
from viam.app.data_client import DataClient
from viam.proto.app.datasync import (
    DataCaptureUploadRequest,
    DataSyncServiceStub,
    DataType,
    FileData,
    FileUploadRequest,
    FileUploadResponse,
    SensorData,
    UploadMetadata,
)
from viam.proto.rpc.auth import AuthenticateRequest, AuthServiceStub

from module.local.calls import Arrival, Call, Refusal, UploadMethod
from module.local.cloud import LocalCloud
from tests.local.rig import channel_to, client_on, local_cloud, token

RECEIVED = datetime(2025, 1, 2, 3, 4, 6, tzinfo=UTC)
TIMES = (datetime(2025, 1, 2, 3, 4, 5, 678000, tzinfo=UTC), RECEIVED)


async def upload_row(client: DataClient, part_id: str = "part") -> str:
    return await client.tabular_data_capture_upload(
        [{"readings": {"celsius": 21.5}}], part_id, "rdk:component:sensor", "kitchen", "Readings", [TIMES], tags=["a"]
    )


async def upload_image(client: DataClient, data: bytes = b"jpeg") -> str:
    return await client.binary_data_capture_upload(
        data, "part", "rdk:component:camera", "cam", "GetImages", ".jpg", data_request_times=TIMES
    )


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_rows_become_lines_of_json(cloud: LocalCloud, client: DataClient, tmp_path: Path) -> None:
    """Each line holds both times, the upload's tags, and the row as it was; a second upload is appended."""
    file_id = await upload_row(client)
    await upload_row(client)

    lines = (tmp_path / "cloud/kitchen/Readings.ndjson").read_text().splitlines()
    assert [json.loads(line) for line in lines] == 2 * [
        {
            "readings": {"celsius": 21.5},
            "time_requested": "2025-01-02T03:04:05.678Z",
            "time_received": "2025-01-02T03:04:06Z",
            "tags": ["a"],
        }
    ]
    arrival = cloud.arrivals[0]
    assert (arrival.method, arrival.file_id) == (UploadMethod.TABULAR, file_id)
    assert [row.struct["readings"]["celsius"] for row in arrival.rows] == [21.5]
    assert arrival.payload == arrival.rows[0].SerializeToString()
    assert arrival.message_sizes == (arrival.messages[0].ByteSize(),)


async def test_an_image_becomes_a_file(cloud: LocalCloud, client: DataClient, tmp_path: Path) -> None:
    """Named after its component, method, request time and extension; two of one moment keep apart."""
    binary_id = await upload_image(client, b"one")
    await upload_image(client, b"two")

    assert files_in(tmp_path / "cloud") == {
        "cam/GetImages/2025-01-02T03-04-05.678Z-1.jpg": b"one",
        "cam/GetImages/2025-01-02T03-04-05.678Z-2.jpg": b"two",
    }
    arrival = cloud.arrivals[0]
    assert (arrival.method, arrival.size, arrival.payload) == (UploadMethod.BINARY, 3, b"one")
    assert arrival.sha256 == hashlib.sha256(b"one").hexdigest()
    assert arrival.file_id == binary_id
    assert arrival.sensor_metadata is not None
    assert arrival.sensor_metadata.time_received.ToDatetime(UTC) == RECEIVED
    assert arrival.when > RECEIVED


async def test_a_streamed_image_becomes_a_file(cloud: LocalCloud, client: DataClient, tmp_path: Path) -> None:
    data = bytes(range(256)) * 10
    binary_id = await client.streaming_data_capture_upload(
        data, "part", "pcd", "rdk:component:camera", "lidar", "NextPointCloud", data_request_times=TIMES
    )

    assert files_in(tmp_path / "cloud") == {"lidar/NextPointCloud/2025-01-02T03-04-05.678Z-1.pcd": data}
    arrival = cloud.arrivals[0]
    assert (arrival.method, arrival.file_id) == (UploadMethod.STREAMING, binary_id)
    assert [message.WhichOneof("upload_packet") for message in arrival.messages] == ["metadata", "data"]
    assert list(arrival.message_sizes) == [message.ByteSize() for message in arrival.messages]


async def test_a_file_keeps_its_name(cloud: LocalCloud, client: DataClient, tmp_path: Path) -> None:
    """A second one of the same name does not overwrite the first."""
    for data in (b"first", b"second"):
        await client.file_upload("part", data, file_name="report", file_extension=".txt")
    await client.file_upload("part", b"", file_name="empty")

    files = files_in(tmp_path / "cloud/files")
    assert files.pop("report.txt") == b"first"
    assert files.pop("empty") == b""
    assert list(files.values()) == [b"second"]
    assert [arrival.method for arrival in cloud.arrivals] == 3 * [UploadMethod.FILE]


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "..", "", "a/../../b", "..\\evil", "\0", "é" * 300])
async def test_no_name_leaves_the_folder(client: DataClient, tmp_path: Path, name: str) -> None:
    await client.file_upload("part", b"x", file_name=name, file_extension=".txt")
    await client.binary_data_capture_upload(b"x", "part", "camera", name, name, f"/{name}", data_request_times=TIMES)
    await client.tabular_data_capture_upload([{}], "part", "sensor", name, name, [TIMES])

    stored = files_in(tmp_path)
    assert len(stored) == 3
    assert all(name.startswith("cloud/") for name in stored)


async def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cloud = local_cloud(None)
    async with channel_to(await cloud.start()) as channel:
        client = await client_on(channel)
        await upload_row(client)
        await upload_image(client)
        await client.file_upload("part", b"x", file_name="x")
    await cloud.stop()

    assert len(cloud.arrivals) == 3
    assert files_in(tmp_path) == {}


@pytest.mark.parametrize(
    ("entity", "key", "kind"),
    [("other-id", "secret", "api-key"), ("key-id", "wrong", "api-key"), ("key-id", "secret", "robot-secret")],
)
async def test_a_wrong_key_is_unauthenticated(
    cloud: LocalCloud, channel: Channel, entity: str, key: str, kind: str
) -> None:
    with pytest.raises(GRPCError) as refused:
        await token(channel, entity, key, kind)
    assert refused.value.status is Status.UNAUTHENTICATED
    assert (cloud.authentications, cloud.unauthenticated) == (0, 1)


async def test_whoever_has_a_token_gets_no_second_one(channel: Channel) -> None:
    """As in Viam's servers: a token is renewed by a call that carries none."""
    metadata = {"authorization": f"Bearer {await token(channel)}"}
    with pytest.raises(GRPCError) as refused:
        await AuthServiceStub(channel).Authenticate(AuthenticateRequest(entity="key-id"), metadata=metadata)
    assert refused.value.status is Status.INVALID_ARGUMENT


async def test_an_upload_needs_a_token(cloud: LocalCloud, channel: Channel) -> None:
    for metadata in ({}, {"authorization": "Bearer guessed"}):
        with pytest.raises(GRPCError) as refused:
            await upload_row(DataClient(channel, metadata))
        assert refused.value.status is Status.UNAUTHENTICATED
    assert (cloud.unauthenticated, cloud.calls.total(), cloud.arrivals) == (2, 0, [])


@pytest.mark.parametrize("lifetime_s", [0, None])
async def test_tokens_expire_or_are_forgotten(
    cloud: LocalCloud, channel: Channel, client: DataClient, lifetime_s: float | None
) -> None:
    cloud.token_lifetime_s = 3600
    await upload_row(client)
    cloud.token_lifetime_s = lifetime_s
    if lifetime_s is None:
        cloud.forget_tokens()
    with pytest.raises(GRPCError) as refused:
        await upload_row(client)
    assert refused.value.status is Status.UNAUTHENTICATED

    cloud.token_lifetime_s = None
    await upload_row(await client_on(channel))
    assert (cloud.authentications, cloud.unauthenticated, len(cloud.arrivals)) == (2, 1, 2)


async def test_an_unknown_part_is_unknown(cloud: LocalCloud, client: DataClient) -> None:
    with pytest.raises(GRPCError, match="no robot part found") as refused:
        await upload_row(client, part_id="another")
    assert refused.value.status is Status.UNKNOWN
    assert (cloud.arrivals, cloud.calls) == ([], {UploadMethod.TABULAR: 1})


@pytest.mark.parametrize(
    ("kind", "contents"),
    [
        (DataType.DATA_TYPE_UNSPECIFIED, [SensorData(binary=b"x")]),
        (DataType.DATA_TYPE_BINARY_SENSOR, []),
        (DataType.DATA_TYPE_BINARY_SENSOR, [SensorData(binary=b"x"), SensorData(binary=b"y")]),
        (DataType.DATA_TYPE_TABULAR_SENSOR, []),
    ],
)
async def test_what_is_no_upload_is_refused(
    cloud: LocalCloud, channel: Channel, kind: DataType.ValueType, contents: list[SensorData]
) -> None:
    request = DataCaptureUploadRequest(metadata=UploadMetadata(part_id="part", type=kind), sensor_contents=contents)
    metadata = {"authorization": f"Bearer {await token(channel)}"}
    with pytest.raises(GRPCError) as refused:
        await DataSyncServiceStub(channel).DataCaptureUpload(request, metadata=metadata)
    assert refused.value.status is Status.INVALID_ARGUMENT
    assert cloud.arrivals == []


@pytest.mark.parametrize(
    "messages",
    [
        [FileUploadRequest(file_contents=FileData(data=b"x"))],
        [FileUploadRequest(metadata=UploadMetadata(part_id="part"))] * 2,
    ],
)
async def test_metadata_stand_in_the_first_message(
    cloud: LocalCloud, channel: Channel, messages: list[FileUploadRequest], tmp_path: Path
) -> None:
    metadata = {"authorization": f"Bearer {await token(channel)}"}
    with pytest.raises(GRPCError) as refused:
        await DataSyncServiceStub(channel).FileUpload(messages, metadata=metadata)
    assert refused.value.status is Status.INVALID_ARGUMENT
    assert cloud.arrivals == []
    await cloud.stop()
    assert files_in(tmp_path / "cloud") == {}


async def test_a_message_above_the_limit_is_refused(cloud: LocalCloud, client: DataClient) -> None:
    """Of 4 MiB, gRPC's default; the limit is the cloud's, so a larger one lets the same message through."""
    data = bytes(4 * 1024 * 1024)
    with pytest.raises(GRPCError) as refused:
        await upload_image(client, data)
    assert refused.value.status is Status.RESOURCE_EXHAUSTED
    assert cloud.arrivals == []

    generous = local_cloud(None, max_message_bytes=8 * 1024 * 1024)
    async with channel_to(await generous.start()) as channel:
        await upload_image(await client_on(channel), data)
    await generous.stop()
    assert [arrival.size for arrival in generous.arrivals] == [len(data)]


async def test_an_outage_cuts_and_refuses_and_ends(cloud: LocalCloud, client: DataClient) -> None:
    """Stopped, the cloud answers nobody; started again, it has the same address and knows its old tokens."""
    stalled = asyncio.Event()

    async def stall(_: Call) -> None:
        stalled.set()
        await asyncio.Event().wait()

    cloud.judge = stall
    upload = asyncio.create_task(upload_row(client))
    await stalled.wait()
    async with asyncio.timeout(30):
        await cloud.stop()
        with pytest.raises((StreamTerminatedError, GRPCError)):
            await upload
    with pytest.raises(ConnectionRefusedError):
        await upload_row(client)

    cloud.judge = None
    await cloud.start()
    await upload_row(client)
    assert len(cloud.arrivals) == 1


async def test_stop_may_let_calls_finish(cloud: LocalCloud) -> None:
    """For a client that does not hang up when it hears of the end."""
    address = await cloud.start()
    go_on = asyncio.Event()

    async def stall(_: Call) -> None:
        await go_on.wait()

    cloud.judge = stall
    async with channel_to(address) as channel, grpc.aio.insecure_channel(address.removeprefix("http://")) as patient:
        upload = patient.stream_unary("/viam.app.datasync.v1.DataSyncService/FileUpload")(
            iter([FileUploadRequest(metadata=UploadMetadata(part_id="part")).SerializeToString()]),
            metadata=[("authorization", f"Bearer {await token(channel)}")],
        )
        await cloud.wait_for(lambda: cloud.calls.total() == 1, 30)
        stop = asyncio.create_task(cloud.stop(grace_s=5))
        await asyncio.sleep(0.05)
        go_on.set()
        assert FileUploadResponse.FromString(await upload).binary_data_id == cloud.arrivals[0].file_id
        await stop


@pytest.mark.parametrize("reset", [True, False])
async def test_an_upload_that_breaks_off_leaves_nothing(
    cloud: LocalCloud, channel: Channel, tmp_path: Path, *, reset: bool
) -> None:
    """Neither a closed connection nor a reset stream is taken for the end of a file."""
    metadata = {"authorization": f"Bearer {await token(channel)}"}
    with contextlib.suppress(StreamTerminatedError, asyncio.CancelledError):
        async with DataSyncServiceStub(channel).FileUpload.open(metadata=metadata) as stream:
            await stream.send_message(FileUploadRequest(metadata=UploadMetadata(part_id="part", file_name="half")))
            await stream.send_message(FileUploadRequest(file_contents=FileData(data=b"x" * 100_000)))
            await cloud.wait_for(lambda: cloud.calls.total() == 1, 30)
            await asyncio.sleep(0.02)
            if reset:
                await stream.cancel()
            else:
                channel.close()
    await asyncio.sleep(0.05)
    await cloud.stop()

    assert cloud.arrivals == []
    assert files_in(tmp_path / "cloud") == {}


async def test_an_upload_that_is_cut_while_it_is_stored_has_arrived(
    cloud: LocalCloud, client: DataClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the files and the arrivals agree after an outage; the disk is slow here."""
    renaming, go_on, rename = threading.Event(), threading.Event(), Path.rename

    def slow(path: Path, target: Path) -> Path:
        renaming.set()
        go_on.wait(10)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", slow)
    upload = asyncio.create_task(upload_image(client))
    assert await asyncio.to_thread(renaming.wait, 10)
    stop = asyncio.create_task(cloud.stop())
    with pytest.raises((StreamTerminatedError, GRPCError)):
        await upload
    while cloud._under_way:
        await asyncio.sleep(0.01)
    go_on.set()
    await stop

    (stored,) = files_in(tmp_path / "cloud")
    assert [arrival.path for arrival in cloud.arrivals] == [tmp_path / "cloud" / stored]


async def test_the_judge_may_refuse(cloud: LocalCloud, client: DataClient) -> None:
    """It sees the method, the metadata and the first message, and nothing has been stored yet."""
    seen: list[Call] = []

    async def refuse(call: Call) -> None:
        seen.append(call)
        raise Refusal(grpc.StatusCode.UNAVAILABLE, "down for lunch")

    cloud.judge = refuse
    with pytest.raises(GRPCError, match="down for lunch") as refused:
        await upload_image(client)
    assert refused.value.status is Status.UNAVAILABLE
    assert (seen[0].method, seen[0].metadata.component_name) == (UploadMethod.BINARY, "cam")
    assert seen[0].first.sensor_contents[0].binary == b"jpeg"
    assert cloud.arrivals == []


async def test_an_answer_can_be_lost(cloud: LocalCloud, client: DataClient, tmp_path: Path) -> None:
    """What was stored stays stored, though its sender hears of a failure."""

    async def lose(_: Arrival) -> None:
        raise Refusal(grpc.StatusCode.UNAVAILABLE, "the answer was lost")

    cloud.after = lose
    with pytest.raises(GRPCError):
        await upload_image(client)
    assert len(cloud.arrivals) == len(files_in(tmp_path / "cloud")) == 1


async def test_waiting_ends_with_the_event_or_says_what_came(cloud: LocalCloud, client: DataClient) -> None:
    waiting = asyncio.create_task(cloud.wait_for(lambda: len(cloud.arrivals) == 2, 30))
    await upload_row(client)
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await upload_row(client)
    await waiting

    with pytest.raises(TimeoutError, match="stored: 2"):
        await cloud.wait_for(lambda: False, 0.01)
