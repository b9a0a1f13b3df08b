"""Each of the five upload methods with each of its parameters, by command: what arrives is what the SDK's own sends.

What differs, and why, stands in ``docs/commands.md``, "The five methods"; each difference is named here in ``differs``.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from grpclib.client import Channel
from viam.app.data_client import DataClient
from viam.proto.rpc.auth import AuthenticateRequest, AuthServiceStub, Credentials

from module.delivery.wire.messages import method_parameters
from module.local.calls import Arrival
from tests.process.rig import KEY, KEY_ID, PART, ROOT, Rig, Starter

T1 = datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
T2 = datetime(2025, 1, 2, 5, 4, 6, 1, tzinfo=timezone(timedelta(hours=2)))
GIVEN = {"data_request_times": ["2025-01-02T03:04:05.678901Z", "2025-01-02T05:04:06.000001+02:00"]}
TIMES = {"data_request_times": (T1, T2)}
COMPONENT: dict[str, Any] = {"component_type": "movement_sensor", "component_name": "gps", "method_name": "Position"}
PARAMETERS = {"pin_name": "11", "limits": {"low": 0.5, "names": ["a", None]}}
LABELS = {"tags": ["a", "ü"], "dataset_ids": ["d1", "d2"]}
DATA = bytes(range(256))
Case = tuple[dict[str, Any], bytes, tuple[str, ...]]
"""A command's arguments, its data, and what differs from what the SDK sends."""


@contextlib.asynccontextmanager
async def sdk_of(rig: Rig) -> AsyncIterator[DataClient]:
    """The SDK's own client, admitted to the machine's cloud."""
    host, port = rig.address.removeprefix("http://").split(":")
    async with Channel(host, int(port)) as channel:
        credentials = Credentials(type="api-key", payload=KEY)
        admitted = await AuthServiceStub(channel).Authenticate(
            AuthenticateRequest(entity=KEY_ID, credentials=credentials)
        )
        yield DataClient(channel, {"authorization": f"Bearer {admitted.access_token}"})


def assert_same(theirs: Arrival, own: Arrival, *differs: str) -> None:
    """All but the borders of chunks, and what of the metadata is named."""
    for name in differs:
        for arrival in (theirs, own):
            if name in ("times", "annotations"):
                for each in (arrival.sensor_metadata, *(row.metadata for row in arrival.rows)):
                    if each is not None:
                        each.Clear() if name == "times" else each.ClearField("annotations")
            else:
                arrival.metadata.ClearField(name)  # type: ignore[arg-type]
    assert own.method == theirs.method
    assert own.metadata == theirs.metadata
    assert own.rows or own.payload == theirs.payload
    assert [row.struct for row in own.rows] == [row.struct for row in theirs.rows]
    if "times" not in differs:
        assert own.sensor_metadata == theirs.sensor_metadata
        assert own.rows == theirs.rows


def sent_by_sdk(arguments: dict[str, Any]) -> dict[str, Any]:
    """A command's arguments as the SDK's methods take them."""
    sent = {"method_parameters": method_parameters(json.dumps(arguments.get("method_parameters", {}))), **TIMES}
    return {name: sent.get(name, value) for name, value in arguments.items()}


BINARY: list[Case] = [
    ({"file_extension": extension, **labels, **more}, data, differs)
    for extension in (".jpg", "jpg", "")
    for labels, data in (({}, b""), (LABELS, DATA))
    for more, differs in (
        (GIVEN | {"mime_type": "image/jpeg", "method_parameters": PARAMETERS}, ()),
        (GIVEN, ("mime_type",)),
        ({"mime_type": "image/jpeg"}, ("times",)),
    )
]
STREAMING: list[Case] = [
    ({"file_extension": extension, **component, **more}, data, differs)
    for extension in (".pcd", "pcd")
    for component, data in (({}, b""), (COMPONENT, DATA * 3000))
    for more, differs in (
        (GIVEN | LABELS | {"mime_type": "pointcloud/pcd", "method_parameters": PARAMETERS}, ()),
        (GIVEN, ("mime_type",)),
        ({"mime_type": "pointcloud/pcd"}, ("times",)),
    )
]
FILE: list[Case] = [
    ({}, b"", ()),
    ({"file_name": "report", "file_extension": ".txt", "mime_type": "text/plain"}, DATA, ("mime_type",)),
    ({"file_name": "report.txt", **LABELS}, DATA, ("file_extension", "mime_type")),
    ({"file_name": "r", "file_extension": "txt"}, DATA, ("file_extension", "mime_type")),
    ({**COMPONENT, **LABELS, "method_parameters": PARAMETERS}, DATA * 3000, ()),
]
FROM_PATH: list[Case] = [
    ({"mime_type": "text/plain"}, b"", ()),
    ({}, DATA * 3000, ("mime_type",)),
    ({"file_name": "other", "mime_type": "a/b", **COMPONENT, **LABELS, "method_parameters": PARAMETERS}, DATA, ()),
    ({"file_name": "", "mime_type": "a/b"}, DATA, ()),
]
ROWS: list[tuple[dict[str, Any], list[tuple[datetime, datetime]], tuple[str, ...]]] = [
    ({"data_request_times": [GIVEN["data_request_times"]] * 2}, [(T1, T2)] * 2, ()),
    (
        {
            "data_request_times": [[0, 1.5], [T1.timestamp(), "2025-01-02T03:04:06.000001"]],
            "tags": LABELS["tags"],
            "method_parameters": PARAMETERS,
        },
        [(datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(1.5, UTC)), (T1, T2)],
        (),
    ),
    ({}, [(T1, T2)] * 2, ("times",)),
]


