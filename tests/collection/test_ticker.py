"""Ticks as they are taken: on the loop's clock, which leaps, and on a wall clock that the test sets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from module.collection import ticker as ticker_module
from module.collection.beat import Beat
from module.collection.kept import KeptOfSource
from module.collection.schedule import ActiveHours, Cron, Periodic
from module.collection.ticker import Schedule, Ticker
from tests.leaping_clock import leap_over_waits

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Wall:
    """A wall clock that runs with the loop's, until it is set."""

    def __init__(self, work: Callable[[float], None]) -> None:
        self.work = work
        """Let so many seconds pass while nothing else can run."""
        self._offset = timedelta()
        self._began = asyncio.get_running_loop().time()

    def __call__(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time() - self._began) + self._offset

    def step(self, **by: float) -> None:
        self._offset += timedelta(**by)


@pytest.fixture(autouse=True)
async def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    clock = Wall(leap_over_waits(asyncio.get_running_loop(), monkeypatch))
    monkeypatch.setattr(ticker_module, "_now", clock)
    return clock


def _ticker(schedule: Schedule, active: ActiveHours | None = None, beat: Beat | None = None) -> Ticker:
    return Ticker(schedule, active, patience_s=1, kept=KeptOfSource(), beat=beat or Beat())


async def _count(ticker: Ticker, seconds: float, work: Callable[[], Coroutine[Any, Any, None]] | None = None) -> int:
    count = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                await ticker.wait()
                count += 1
                if work is not None:
                    await work()
    return count


async def test_periodic_ticks_keep_their_beat() -> None:
    assert await _count(_ticker(Periodic(0.05)), 0.52) in (10, 11)


async def test_a_poll_that_ends_a_little_after_the_next_tick_costs_no_tick() -> None:
    """At 100 Hz an answer after 11 ms would otherwise cost every second tick."""
    ticker = _ticker(Periodic(0.1))
    await ticker.wait()
    first = asyncio.get_running_loop().time()
    await asyncio.sleep(0.11)
    await ticker.wait()
    assert asyncio.get_running_loop().time() == pytest.approx(first + 0.11)
    assert ticker.lateness.milliseconds()["max"] == pytest.approx(10, abs=0.1)
    await ticker.wait()
    assert asyncio.get_running_loop().time() == pytest.approx(first + 0.2)
    assert ticker.kept.missed == 0


async def test_ticks_during_a_poll_are_missed_and_the_beat_stays() -> None:
    ticker = _ticker(Periodic(0.1))
    await ticker.wait()
    first = asyncio.get_running_loop().time()
    await asyncio.sleep(0.28)
    await ticker.wait()
    assert ticker.kept.missed == 2
    assert asyncio.get_running_loop().time() == pytest.approx(first + 0.3)


async def test_without_a_schedule_there_are_no_ticks_until_one_is_set() -> None:
    ticker = _ticker(None)
    assert await _count(ticker, 0.1) == 0
    ticker.set_schedule(Periodic(0.02), "50 Hz")
    assert await _count(ticker, 0.21) in (10, 11)


async def test_a_schedule_that_was_set_ends_with_its_time() -> None:
    ticker = _ticker(Periodic(0.5))
    ticker.set_schedule(Periodic(0.02), "50 Hz", for_s=0.25)
    assert ticker.description == "50 Hz"
    # Ticks lie on whole periods of the clock: one of its own may come in the rest of the time.
    assert await _count(ticker, 0.45) in (12, 13, 14)
    assert ticker.description is None


async def test_a_schedule_that_is_over_is_not_shown_although_nobody_waits_for_its_ticks() -> None:
    """As with a source whose resource is missing."""
    ticker = _ticker(Periodic(1.0))
    ticker.set_schedule(Periodic(0.02), "50 Hz", for_s=10)
    assert ticker.description == "50 Hz"
    await asyncio.sleep(11)
    assert ticker.description is None


