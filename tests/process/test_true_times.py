"""A board without a clock of its own, through a real module process whose wall clock is set by the test."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from module.clock.machine_clock import NOT_SET_TAG
from module.demo.cloud import Arrival, LocalCloud, UploadMethod
from tests.faults.machine import COMPILER, Clock
from tests.process.rig import KEY, KEY_ID, PART, CountingSensor, Rig, StillCamera

IN_1970 = 60 - int(time.time())
"""Seconds: the clock of a board that started a minute ago."""
NEAR_US = 50_000
JPEG = [("color", b"\xff\xd8\xff" + bytes(100), "image/jpeg")]


class TruthfulSensor(CountingSensor):
    """Says what time it really is; this process has the true clock."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked_us: list[int] = []

    async def get_readings(self, **more: Any) -> Mapping[str, Any]:
        self.asked_us.append(time.time_ns() // 1000)
        return {**await super().get_readings(**more), "truth_us": self.asked_us[-1]}


class TruthfulCamera(StillCamera):
    """Remembers when it was really asked."""

    def __init__(self, name: str) -> None:
        super().__init__(name, JPEG)
        self.asked_us: list[int] = []

    async def get_images(self, **more: Any) -> Any:
        self.asked_us.append(time.time_ns() // 1000)
        return await super().get_images(**more)


def spans(arrivals: list[Arrival]) -> list[tuple[int, int, int | None]]:
    """When each capture was asked for and received, and when that really was if it says so."""
    found: list[tuple[int, int, int | None]] = []
    for arrival in arrivals:
        if arrival.sensor_metadata is not None:
            times = arrival.sensor_metadata
            found.append((times.time_requested.ToMicroseconds(), times.time_received.ToMicroseconds(), None))
        for row in arrival.rows:
            times, values = row.metadata, row.struct.fields["readings"].struct_value.fields
            truth_us = int(values["truth_us"].number_value)
            found.append((times.time_requested.ToMicroseconds(), times.time_received.ToMicroseconds(), truth_us))
    return found


def check_captures(rig: Rig, camera: TruthfulCamera) -> None:
    """Fail unless every capture that has arrived has its true time."""
    rows, frames = spans(rig.arrivals(UploadMethod.TABULAR)), spans(rig.arrivals(UploadMethod.BINARY))
    assert len(rows) >= 30
    for requested_us, received_us, truth_us in rows:
        assert truth_us is not None
        assert requested_us - NEAR_US <= truth_us <= received_us + NEAR_US
    for requested_us, received_us, _ in frames:
        assert any(requested_us - NEAR_US <= us <= received_us + NEAR_US for us in camera.asked_us)


async def check_a_boot_that_is_never_set(rig: Rig, sources: list[dict[str, Any]]) -> None:
    """Fail unless what it captures arrives as it is, with the tag."""
    rig.cloud.arrivals.clear()
    await rig.server.restart()
    await rig.server.reconfigure_resource("uploader", rig.attributes(sources=sources, upload={"clock_wait_s": 1}))
    await rig.command("resume")
    await rig.cloud.wait_for(lambda: bool(rig.cloud.arrivals), 30)
    assert all(list(arrival.metadata.tags) == [NOT_SET_TAG] for arrival in rig.cloud.arrivals)
    assert all(requested_us < 1e15 for requested_us, _, _ in spans(rig.cloud.arrivals))


@pytest.mark.skipif(COMPILER is None, reason="the clock is C, and there is no cc to compile it")
async def test_what_a_board_captured_before_its_clock_was_set_arrives_with_its_true_time(tmp_path: Path) -> None:
    """It boots in 1970; the clock is set, killed over, set once more by 5 s; a second boot is never set.

    A poll is asked for before the resource has the question, and received after it: what that says of the true time
    holds however slow the machine is.
    """
    clock, boot = Clock(tmp_path / "clock"), tmp_path / "boot"
    clock.jump(IN_1970)
    boot.write_text("the first boot\n")
    sensor, camera = TruthfulSensor("s1"), TruthfulCamera("c1")
    cloud = LocalCloud(None, api_keys={KEY_ID: KEY}, part_ids={PART}, keep_payloads=True, record_messages=True)
    rig = Rig(tmp_path, [sensor, camera], cloud, await cloud.start(), environ={**clock.environ, "BOOT_ID": str(boot)})
    sources = [{"name": "s1", "interval_s": 0.1}, {"name": "c1", "interval_s": 0.2}]
    try:
        async with rig.server:
            await rig.configure(sources=sources, upload={"clock_wait_s": 120})
            status = await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 20)
            assert status["clock"]["state"] == "not_set"
            assert status["upload"]["state"] == "resting"
            assert "clock is not set, it says 1970-" in status["upload"]["reason"]
            assert status["sources"]["s1"]["last_capture"].startswith("1970-")
            before_us = time.time_ns() // 1000
            sequence = (await rig.command("start_sequence", tags=["q"]))["id"]
            after_us = time.time_ns() // 1000
            await rig.server.kill()
            await rig.server.restart()
            await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 5, 30)
            clock.jump(-IN_1970 - 5)
            await rig.until(lambda status: status["clock"]["state"] == "stepped")
            await rig.server.kill()
            await rig.server.restart()
            status = await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 5, 30)
            assert "must stand for 10 s" in status["upload"]["reason"]
            clock.jump(5)
            await rig.command("stop_sequence", id=sequence)
            ended_us = time.time_ns() // 1000
            status = await rig.until(lambda status: status["upload"]["uploaded_items"] > 0, 60)
            assert (status["clock"]["state"], round(status["clock"]["by_s"])) == ("stepped", 5)
            assert status["sources"]["s1"]["lateness_ms"]["max"] < 1e6
            await rig.drained(30)
            await cloud.wait_for(lambda: bool(cloud.sequences), 30)
            check_captures(rig, camera)
            request = cloud.sequences[0].request
            assert before_us - NEAR_US <= request.start_time.ToMicroseconds() <= after_us + NEAR_US
            assert request.end_time.ToMicroseconds() <= ended_us + NEAR_US
            assert not any(NOT_SET_TAG in arrival.metadata.tags for arrival in cloud.arrivals)
            await rig.server.kill()
            clock.jump(IN_1970)
            boot.write_text("the second boot\n")
            await check_a_boot_that_is_never_set(rig, sources)
    finally:
        await cloud.stop()
