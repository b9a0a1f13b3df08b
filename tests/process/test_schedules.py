"""Schedules as the machine sees them, and every row that they make in the cloud."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from typing import Any

import pytest
from grpclib.protocol import H2Protocol

from tests.process.rig import Beside, CountingSensor, Starter


@pytest.fixture
def start(start_in_one_process: Starter) -> Starter:
    return start_in_one_process


async def test_twenty_hertz_for_ten_seconds_keep_their_beat_and_every_row(start: Starter) -> None:
    """No row missing, none twice; the median gap between polls is within 2 ms of 50 ms."""
    sensor = CountingSensor("s1")
    rig = await start(sensor, sources=[{"name": "s1", "capture_frequency_hz": 20}])
    async with Beside() as beside:
        await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 200, 60)
    status = await rig.drained()
    source = status["sources"]["s1"]
    assert rig.numbers("s1") == list(range(1, int(source["captured"]) + 1))
    gaps = [later - earlier for earlier, later in itertools.pairwise(sensor.polls)]
    assert abs(statistics.median(gaps) - 0.05) < 0.002 + beside.typical_late_s
    assert source["missed"] + source["captured"] >= 200


async def test_a_cron_of_every_second_fires_each_second(start: Starter) -> None:
    sensor = CountingSensor("s1")
    rig = await start(sensor, sources=[{"name": "s1", "cron": "* * * * * *"}])
    async with Beside(rig) as beside, asyncio.timeout(30):
        while len(sensor.polls) < 5:
            await asyncio.sleep(0.02)
    gaps = [later - earlier for earlier, later in itertools.pairwise(sensor.polls)]
    assert all(abs(gap - 1) < 0.2 + beside.late_s for gap in gaps), gaps


async def test_an_interval_and_its_own_id_make_two_sources_of_one_resource(start: Starter) -> None:
    sensor = CountingSensor("s1")
    sources = [{"name": "s1", "interval_s": 0.1}, {"name": "s1", "id": "slow", "interval_s": 0.4}]
    rig = await start(sensor, sources=sources)

    def ticks(status: dict[str, Any], key: str) -> int:
        return int(status["sources"][key]["captured"] + status["sources"][key]["missed"])

    # What is under way or not on the disk yet is in no count, so on a busy computer one of them may be behind.
    status = await rig.until(
        lambda status: ticks(status, "slow") >= 4 and 2.5 < ticks(status, "s1") / ticks(status, "slow") < 5.5
    )
    assert status["sources"]["slow"]["schedule"] == "every 0.4 s"


async def test_a_poll_that_takes_longer_than_the_period_misses_ticks_and_says_so(start: Starter) -> None:
    sensor = CountingSensor("s1")
    rig = await start(sensor, sources=[{"name": "s1", "capture_frequency_hz": 20}])
    await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 2)
    # The status lacks what was missed since the last poll's tick, and that came after the poll before had ended.
    begun = sensor.polls[-2]
    before = (await rig.status())["sources"]["s1"]["missed"]
    sensor.hang.clear()
    await asyncio.sleep(0.5)
    sensor.hang.set()
    status = await rig.until(lambda status: status["sources"]["s1"]["missed"] >= before + 5)
    assert status["sources"]["s1"]["missed"] - before <= (time.monotonic() - begun) / 0.05 + 1


async def test_a_resource_that_hangs_times_out_and_holds_nobody_up(start: Starter) -> None:
    hanging, healthy = CountingSensor("hanging"), CountingSensor("healthy")
    hanging.hang.clear()
    sources = [
        {"name": "hanging", "interval_s": 0.1, "timeout_s": 0.3},
        {"name": "healthy", "capture_frequency_hz": 20},
    ]
    rig = await start(hanging, healthy, sources=sources)
    status = await rig.until(lambda status: status["sources"]["hanging"]["errors"] >= 2)
    assert status["sources"]["hanging"]["last_error"] == "hanging: no answer to Readings within 0.3 s"
    # If each waited for the other, they would be polled equally often.
    await rig.until(lambda _: len(healthy.polls) > 2 * len(hanging.polls))
    hanging.hang.set()
    await rig.until(lambda status: status["sources"]["hanging"]["last_error"] is None)


async def test_polls_of_twenty_sources_leave_together(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is woken twice a tick, not once a poll: it reads the requests, then that all answers have come."""
    reads = 0
    read = H2Protocol.data_received

    def counted(connection: H2Protocol, data: bytes) -> None:
        nonlocal reads
        reads += 1
        read(connection, data)

    sensors = [CountingSensor(f"s{number}") for number in range(20)]
    rig = await start(*sensors, sources=[{"name": sensor.name, "capture_frequency_hz": 10} for sensor in sensors])
    await rig.until(lambda status: status["sources"]["s19"]["captured"] >= 3)
    before = sum(len(sensor.polls) for sensor in sensors)
    monkeypatch.setattr(H2Protocol, "data_received", counted)
    await asyncio.sleep(2)
    polls = sum(len(sensor.polls) for sensor in sensors) - before
    assert polls > 20
    # One by one each poll would be a read, and often two. A busy computer reads some answers in pieces, and says so.
    assert reads <= 0.7 * polls + 5


async def test_an_offset_moves_a_source_within_its_period(start: Starter) -> None:
    plain, moved = CountingSensor("plain"), CountingSensor("moved")
    sources = [
        {"name": "plain", "interval_s": 0.4},
        {"name": "moved", "interval_s": 0.4, "offset_s": 0.2},
    ]
    rig = await start(plain, moved, sources=sources)
    await rig.until(lambda status: status["sources"]["moved"]["captured"] >= 9)
    # Medians, as a loaded computer is late now and then. Both processes have one monotonic clock.
    assert statistics.median(at % 0.4 for at in plain.polls) < 0.2
    assert statistics.median(at % 0.4 for at in moved.polls) > 0.2