async def test_binary(rig: Rig, sdk: DataClient) -> None:
    for arguments, data, differs in BINARY:
        await sdk.binary_data_capture_upload(binary_data=data, part_id=PART, **COMPONENT, **sent_by_sdk(arguments))
        answer = await rig.command(
            "upload_data", **encoded(data), upload_as="binary", wait="uploaded", **COMPONENT, **arguments
        )
        theirs, own = taken(rig)
        assert answer["file_ids"] == [own.file_id]
        assert_same(theirs, own, *differs)


async def test_streaming(rig: Rig, sdk: DataClient) -> None:
    for arguments, data, differs in STREAMING:
        as_sdk = sent_by_sdk(arguments)
        await sdk.streaming_data_capture_upload(data, PART, as_sdk.pop("file_extension"), **as_sdk)
        answer = await rig.command("upload_data", **encoded(data), upload_as="streaming", wait="uploaded", **arguments)
        theirs, own = taken(rig)
        assert answer["file_id"] == own.file_id
        assert_same(theirs, own, *differs)


async def test_file(rig: Rig, sdk: DataClient) -> None:
    for arguments, data, differs in FILE:
        await sdk.file_upload(part_id=PART, data=data, **sent_by_sdk(arguments))
        await rig.command("upload_data", **encoded(data), wait="uploaded", **arguments)
        assert_same(*taken(rig), *differs)


async def test_file_from_path(rig: Rig, sdk: DataClient) -> None:
    path = rig.folder / "files" / "report.txt"
    for arguments, data, differs in FROM_PATH:
        path.write_bytes(data)
        await sdk.file_upload_from_path(filepath=str(path), part_id=PART, **sent_by_sdk(arguments))
        await rig.command("upload_file", path=str(path), wait="uploaded", **arguments)
        theirs, own = taken(rig)
        assert own.metadata.file_modify_time.ToNanoseconds() == path.stat().st_mtime_ns // 1000 * 1000
        assert_same(theirs, own, "file_create_time", "file_modify_time", *differs)


async def test_tabular(rig: Rig, sdk: DataClient) -> None:
    rows: list[Any] = [{"readings": {"a": 1.5, "b": None, "c": [True, "ü", {}]}}, {"anything": "else"}]
    for arguments, times, differs in ROWS:
        as_sdk = sent_by_sdk(arguments) | {"data_request_times": times}
        await sdk.tabular_data_capture_upload(tabular_data=rows, part_id=PART, **COMPONENT, **as_sdk)
        answer = await rig.command("upload_rows", rows=rows, wait="uploaded", **COMPONENT, **arguments)
        theirs, own = taken(rig)
        assert (len(answer["ids"]), answer["file_ids"]) == (2, [own.file_id])
        assert_same(theirs, own, *differs)


async def test_one_row_takes_one_bare_pair(rig: Rig) -> None:
    await rig.command("upload_rows", rows=[{"n": 1}], wait="uploaded", **COMPONENT, **GIVEN)
    ((row,),) = (arrival.rows for arrival in rig.cloud.arrivals)
    assert row.metadata.time_requested.ToDatetime(UTC) == T1
    assert row.metadata.time_received.ToDatetime(UTC) == T2


async def test_the_examples_of_the_page_arrive_by_the_method_that_they_stand_for(rig: Rig) -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    section = page.partition("## The five methods")[2].partition("\n## ")[0]
    commands = [json.loads(found) for found in re.findall(r"```json\n(.*?)\n```", section, re.DOTALL)]
    (rig.folder / "files" / "today.log").write_text("all is well")
    methods = []
    for command in commands:
        if "path" in command:
            command["path"] = str(rig.folder / "files" / "today.log")
        before = (await rig.status())["upload"]["by_method"]
        await rig.command(command.pop("command"), wait="uploaded", **command)
        after = await rig.until(lambda status, before=before: status["upload"]["by_method"] != before)  # type: ignore[misc]
        methods += [name for name, count in after["upload"]["by_method"].items() if count > before[name]]
    assert methods == [f"{name}_data_capture_upload" for name in ("tabular", "binary", "streaming")] + [
        "file_upload",
        "file_upload_from_path",
    ]


def taken(rig: Rig) -> tuple[Arrival, Arrival]:
    """What has arrived since the last time: the SDK's, and ours."""
    theirs, own = rig.cloud.arrivals
    rig.cloud.arrivals.clear()
    return theirs, own


def encoded(data: bytes) -> dict[str, str]:
    return {"data_base64": base64.b64encode(data).decode()}


@pytest.fixture
async def rig(start: Starter, tmp_path: Path) -> Rig:
    (tmp_path / "files").mkdir()
    folder = {"path": str(tmp_path / "files"), "include": ["nothing"]}
    return await start(sources=[], folders=[folder], upload={"batch_wait_s": 0})


@pytest.fixture
async def sdk(rig: Rig) -> AsyncIterator[DataClient]:
    async with sdk_of(rig) as client:
        yield client
