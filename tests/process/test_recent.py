"""The command ``recent``, through a real module process."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import grpc
import pytest
from grpclib import GRPCError, Status

from module.local.calls import Call, Refusal
from tests.process.rig import CountingSensor, Rig, Starter, StillCamera


@pytest.fixture
def start(start_in_one_process: Starter) -> Starter:
    return start_in_one_process


async def recent(rig: Rig, source: str = "s1", **arguments: Any) -> list[dict[str, Any]]:
    answer = await rig.command("recent", source=source, **arguments)
    assert answer.keys() == {"captures"}
    captures: list[dict[str, Any]] = answer["captures"]
    return captures


async def states(rig: Rig) -> list[str]:
    return [capture["state"] for capture in await recent(rig)]


async def refuse(_: Call) -> None:
    raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "no such thing")


async def test_the_last_captures_come_newest_first_with_what_the_cloud_calls_them(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), CountingSensor("s2"), sources=[{"name": "s1"}, {"name": "s2"}])
    for _ in range(3):
        await rig.command("capture", sources=["s1"], wait="uploaded")
    captures = await recent(rig)
    assert [capture["file_id"] for capture in captures] == [arrival.file_id for arrival in reversed(rig.arrivals())]
    assert [capture["id"] for capture in captures] == sorted((capture["id"] for capture in captures), reverse=True)
    assert {capture["state"] for capture in captures} == {"uploaded"}
    assert [capture["size"] for capture in captures] == [arrival.size for arrival in reversed(rig.arrivals())]
    at = [datetime.fromisoformat(capture["captured_at"]).timestamp() for capture in captures]
    sent = [arrival.rows[0].metadata.time_requested.ToMicroseconds() / 1e6 for arrival in reversed(rig.arrivals())]
    assert at == pytest.approx(sent, abs=2e-6)
    assert await recent(rig, "s2") == []


async def test_a_limit_holds_and_at_most_a_hundred_are_known(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    # Each command has 30 s, and each poll waits for the disk.
    for _ in range(4):
        await rig.command("capture", count=30)
    assert len(await recent(rig)) == 10
    newest = await recent(rig, limit=3)
    every = await recent(rig, limit=100)
    assert (len(newest), len(every)) == (3, 100)
    assert [capture["id"] for capture in every] == list(range(120, 20, -1))
    assert [capture["id"] for capture in newest] == [120, 119, 118]


async def test_what_waits_is_spooled_until_the_cloud_has_it(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    await rig.command("pause", what="upload")
    await rig.command("capture", count=2)
    assert [(capture["state"], capture["file_id"]) for capture in await recent(rig)] == [("spooled", None)] * 2
    await rig.command("resume", what="upload")
    await rig.drained()
    assert await states(rig) == ["uploaded", "uploaded"]


async def test_rejections_retries_and_discards_show(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    rig.cloud.judge = refuse
    await rig.command("capture", count=2, interval_s=0.3, wait="uploaded")
    assert await states(rig) == ["failed", "failed"]
    (last, first) = await recent(rig)
    await rig.command("pause", what="upload")
    assert await rig.command("retry", ids=[first["id"]]) == {"retried": 1}
    assert await states(rig) == ["failed", "spooled"]
    assert await rig.command("discard") == {"discarded": 1}
    assert await states(rig) == ["dropped", "spooled"]
    rig.cloud.judge = None
    await rig.command("resume")
    await rig.drained()
    assert [(each["id"], each["state"]) for each in await recent(rig)] == [
        (last["id"], "dropped"),
        (first["id"], "uploaded"),
    ]


async def test_what_a_full_spool_drops_shows(start: Starter) -> None:
    """The older ones give way; one of a lower priority finds no room and never has an id."""
    image = [("color", b"\xff\xd8\xff" + bytes(300_000), "image/jpeg")]
    rig = await start(
        StillCamera("s1", image),
        StillCamera("low", image),
        sources=[{"name": "s1"}, {"name": "low", "priority": 1}],
        spool={"max_bytes": 2**20},
        upload={"disabled": True},
    )
    await rig.command("capture", sources=["low"])
    await rig.command("capture", sources=["s1"], count=4)
    assert "no room" in (await rig.command("capture", sources=["low"]))["errors"]["low"]
    assert [(capture["id"], capture["state"]) for capture in await recent(rig, "low")] == [
        (None, "dropped"),
        (1, "dropped"),
    ]
    assert await states(rig) == ["spooled", "spooled", "spooled", "dropped"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, ["recent.source: nothing given", "one of s1"]),
        ({"source": "s2"}, ['recent.source: "s2"', "one of s1"]),
        ({"source": "s1", "limit": 101}, ["recent.limit: 101", "from 1 to 100"]),
    ],
)
async def test_a_bad_request_says_what_is_allowed(start: Starter, arguments: dict[str, Any], says: list[str]) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    with pytest.raises(GRPCError) as refusal:
        await rig.command("recent", **arguments)
    assert refusal.value.status is Status.INVALID_ARGUMENT
    for words in says:
        assert words in (refusal.value.message or "")