async def test_a_new_schedule_takes_effect_at_once() -> None:
    ticker = _ticker(Periodic(3600))
    waiting = asyncio.ensure_future(ticker.wait())
    await asyncio.sleep(0.01)
    ticker.set_schedule(Periodic(0.02), "50 Hz")
    await asyncio.wait_for(waiting, 30)


async def test_a_pause_misses_nothing() -> None:
    ticker = _ticker(Periodic(0.02))
    await ticker.wait()
    ticker.pause()
    assert await _count(ticker, 0.2) == 0
    ticker.resume()
    await ticker.wait()
    assert ticker.kept.missed == 0


async def test_outside_the_active_hours_there_are_no_ticks(wall: Wall) -> None:
    ticker = _ticker(Periodic(0.02), ActiveHours(["13:00-14:00"], "UTC"))
    assert await _count(ticker, 0.1) == 0
    assert ticker.resting
    wall.step(hours=1)
    ticker.resume()
    assert await _count(ticker, 0.11) in (5, 6)
    assert not ticker.resting
    wall.step(hours=1)
    assert await _count(ticker, 0.1) == 0
    assert ticker.kept.missed == 0


async def test_it_rests_outside_the_active_hours_though_no_tick_is_due_for_a_day(wall: Wall) -> None:
    ticker = _ticker(Periodic(86_400), ActiveHours(["11:00-13:00"], "UTC"))
    waiting = asyncio.ensure_future(ticker.wait())
    await asyncio.sleep(0.05)
    assert not ticker.resting
    wall.step(hours=2)
    assert ticker.resting
    waiting.cancel()


async def test_cron_goes_on_from_where_the_clock_is_after_a_step_forward(wall: Wall) -> None:
    """What the step leapt over fires once, and is neither made up for nor counted as missed."""
    ticker = _ticker(Cron("* * * * * *", "UTC"))
    await ticker.wait()
    wall.step(hours=1)
    assert await _count(ticker, 2.5) in (2, 3, 4)
    assert ticker.kept.missed <= 1


async def test_cron_goes_on_from_where_the_clock_is_after_a_step_back(wall: Wall) -> None:
    ticker = _ticker(Cron("* * * * * *", "UTC"))
    await ticker.wait()
    wall.step(hours=-1)
    assert await _count(ticker, 2.5) in (2, 3)


@pytest.mark.parametrize("hours", [24 * 365 * 56, -1])
async def test_lateness_of_cron_does_not_jump_with_the_clock(wall: Wall, hours: float) -> None:
    """As when a board that began in 1970 has its clock set."""
    ticker = _ticker(Cron("* * * * * *", "UTC"))
    await ticker.wait()
    waiting = asyncio.ensure_future(ticker.wait())
    await asyncio.sleep(0.05)
    wall.step(hours=hours)
    await waiting
    assert ticker.lateness.milliseconds()["max"] < 3_600_000


async def test_cron_that_waits_for_long_notices_a_step_of_the_clock(wall: Wall) -> None:
    ticker = _ticker(Cron("0 0 13 * * *", "UTC"))
    waiting = asyncio.ensure_future(ticker.wait())
    await asyncio.sleep(0.05)
    wall.step(minutes=59, seconds=58.5)
    await asyncio.wait_for(waiting, 3.5)


async def test_cron_ticks_during_a_poll_are_missed() -> None:
    ticker = _ticker(Cron("* * * * * *", "UTC"))
    await ticker.wait()
    await asyncio.sleep(2.2)
    await ticker.wait()
    assert ticker.kept.missed == 2


async def test_lateness_is_in_milliseconds(wall: Wall) -> None:
    """Of ticks that come while the loop is held up."""
    ticker = _ticker(Periodic(0.02))
    await _count(ticker, 0.2)
    assert ticker.lateness.milliseconds() == {"p50": 0, "p99": 0, "max": 0}
    waiting = asyncio.ensure_future(ticker.wait())
    await asyncio.sleep(0)
    wall.work(0.027)
    await waiting
    late = ticker.lateness.milliseconds()
    assert late["p50"] == 0
    assert 7 <= late["p99"] == late["max"] <= 27
