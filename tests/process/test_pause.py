"""The commands ``pause``, ``resume`` and ``flush``, through a real module process."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import pytest

from module.local.calls import Call, Refusal
from tests.process.rig import CountingSensor, Starter


@pytest.fixture
def start(start_in_one_process: Starter) -> Starter:
    return start_in_one_process


async def test_pause_and_resume_of_captures_and_of_uploads(start: Starter) -> None:
    sources = [{"name": "s1", "interval_s": 0.05}, {"name": "s2", "interval_s": 0.05}]
    s1 = CountingSensor("s1")
    rig = await start(s1, CountingSensor("s2"), sources=sources)
    assert await rig.command("pause", what="capture", sources=["s1"]) == {"paused": ["s1"]}

    def paused(source: dict[str, Any]) -> bool:
        # A poll counts once its row is on the disk.
        return bool(source["state"] == "paused" and source["captured"] + source["errors"] == len(s1.polls))

    before = (await rig.until(lambda status: paused(status["sources"]["s1"])))["sources"]
    after = (await rig.until(lambda status: status["sources"]["s2"]["captured"] > before["s2"]["captured"] + 3))[
        "sources"
    ]
    assert after["s1"]["captured"] <= before["s1"]["captured"] + 1
    # Before the pause, a busy computer may have missed some.
    assert after["s1"]["missed"] == before["s1"]["missed"]
    assert await rig.command("pause", what="upload") == {"paused": ["s1", "upload"]}
    status = await rig.until(lambda status: status["spool"]["items"] > 5)
    assert status["upload"]["state"] == "paused"
    assert await rig.command("resume") == {"paused": []}
    await rig.until(
        lambda status: status["upload"]["state"] != "paused" and status["sources"]["s1"]["state"] == "active"
    )
    await rig.drained()


async def test_pause_waits_for_the_poll_that_is_under_way(start: Starter) -> None:
    """So that nothing is captured after its answer, and a sensor's count has no gap; but a second at most."""
    sensor = CountingSensor("s1")
    rig = await start(sensor, sources=[{"name": "s1", "interval_s": 0.05, "timeout_s": 20}])
    await rig.cloud.wait_for(lambda: len(rig.numbers("s1")) > 2, 10)
    async with asyncio.timeout(60):
        took_s = 1.0
        # On a busy computer the poll may end after the pause's second: then once more.
        while took_s >= 0.9:
            await rig.command("resume")
            sensor.hang.clear()
            asked = len(sensor.polls)
            await rig.until(lambda _, asked=asked: len(sensor.polls) > asked)  # type: ignore[misc]
            asyncio.get_running_loop().call_later(0.5, sensor.hang.set)
            began = time.monotonic()
            await rig.command("pause", what="capture")
            took_s = time.monotonic() - began
    assert took_s > 0.3
    await rig.command("flush", timeout_s=10)
    assert rig.numbers("s1") == list(range(1, len(sensor.polls) + 1))
    assert (await rig.status())["sources"]["s1"]["captured"] == len(sensor.polls)

    await rig.command("resume")
    sensor.hang.clear()
    asked = len(sensor.polls)
    await rig.until(lambda _: len(sensor.polls) > asked)
    began = time.monotonic()
    assert await rig.command("pause", what="capture") == {"paused": ["s1"]}
    # The poll itself may take 20 s.
    assert 0.9 < time.monotonic() - began < 15
    sensor.hang.set()


async def test_flush_sets_batch_wait_and_backoff_aside(start: Starter) -> None:
    rig = await start(
        CountingSensor("s1"),
        sources=[{"name": "s1"}],
        upload={"batch_wait_s": 3600, "retry_initial_s": 100, "retry_max_s": 100},
    )
    await rig.cloud.stop()
    await rig.command("capture", count=3)
    assert (await rig.command("flush", timeout_s=0.5))["remaining_items"] == 3
    await rig.cloud.start()
    assert await rig.command("flush", timeout_s=10) == {"remaining_items": 0, "remaining_bytes": 0}
    assert rig.numbers("s1") == [1, 2, 3]


async def test_flush_returns_at_once_while_uploads_are_paused(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    await rig.command("pause", what="upload")
    await rig.command("capture")
    began = time.monotonic()
    assert (await rig.command("flush", timeout_s=30))["remaining_items"] == 1
    assert time.monotonic() - began < 20


async def test_flush_returns_once_what_was_captured_before_is_delivered_while_captures_go_on(start: Starter) -> None:
    """At 50 Hz the spool is never empty; the flush does not last longer for it, nor do its bounds hang on the clock."""
    rig = await start(
        CountingSensor("s1"), sources=[{"name": "s1", "capture_frequency_hz": 50}], upload={"batch_wait_s": 3600}
    )
    for _ in range(5):
        captured = (await rig.until(lambda status: status["spool"]["items"] > 5))["sources"]["s1"]["captured"]
        assert await rig.command("flush", timeout_s=60) == {"remaining_items": 0, "remaining_bytes": 0}
        assert len(rig.numbers("s1")) >= captured
        # What has come since gathers again: the flush is over.
        await rig.until(lambda status: status["spool"]["items"] > 0)


async def test_flush_counts_what_is_left_of_what_was_captured_before(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}, {"name": "s1", "id": "fast", "interval_s": 0.02}])
    await rig.drained()
    await rig.cloud.stop()
    await rig.command("capture", sources=["s1"], count=3)
    waiting = (await rig.until(lambda status: status["upload"]["state"] == "offline"))["spool"]
    # They are carried out in this order: what comes after the resume was not captured before the flush.
    flush = asyncio.create_task(rig.command("flush", timeout_s=1))
    await asyncio.gather(flush, rig.command("resume", what="capture", sources=["fast"]))
    answer = flush.result()
    assert (answer["remaining_items"], answer["remaining_bytes"]) == (3, waiting["bytes"])
    assert answer["reason"].startswith("offline: ")
    await rig.until(lambda status: status["spool"]["items"] > 3)


async def test_a_rejected_capture_ends_a_flush(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])

    async def refuse(_: Call) -> None:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "no such thing")

    rig.cloud.judge = refuse
    await rig.command("capture")
    assert await rig.command("flush", timeout_s=30) == {"remaining_items": 0, "remaining_bytes": 0}
    assert (await rig.status())["spool"]["failed"] == 1
