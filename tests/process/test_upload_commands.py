"""What ``upload_data``, ``upload_rows`` and ``upload_file`` refuse, bear and keep, through a real module process."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct, Value
from grpclib import GRPCError, Status
from grpclib.client import UnaryUnaryMethod
from viam.gen.service.generic.v1.generic_pb2 import DESCRIPTOR
from viam.proto.common import DoCommandRequest, DoCommandResponse
from viam.proto.service.generic import GenericServiceStub

from module.delivery.wire.messages import varint
from module.local.calls import UploadMethod
from module.network.framing import Serialised
from tests.process.rig import NAME, CountingSensor, Rig, Starter

COMPONENT = {"component_type": "rdk:component:sensor", "component_name": "s", "method_name": "Readings"}
BINARY = {"command": "upload_data", "text": "x", "upload_as": "binary"}
STREAM = {"command": "upload_data", "text": "x", "upload_as": "streaming"}
ROWS = {"command": "upload_rows", "rows": [{"n": 1}, {"n": 2}], **COMPONENT}
NUMBERED = [{"n": n} for n in range(700)]
PAIR = ["2025-01-02T03:04:05Z", 1735787046]

REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({**BINARY, "file_extension": ".jpg"}, ["upload_data.component_type: nothing given", "binary_data_capture_upload"]),
    ({**BINARY, **COMPONENT}, ["upload_data.file_extension: nothing given", "binary"]),
    ({**BINARY, **COMPONENT, "file_extension": "a/b"}, ["upload_data.file_extension", "e.g. .jpg"]),
    ({**BINARY, **COMPONENT, "file_extension": ".jpg", "file_name": "a"}, ["upload_data.file_name", "upload_as file"]),
    ({**BINARY, **COMPONENT, "file_extension": "", "data_request_times": [PAIR] * 2}, ["2 pairs given", "one"]),
    ({**STREAM}, ["upload_data.file_extension: nothing given", "streaming"]),
    ({**STREAM, "file_extension": ""}, ["upload_data.file_extension", "not empty"]),
    ({"command": "upload_data", "text": "x", "upload_as": "tabular"}, ["upload_as", "file, binary, streaming"]),
    ({"command": "upload_data", "text": "x", "data_request_times": PAIR}, ["data_request_times", "binary, streaming"]),
    ({"command": "upload_data", "text": "x", "priority": 10}, ["upload_data.priority: 10", "from 0 to 9"]),
    ({"command": "upload_data", "text": "x", "method_parameters": []}, ["method_parameters", "an object"]),
    ({"command": "upload_rows", **COMPONENT}, ["upload_rows.rows: nothing given"]),
    ({**ROWS, "rows": []}, ["upload_rows.rows: a list of 0", "1 to 10000 objects"]),
    ({**ROWS, "rows": [{"n": 1}, 5]}, ["upload_rows.rows[1]: 5", "an object"]),
    ({**ROWS, "rows": {"n": 1}}, ["upload_rows.rows", "1 to 10000 objects"]),
    ({"command": "upload_rows", "rows": [{}]}, ["upload_rows.component_type", "tabular_data_capture_upload"]),
    ({**ROWS, "data_request_times": PAIR}, ["upload_rows.data_request_times: 1 pair given for 2 rows"]),
    ({**ROWS, "data_request_times": [PAIR] * 3}, ["3 pairs given for 2 rows"]),
    ({**ROWS, "data_request_times": [PAIR, [PAIR[0]]]}, ["upload_rows.data_request_times[1]", "a pair of times"]),
    ({**ROWS, "data_request_times": [PAIR, ["soon", 1]]}, ["data_request_times[1][0]", "RFC 3339", "since the epoch"]),
    ({**ROWS, "data_request_times": [PAIR, [1e300, 1]]}, ["data_request_times[1][0]", "a time"]),
    ({**ROWS, "data_request_times": [PAIR, [True, 1]]}, ["data_request_times[1][0]", "a time"]),
    ({**ROWS, "data_request_times": [["0001-01-01T00:00:00+14:00", 1], PAIR]}, ["_times[0][0]", "a time", "+14:00"]),
    ({**ROWS, "data_request_times": [[1, "9999-12-31T23:59:59-14:00"], PAIR]}, ["_times[0][1]", "a time", "-14:00"]),
    ({**ROWS, "dataset_ids": ["d"]}, ["no such argument as 'dataset_ids'"]),
    ({**ROWS, "rows": [{"text": "x" * 4_000_000}]}, ["upload_rows.rows[0]", "4000000"]),
]


async def test_what_the_sdk_refuses_is_refused_before_anything_is_spooled(start: Starter) -> None:
    rig = await start(sources=[])
    for command, says in REFUSED:
        with pytest.raises(GRPCError) as refusal:
            await rig.server.do_command(NAME, command)
        assert refusal.value.status is Status.INVALID_ARGUMENT, command
        for words in says:
            assert words in (refusal.value.message or ""), command
    status = await rig.status()
    assert (status["spool"]["items"], status["upload"]["uploaded_items"]) == (0, 0)


async def test_what_a_command_handed_over_survives_kill_9_once_answered(start: Starter, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "a.txt").write_text("a file")
    rig = await start(sources=[], folders=[{"path": str(files), "include": ["nothing"]}])
    await rig.cloud.stop()
    answers = [
        await rig.command(
            "upload_rows", rows=[{"n": n} for n in range(700)], data_request_times=[PAIR] * 700, **COMPONENT
        ),
        await rig.command("upload_data", text="one", upload_as="binary", file_extension=".txt", **COMPONENT),
        await rig.command("upload_data", text="two", upload_as="streaming", file_extension=".txt"),
        await rig.command("upload_data", text="three", file_name="three.txt", priority=9),
        await rig.command("upload_file", path=str(files / "a.txt"), file_name="named", priority=1),
    ]
    assert [len(answer["ids"]) for answer in answers] == [700, 1, 1, 1, 1]
    await rig.server.kill()
    await rig.cloud.start()
    await rig.server.restart()
    await rig.drained()
    rows = [row for arrival in rig.arrivals(UploadMethod.TABULAR) for row in arrival.rows]
    assert [row.struct["n"] for row in rows] == list(range(700))
    assert all(MessageToDict(row.metadata)["timeRequested"] == PAIR[0] for row in rows)
    payloads = [arrival.payload for arrival in rig.arrivals() if not arrival.rows]
    assert sorted(payloads, key=repr) == [b"a file", b"one", b"three", b"two"]
    (named,) = (arrival for arrival in rig.arrivals() if arrival.payload == b"a file")
    assert named.metadata.file_name == "named"


async def test_rows_that_exceed_a_message_go_in_several(start: Starter) -> None:
    rig = await start(sources=[])
    rows = [{"n": n, "text": "x" * 100_000} for n in range(60)]
    answer = await rig.command("upload_rows", rows=rows, wait="uploaded", **COMPONENT)
    arrivals = rig.arrivals(UploadMethod.TABULAR)
    assert answer["file_ids"] == [arrival.file_id for arrival in arrivals]
    assert [row.struct["n"] for arrival in arrivals for row in arrival.rows] == list(range(60))
    assert len(arrivals) > 2
    assert max(size for arrival in arrivals for size in arrival.message_sizes) < 4 * 1024 * 1024


async def test_a_higher_priority_goes_first(start: Starter) -> None:
    rig = await start(sources=[], upload={"concurrency": 1})
    await rig.command("pause", what="upload")
    for priority in (3, 9, 1):
        await rig.command("upload_data", text=str(priority), priority=priority)
    await rig.command("resume")
    await rig.drained()
    assert [arrival.payload for arrival in rig.arrivals()] == [b"9", b"3", b"1"]


async def test_who_waits_is_answered_with_what_the_cloud_said(start: Starter) -> None:
    rig = await start(sources=[], upload={"batch_wait_s": 0})
    await rig.cloud.stop()
    answer = await rig.command("upload_rows", rows=[{"n": 1}, {"n": 2}], wait="uploaded", timeout_s=0.2, **COMPONENT)
    assert (len(answer["ids"]), answer["file_ids"]) == (2, [])
    assert "not uploaded within 0.2 s" in answer["error"]
    await rig.cloud.start()
    await rig.drained()


def _nested(depth: int) -> bytes:
    """A command of one row so many objects deep, as bytes: protobuf itself makes none that its parsers refuse."""

    def field(number: int, data: bytes) -> bytes:
        return bytes([number << 3 | 2]) + varint(len(data)) + data

    row = Struct(fields={"n": Value(number_value=1)}).SerializeToString()
    for _ in range(depth - 1):
        row = field(1, field(1, b"deeper") + field(2, field(5, row)))
    bare = Struct()
    bare.update({"command": "upload_rows", "wait": "uploaded", **COMPONENT})
    rows = field(1, field(1, b"rows") + field(2, field(6, field(1, field(5, row)))))
    return field(1, NAME.encode()) + field(2, bare.SerializeToString() + rows)


async def test_rows_arrive_thirty_deep_and_deeper_ones_are_refused_cleanly(start: Starter) -> None:
    rig = await start(sources=[])
    method = f"/{DESCRIPTOR.services_by_name['GenericService'].full_name}/DoCommand"
    do_command = UnaryUnaryMethod(rig.server.channel, method, Serialised, DoCommandResponse)
    await do_command(Serialised(_nested(30)))
    ((row,),) = (arrival.rows for arrival in rig.arrivals())
    assert str(row.struct).count("deeper") == 29
    for depth in (32, 33, 100, 2000):
        with pytest.raises(GRPCError, match=r"more than 30 deep") as refusal:
            await do_command(Serialised(_nested(depth)))
        assert refusal.value.status is Status.INVALID_ARGUMENT
    assert (await rig.status())["upload"]["uploaded_items"] == 1


def _peak_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", text)[0]) / 1024


@pytest.mark.slow
async def test_a_million_rows_are_refused_within_bounded_memory_while_the_rest_continues(start: Starter) -> None:
    sensor = CountingSensor("s1")
    # The machine, which is this process, answers no poll while it makes the rows.
    rig = await start(sensor, sources=[{"name": "s1", "capture_frequency_hz": 20, "timeout_s": 300}])
    await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 5)
    before, polls = _peak_mb(rig.server.pid), len(sensor.polls)
    refusal = asyncio.ensure_future(_send_rows(rig, 1_000_000))
    said = str(await refusal)
    assert "rows: a list of 1000000 given; allowed are at most" in said
    assert _peak_mb(rig.server.pid) < before + 400
    await rig.until(lambda _: len(sensor.polls) > polls + 3)
    assert (await rig.status())["sources"]["s1"]["errors"] == 0


async def _send_rows(rig: Rig, count: int) -> str:
    """Without the time that it takes to make each row of its own."""
    command = Struct()
    command.update({"command": "upload_rows", "rows": [{"n": 1}], **COMPONENT})
    rows = command.fields["rows"].list_value
    rows.values.extend([rows.values[0]] * (count - 1))
    with pytest.raises(GRPCError) as refusal:
        await GenericServiceStub(rig.server.channel).DoCommand(DoCommandRequest(name=NAME, command=command))
    assert refusal.value.status is Status.INVALID_ARGUMENT
    return str(refusal.value.message)
