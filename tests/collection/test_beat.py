"""Sources that tick together: who is woken in one turn of the event loop."""

from __future__ import annotations

import asyncio
import itertools
import math

import pytest

from module.collection.beat import MOST_AT_ONCE, Beat
from module.collection.kept import KeptOfSource
from module.collection.schedule import Periodic
from module.collection.ticker import Schedule, Ticker
from tests.leaping_clock import leap_over_waits


@pytest.fixture(autouse=True)
async def leaping(monkeypatch: pytest.MonkeyPatch) -> None:
    leap_over_waits(asyncio.get_running_loop(), monkeypatch)


def _tickers(*schedules: Schedule) -> list[Ticker]:
    beat = Beat()
    return [Ticker(schedule, None, patience_s=1, kept=KeptOfSource(), beat=beat) for schedule in schedules]


async def _ticks(tickers: list[Ticker], seconds: float) -> list[tuple[float, int]]:
    """When which ticker ticked; the clock stands still within one wake-up."""
    loop = asyncio.get_running_loop()
    taken: list[tuple[float, int]] = []

    async def take(number: int, ticker: Ticker) -> None:
        # Not at the same moment, as sources of a machine do not begin at once.
        await asyncio.sleep(0.037 * number)
        while True:
            await ticker.wait()
            taken.append((loop.time(), number))

    tasks = [asyncio.create_task(take(number, ticker)) for number, ticker in enumerate(tickers)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    return taken


def _together(taken: list[tuple[float, int]]) -> list[set[int]]:
    """Which tickers ticked at the same time, time by time."""
    by_time: dict[float, set[int]] = {}
    for at, number in taken:
        by_time.setdefault(at, set()).add(number)
    return list(by_time.values())


async def test_equal_periods_tick_together() -> None:
    taken = await _ticks(_tickers(*[Periodic(0.1)] * 5), 2)
    assert _together(taken)[2:] == [{0, 1, 2, 3, 4}] * len(_together(taken)[2:])
    assert len(taken) > 90


async def test_a_multiple_of_a_period_ticks_with_it() -> None:
    """However its seconds are rounded: 1/30 and 1/10 are no multiples to the last bit."""
    taken = await _ticks(_tickers(Periodic(1 / 30), Periodic(1 / 10), Periodic(1)), 10)
    groups = _together(taken)
    assert all(0 in group for group in groups if 1 in group or 2 in group)
    assert sum(1 in group for group in groups) in (99, 100)
    assert sum(2 in group for group in groups) in (9, 10)


async def test_what_is_due_in_one_millisecond_is_woken_once() -> None:
    loop = asyncio.get_running_loop()
    beat, woken = Beat(), []
    start = round(loop.time()) + 10

    async def wait(due: float) -> None:
        sleeper = loop.create_future()
        beat.wake_at(start + due, sleeper)
        await sleeper
        woken.append((due, round(loop.time() - start, 4)))

    await asyncio.gather(*(wait(due) for due in (0.0002, 0.0009, 0.001, 0.0012)))
    assert woken == [(0.0002, 0.001), (0.0009, 0.001), (0.001, 0.001), (0.0012, 0.002)]


async def test_an_offset_spreads_a_source_from_the_others() -> None:
    taken = await _ticks(_tickers(Periodic(0.1), Periodic(0.1, 0.04), Periodic(0.1, 0.14)), 2)
    assert {0} in _together(taken)
    assert {1, 2} in _together(taken)
    assert not any(0 in group and len(group) > 1 for group in _together(taken))


async def test_a_schedule_that_a_command_sets_keeps_in_step() -> None:
    tickers = _tickers(Periodic(0.1), Periodic(0.35))
    taking = asyncio.create_task(_ticks(tickers, 4))
    await asyncio.sleep(2.013)
    tickers[1].set_schedule(Periodic(0.2), "5 Hz")
    taken = [tick for tick in await taking if tick[0] > asyncio.get_running_loop().time() - 1.9]
    assert {group == {0, 1} for group in _together(taken) if 1 in group} == {True}


async def test_what_is_forgotten_leaves_no_timer_behind() -> None:
    loop = asyncio.get_running_loop()
    beat, sleeper = Beat(), loop.create_future()
    began = loop.time()
    beat.forget(beat.wake_at(began + 1000, sleeper), sleeper)
    await asyncio.sleep(1)
    assert loop.time() == pytest.approx(began + 1)
    assert not sleeper.done()
    again = loop.create_future()
    beat.wake_at(began + 1000, again)
    assert await again
    assert not sleeper.done()


async def test_hundreds_are_woken_in_portions_so_that_others_get_their_turn() -> None:
    loop = asyncio.get_running_loop()
    beat, due = Beat(), math.ceil(loop.time()) + 1.0
    sleepers = [loop.create_future() for _ in range(10 * MOST_AT_ONCE + 1)]
    for sleeper in sleepers:
        beat.wake_at(due, sleeper)
    woken_by_turn: list[int] = []

    def look() -> None:
        woken_by_turn.append(sum(sleeper.done() for sleeper in sleepers))
        if woken_by_turn[-1] < len(sleepers):
            loop.call_soon(look)

    loop.call_at(due, look)
    await asyncio.gather(*sleepers)
    assert max(later - before for before, later in itertools.pairwise(woken_by_turn)) == MOST_AT_ONCE
    assert [sleeper.result() for sleeper in sleepers] == [True] * len(sleepers)


async def test_one_that_is_woken_otherwise_while_it_waits_for_its_portion_stays_as_it_is() -> None:
    loop = asyncio.get_running_loop()
    beat, due = Beat(), loop.time() + 1
    sleepers = [loop.create_future() for _ in range(2 * MOST_AT_ONCE)]
    slot = [beat.wake_at(due, sleeper) for sleeper in sleepers][-1]
    await sleepers[0]
    sleepers[-1].set_result(False)
    beat.forget(slot, sleepers[-1])
    assert await asyncio.gather(*sleepers) == [True] * (len(sleepers) - 1) + [False]


async def test_of_those_due_together_the_shortest_period_is_woken_first() -> None:
    """It has begun to wait last, and its next tick comes soonest."""
    loop = asyncio.get_running_loop()
    beat, due = Beat(), math.ceil(loop.time()) + 1.0
    woken: list[str] = []
    for name, period_s in (("a", 1.0), ("b", 1.0), ("cron", math.inf), ("quick", 0.01), ("c", 1.0)):
        sleeper = loop.create_future()
        sleeper.add_done_callback(lambda _, name=name: woken.append(name))  # type: ignore[misc]
        beat.wake_at(due, sleeper, period_s)
    await asyncio.sleep(2)
    assert woken == ["quick", "a", "b", "c", "cron"]
