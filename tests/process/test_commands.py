"""Every verb, through a real module process."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import grpc
import pytest
from grpclib import GRPCError, Status

from module.local.calls import Call, Refusal, UploadMethod
from tests.process.rig import CountingSensor, Starter


@pytest.fixture
def start(start_in_one_process: Starter) -> Starter:
    return start_in_one_process


VERBS = [
    "help",
    "status",
    "capture",
    "trigger",
    "pause",
    "resume",
    "flush",
    "upload_file",
    "upload_data",
    "upload_rows",
    "set_schedule",
    "set_tags",
    "failures",
    "retry",
    "discard",
    "recent",
    "start_sequence",
    "stop_sequence",
]


async def test_help_lists_every_verb_with_its_arguments(start: Starter) -> None:
    rig = await start(sources=[])
    answer = await rig.command("help")
    assert set(answer) >= set(VERBS)
    assert set(answer["capture"]["arguments"]) == {
        *("sources", "count", "interval_s", "tags", "dataset_ids", "upload_as", "extra", "method_parameters"),
        *("wait", "timeout_s"),
    }
    assert all(verb["summary"] for verb in answer.values())


async def test_status_has_all_that_the_contract_names(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}, {"name": "s1", "id": "off", "disabled": True}])
    status = await rig.status()
    assert status.keys() >= {"version", "uptime_s", "part_id", "sources", "spool", "upload"}
    assert status["sources"]["s1"].keys() == {
        *("name", "api", "method", "schedule", "state", "captured", "filtered", "missed", "errors", "dropped"),
        *("last_capture", "last_error", "lateness_ms", "commanded"),
    }
    assert status["spool"].keys() >= {
        *("items", "bytes", "oldest_age_s", "max_bytes", "free_disk_bytes", "failed", "dropped", "lag_s"),
    }
    assert status["upload"].keys() >= {
        *("state", "connected", "uploaded_items", "uploaded_bytes", "in_flight", "retries", "bytes_per_s"),
        *("next_attempt_in_s", "last_error", "last_upload", "by_method"),
    }
    assert len(status["upload"]["by_method"]) == 5
    states = {key: source["state"] for key, source in status["sources"].items()}
    assert states == {"s1": "on_demand", "off": "disabled"}
    assert status["part_id"] == "part-1"
    assert status["sources"]["s1"]["schedule"] == "on demand"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ({"command": "captrue"}, ["captrue", "help, status, capture"]),
        ({}, ["command: nothing given", "help, status, capture"]),
        ({"command": 5}, ["command: 5"]),
        ({"command": "capture", "source": ["s1"]}, ["'source'", "did you mean 'sources'?"]),
        ({"command": "capture", "sources": ["s2"]}, ["capture.sources[0]", "s2", "one of s1"]),
        ({"command": "capture", "sources": "s1"}, ["capture.sources", "a list of texts"]),
        ({"command": "capture", "count": 1.5}, ["capture.count: 1.5", "a whole number from 1"]),
        ({"command": "capture", "count": True}, ["capture.count", "a whole number from 1"]),
        ({"command": "capture", "interval_s": -1}, ["capture.interval_s: -1", "a number from 0"]),
        ({"command": "capture", "wait": "soon"}, ["capture.wait", "spooled, uploaded"]),
        ({"command": "capture", "tags": [""]}, ["capture.tags", "none of them empty"]),
        ({"command": "pause", "what": "everything"}, ["pause.what", "capture, upload, all"]),
        ({"command": "pause", "what": "upload", "sources": ["s1"]}, ['pause.sources: ["s1"]', "what: capture or all"]),
        (
            {"command": "resume", "what": "upload", "sources": ["s1"]},
            ['resume.sources: ["s1"]', "what: capture or all"],
        ),
        ({"command": "upload_data", "file_name": "a.txt"}, ["exactly one of data_base64 and text"]),
        ({"command": "upload_data", "text": "x", "file_name": "../a"}, ["upload_data.file_name", "without slashes"]),
        ({"command": "upload_data", "text": "x", "file_name": "a\nb"}, ["upload_data.file_name", "control characters"]),
        ({"command": "upload_data", "data_base64": "%%%", "file_name": "a"}, ["upload_data.data_base64", "base64"]),
        ({"command": "upload_file"}, ["upload_file.path: nothing given"]),
        ({"command": "upload_file", "path": "/etc/passwd"}, ["upload_file.path", "none is configured"]),
        ({"command": "retry", "ids": ["x"]}, ["retry.ids[0]", "a whole number"]),
        ({"command": "failures", "limit": 0}, ["failures.limit: 0", "a whole number from 1 to 1000"]),
        ({"command": "status", "verbose": True}, ["'verbose'", "allowed: none"]),
    ],
)
async def test_a_bad_command_is_refused_with_what_is_allowed(
    start: Starter, command: dict[str, Any], says: list[str]
) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    with pytest.raises(GRPCError) as refusal:
        await rig.server.do_command("uploader", command)
    assert refusal.value.status is Status.INVALID_ARGUMENT
    for words in says:
        assert words in (refusal.value.message or "")


async def test_capture_takes_a_burst_beside_the_schedule(start: Starter) -> None:
    sensor = CountingSensor("s1")
    rig = await start(sensor, sources=[{"name": "s1"}])
    began = time.monotonic()
    answer = await rig.command("capture", count=5, interval_s=0.3, wait="uploaded")
    assert sensor.polls[-1] - began >= 4 * 0.3
    # Its timeout is 30 s.
    assert time.monotonic() - began < 20
    assert answer["captured"] == {"s1": 5}
    assert set(answer["uploaded"]["s1"]) == {arrival.file_id for arrival in rig.arrivals()}
    assert rig.numbers("s1") == [1, 2, 3, 4, 5]


async def test_capture_answers_in_time_when_the_cloud_is_away(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    await rig.cloud.stop()
    began = time.monotonic()
    answer = await rig.command("capture", wait="uploaded", timeout_s=5)
    assert time.monotonic() - began < 20
    assert answer["captured"] == {"s1": 1}
    assert "not uploaded within 5 s" in answer["errors"]["s1"]
    await rig.cloud.start()
    await rig.cloud.wait_for(lambda: rig.numbers("s1") == [1], 10)


WHOSE = {"component_type": "rdk:component:sensor", "component_name": "x", "method_name": "Readings"}
UNKNOWN_PART = "refused: UNKNOWN: no robot part found"
WHY_NOT = [
    ("a part that the cloud does not know", {}, UNKNOWN_PART),
    ("a cloud that is away", {}, "offline: "),
    ("a pause", {}, "the command pause stopped uploads"),
    ("uploads that are disabled", {"upload": {"disabled": True}}, "upload.disabled is true"),
]


@pytest.mark.parametrize(("case", "attributes", "says"), WHY_NOT, ids=[case for case, _, _ in WHY_NOT])
async def test_a_caller_that_waits_too_long_learns_why(
    start: Starter, case: str, attributes: dict[str, Any], says: str
) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}], **attributes)

    async def unknown(_: Call) -> None:
        raise Refusal(grpc.StatusCode.UNKNOWN, "no robot part found")

    if case == "a part that the cloud does not know":
        rig.cloud.judge = unknown
    elif case == "a cloud that is away":
        await rig.cloud.stop()
    elif case == "a pause":
        await rig.command("pause", what="upload")
    await rig.command("capture")
    if not attributes and case != "a pause":
        await rig.until(lambda status: status["upload"]["last_error"] is not None)
    # Its poll, and what writes the row to the disk, must end within this time too.
    captured = await rig.command("capture", wait="uploaded", timeout_s=5)
    assert captured["captured"] == {"s1": 1}
    uploaded = await rig.command("upload_data", text="x", file_name="a.txt", wait="uploaded", timeout_s=0.3)
    rows = await rig.command("upload_rows", rows=[{"a": 1}], wait="uploaded", timeout_s=0.3, **WHOSE)
    for error, waited_s in ((captured["errors"]["s1"], 5), (uploaded["error"], 0.3), (rows["error"], 0.3)):
        assert error.startswith(f"not uploaded within {waited_s} s; it stays in the spool; ")
        assert says in error
    flushed = await rig.command("flush", timeout_s=0.3)
    assert flushed["remaining_items"] >= 4
    assert says in flushed["reason"]


async def test_a_caller_learns_that_the_service_closes(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}], upload={"batch_wait_s": 3600})
    asked = []
    # One after the other, the burst last: of the others each has one item, so each is known to be under way.
    for started, command in enumerate(
        (
            rig.command("capture", wait="uploaded", timeout_s=60),
            rig.command("upload_rows", rows=[{"a": 1}], wait="uploaded", **WHOSE),
            rig.command("capture", count=100, interval_s=0.5, timeout_s=60),
        ),
        1,
    ):
        asked.append(asyncio.create_task(command))
        await rig.until(lambda status, started=started: status["spool"]["items"] >= started)  # type: ignore[misc]
    await rig.server.reconfigure_resource("uploader")
    waited, rows, burst = await asyncio.wait_for(asyncio.gather(*asked), 30)
    assert waited["errors"] == {"s1": "the service is closing; it stays in the spool"}
    assert burst["errors"] == {"s1": "the service is closing"}
    assert rows["error"] == "the service is closing; it stays in the spool"


async def test_a_burst_that_is_cut_short_says_how_far_it_came(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    answer = await rig.command("capture", count=100, interval_s=0.2, timeout_s=0.5)
    assert answer["errors"]["s1"].startswith("not done in 0.5 s; what was captured stays in the spool; ")
    assert answer["errors"]["s1"].endswith(f"{answer['captured']['s1']:g} of 100 polls have ended")


async def test_upload_data_sends_bytes_and_texts_as_files(start: Starter) -> None:
    rig = await start(sources=[], tags=["all"], dataset_ids=["d"])
    data = bytes(range(256)) * 2000
    encoded = base64.b64encode(data).decode()
    answer = await rig.command(
        "upload_data", data_base64=encoded, file_name="dump.bin", tags=["x"], dataset_ids=["e"], wait="uploaded"
    )
    await rig.command("upload_data", text="gripper replaced ✓", file_name="note.txt", wait="uploaded")
    dump, note = rig.arrivals(UploadMethod.FILE)
    assert (dump.payload, dump.file_id) == (data, answer["file_id"])
    assert (dump.metadata.file_name, dump.metadata.file_extension) == ("dump.bin", ".bin")
    assert (list(dump.metadata.tags), list(dump.metadata.dataset_ids)) == (["all", "x"], ["d", "e"])
    assert (note.payload or b"").decode() == "gripper replaced ✓"
    assert (note.metadata.file_name, note.metadata.mime_type) == ("note.txt", "text/plain")


async def test_failures_are_listed_retried_and_discarded(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])

    async def refuse(_: Call) -> None:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "no such thing")

    rig.cloud.judge = refuse
    await rig.command("capture", count=2, interval_s=0.3)
    status = await rig.until(lambda status: status["spool"]["failed"] == 2)
    assert status["spool"]["items"] == 0
    listed = await rig.command("failures", limit=1)
    assert listed["total"] == 2
    (failure,) = listed["failures"]
    assert failure.keys() == {"id", "source", "captured_at", "size", "error", "attempts"}
    assert (failure["source"], failure["error"]) == ("s1", "INVALID_ARGUMENT: no such thing")
    assert failure["captured_at"].endswith("Z")
    rig.cloud.judge = None
    assert await rig.command("retry", ids=[failure["id"]]) == {"retried": 1}
    await rig.cloud.wait_for(lambda: len(rig.numbers("s1")) == 1, 10)
    assert await rig.command("discard") == {"discarded": 1}
    assert await rig.command("failures") == {"failures": [], "total": 0}


async def test_a_capture_that_is_rejected_says_so_to_who_waits(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])

    async def refuse(_: Call) -> None:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "no such thing")

    rig.cloud.judge = refuse
    answer = await rig.command("capture", wait="uploaded")
    assert answer == {"captured": {"s1": 1}, "uploaded": {}, "errors": {"s1": "INVALID_ARGUMENT: no such thing"}}


async def test_files_of_commands_and_of_folders_have_the_same_types(start: Starter) -> None:
    """From a table of our own, so that two machines say the same of a file."""
    rig = await start(sources=[])
    for name in ("a.ndjson", "a.webp", "a.pcd", "a.tar.gz", "a.unknown"):
        await rig.command("upload_data", text="x", file_name=name, wait="uploaded")
    assert [arrival.metadata.mime_type for arrival in rig.arrivals()] == [
        *("application/x-ndjson", "image/webp", "pointcloud/pcd", "application/gzip", ""),
    ]


async def test_who_has_stopped_waiting_is_forgotten(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    await rig.cloud.stop()
    await rig.command("capture", wait="uploaded", timeout_s=0.2)
    answer = await rig.command("upload_data", text="x", file_name="a.txt", wait="uploaded", timeout_s=0.2)
    assert "not uploaded within 0.2 s" in answer["error"]
    await rig.cloud.start()
    await rig.drained()
    await rig.server.terminate()
    assert "never retrieved" not in rig.printed()


async def test_a_verb_that_is_mistyped_names_the_nearest_one(start: Starter) -> None:
    rig = await start(sources=[])
    with pytest.raises(GRPCError, match=r'command: "stauts" given; .*\(did you mean status\?\)'):
        await rig.command("stauts")
