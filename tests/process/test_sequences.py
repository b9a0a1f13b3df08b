"""Sequences, through a real module process: made in the cloud once all that was captured in them is there."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import grpc
import pytest
from grpclib import GRPCError, Status
from viam.proto.app.data import CreateSequenceRequest

from module.local.calls import Call, CreatedSequence, Refusal
from module.local.cloud import LocalCloud
from tests.process.rig import PART, CountingSensor, Rig, Starter, StillCamera

JPEG = [("color", b"\xff\xd8\xff" + bytes(1000), "image/jpeg")]


async def started(rig: Rig, **arguments: Any) -> str:
    return str((await rig.command("start_sequence", **arguments))["id"])


async def made(cloud: LocalCloud, count: int = 1, timeout_s: float = 10.0) -> list[CreatedSequence]:
    await cloud.wait_for(lambda: len(cloud.sequences) >= count, timeout_s)
    return cloud.sequences


async def of_status(rig: Rig) -> list[dict[str, Any]]:
    sequences: list[dict[str, Any]] = (await rig.status())["sequences"]
    return sequences


def microseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


async def test_a_sequence_names_its_resources_its_times_and_its_tags(start: Starter) -> None:
    """The tags are the sequence's alone: its captures have those that they would have without it."""
    sources = [{"name": "s1"}, {"name": "c1", "id": "eye"}, {"name": "s2"}]
    rig = await start(CountingSensor("s1"), StillCamera("c1", JPEG), CountingSensor("s2"), sources=sources)
    first = await rig.command("start_sequence", sources=["s1", "eye"], tags=["run 7"])
    assert first.keys() == {"id", "sources", "start"}
    assert first["sources"] == ["s1", "eye"]
    await rig.command("capture")
    last = await rig.command("stop_sequence", id=first["id"])
    assert last.keys() == {"id", "end", "waiting_for"}
    assert last["id"] == first["id"]
    (created,) = await made(rig.cloud)
    request = created.request
    assert request.part_id == PART
    assert [(each.resource_name, each.method_name) for each in request.resources] == [
        ("s1", "Readings"),
        ("c1", "GetImages"),
    ]
    assert list(request.sequence_tags) == ["run 7"]
    assert request.start_time.ToMicroseconds() == microseconds(first["start"])
    assert request.end_time.ToMicroseconds() == microseconds(last["end"])
    (row,) = rig.arrivals(name="s1")
    at = row.rows[0].metadata.time_requested.ToMicroseconds()
    assert microseconds(first["start"]) <= at <= microseconds(last["end"])
    assert list(row.metadata.tags) == []
    await rig.until(lambda status: status["sequences"] == [])


async def test_it_is_made_only_after_its_captures_are_there(start: Starter) -> None:
    """Those of other sources and of other times are not waited for."""
    sources = [{"name": "s1"}, {"name": "s2"}]
    rig = await start(CountingSensor("s1"), CountingSensor("s2"), sources=sources, upload={"batch_rows": 1})
    held = asyncio.Event()

    async def hold(call: Call) -> None:
        row = call.first.sensor_contents[0].struct.fields["readings"].struct_value
        if call.metadata.component_name == "s2" or row.fields["n"].number_value == 4:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "not this one")
        await held.wait()

    rig.cloud.judge = hold
    await rig.command("capture", sources=["s2"])
    sequence = await started(rig, sources=["s1"])
    await rig.command("capture", count=3)
    assert (await rig.command("stop_sequence", id=sequence))["waiting_for"] == 3
    await rig.command("capture", sources=["s1"])
    (waiting,) = await of_status(rig)
    assert (waiting["id"], waiting["state"], waiting["waiting_for"]) == (sequence, "waiting", 3)
    await asyncio.sleep(1)
    assert rig.cloud.sequences == []
    held.set()
    (created,) = await made(rig.cloud)
    assert sorted(rig.numbers("s1")) == [1, 2, 3]
    assert all(arrival.when <= created.when for arrival in rig.arrivals(name="s1"))
    await rig.until(lambda status: status["spool"]["failed"] == 5)


async def test_failures_are_waited_for_until_they_are_retried_or_discarded(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])

    async def refuse(_: Call) -> None:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "no such thing")

    rig.cloud.judge = refuse
    sequence = await started(rig)
    await rig.command("capture", count=2, interval_s=0.3, wait="uploaded")
    assert (await rig.command("stop_sequence", id=sequence))["waiting_for"] == 2
    rig.cloud.judge = None
    await rig.command("capture", wait="uploaded")
    await asyncio.sleep(1)
    assert rig.cloud.sequences == []
    first, second = (failure["id"] for failure in (await rig.command("failures"))["failures"])
    await rig.command("discard", ids=[first])
    await rig.until(lambda status: [each["waiting_for"] for each in status["sequences"]] == [1])
    await rig.command("retry", ids=[second])
    await made(rig.cloud)


async def test_an_open_sequence_stays_open_across_kill_9(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    first = await rig.command("start_sequence", tags=["t"])
    await rig.command("capture", wait="uploaded")
    await rig.server.kill()
    await rig.server.restart()
    await rig.command("capture", wait="uploaded")
    await rig.until(lambda status: [each["state"] for each in status["sequences"]] == ["open"])
    last = await rig.command("stop_sequence", id=first["id"])
    (created,) = await made(rig.cloud)
    assert created.request.start_time.ToMicroseconds() == microseconds(first["start"])
    assert created.request.end_time.ToMicroseconds() == microseconds(last["end"])
    assert list(created.request.sequence_tags) == ["t"]


async def test_what_waits_is_made_after_kill_9_though_its_source_is_gone(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    await rig.cloud.stop()
    sequence = await started(rig)
    await rig.command("capture", count=3)
    assert (await rig.command("stop_sequence", id=sequence))["waiting_for"] == 3
    await rig.server.kill()
    await rig.server.restart()
    await rig.server.reconfigure_resource("uploader", rig.attributes(sources=[]))
    await rig.cloud.start()
    (created,) = await made(rig.cloud)
    assert rig.numbers("s1") == [1, 2, 3]
    assert [each.resource_name for each in created.request.resources] == ["s1"]


async def test_with_nothing_left_to_upload_a_start_still_makes_what_waits(start: Starter) -> None:
    """After the captures have gone, the sequence alone is what the cloud still has to be told."""
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])

    async def away(_: CreateSequenceRequest) -> None:
        raise Refusal(grpc.StatusCode.UNAVAILABLE, "try later")

    rig.cloud.judge_sequence = away
    sequence = await started(rig)
    await rig.command("capture", wait="uploaded")
    await rig.command("stop_sequence", id=sequence)
    await rig.until(lambda status: [each["error"] for each in status["sequences"]] == ["UNAVAILABLE: try later"])
    await rig.server.kill()
    rig.cloud.judge_sequence = None
    await rig.server.restart()
    await made(rig.cloud)


async def test_two_that_overlap_are_both_made_each_in_its_time(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), CountingSensor("s2"), sources=[{"name": "s1"}, {"name": "s2"}])
    await rig.command("pause", what="upload")
    outer = await started(rig)
    await rig.command("capture")
    inner = await started(rig, sources=["s1"])
    await rig.command("capture")
    assert (await rig.command("stop_sequence", id=outer))["waiting_for"] == 4
    await rig.command("capture")
    assert (await rig.command("stop_sequence", id=inner))["waiting_for"] == 2
    await rig.command("resume", what="upload")
    # In whichever order they were made.
    requests = (created.request for created in await made(rig.cloud, 2))
    one, two = sorted(requests, key=lambda request: request.start_time.ToMicroseconds())
    assert [each.resource_name for each in one.resources] == ["s1", "s2"]
    assert [each.resource_name for each in two.resources] == ["s1"]
    start_of = [each.start_time.ToMicroseconds() for each in (one, two)]
    end_of = [each.end_time.ToMicroseconds() for each in (one, two)]
    assert start_of[0] < start_of[1] < end_of[0] < end_of[1]


async def test_one_that_the_cloud_rejects_is_kept_with_its_error_and_holds_nobody_up(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])

    async def choosy(request: CreateSequenceRequest) -> None:
        if "bad" in request.sequence_tags:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "no such tag")

    rig.cloud.judge_sequence = choosy
    bad, good = await started(rig, tags=["bad"]), await started(rig, tags=["good"])
    await rig.command("stop_sequence", id=bad)
    await rig.command("stop_sequence", id=good)
    await made(rig.cloud)
    for _ in range(2):
        status = await rig.until(lambda status: len(status["sequences"]) == 1)
        (failed,) = status["sequences"]
        assert (failed["id"], failed["state"], failed["error"]) == (bad, "failed", "INVALID_ARGUMENT: no such tag")
        await rig.server.kill()
        await rig.server.restart()
        await rig.command("capture", wait="uploaded")
    assert len(rig.cloud.sequences) == 1
    rig.cloud.judge_sequence = None
    assert await rig.command("retry", ids=[]) == {"retried": 0}
    assert await rig.command("retry") == {"retried": 1}
    await made(rig.cloud, 2)
    await rig.until(lambda status: status["sequences"] == [])


async def test_a_token_that_has_run_out_is_renewed(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    sequence = await started(rig)
    await rig.command("capture", wait="uploaded")
    rig.cloud.forget_tokens()
    await rig.command("stop_sequence", id=sequence)
    await made(rig.cloud)
    assert rig.cloud.authentications == 2


async def test_nothing_is_made_while_uploads_are_paused(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    await rig.command("pause", what="upload")
    await rig.command("stop_sequence", id=await started(rig))
    await asyncio.sleep(1.2)
    assert rig.cloud.sequences == []
    await rig.command("resume", what="upload")
    await made(rig.cloud)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ({"command": "start_sequence", "sources": ["s2"]}, ["start_sequence.sources[0]", "s2", "one of s1"]),
        ({"command": "start_sequence", "sources": []}, ["start_sequence.sources", "at least one source"]),
        ({"command": "start_sequence", "tags": "t"}, ["start_sequence.tags", "a list of texts"]),
        ({"command": "stop_sequence"}, ["stop_sequence.id: nothing given", "{open}"]),
        ({"command": "stop_sequence", "id": "7"}, ['stop_sequence.id: "7"', "{open}"]),
        ({"command": "stop_sequence", "id": "{ended}"}, ["stop_sequence.id", "{open}"]),
    ],
)
async def test_a_bad_command_is_refused_with_what_is_allowed(
    start: Starter, command: dict[str, Any], says: list[str]
) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    ids = {"open": await started(rig), "ended": await started(rig)}
    await rig.command("stop_sequence", id=ids["ended"])
    filled = {key: value.format(**ids) if isinstance(value, str) else value for key, value in command.items()}
    with pytest.raises(GRPCError) as refusal:
        await rig.server.do_command("uploader", filled)
    assert refusal.value.status is Status.INVALID_ARGUMENT
    for words in says:
        assert words.format(**ids) in (refusal.value.message or "")


async def test_with_none_open_a_stop_says_so(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    with pytest.raises(GRPCError, match="no sequence is open"):
        await rig.command("stop_sequence", id="x")
