"""How many uploads run at once, on roads that the tests make up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from module.delivery.concurrency import Concurrency

SIZE = 100_000


def drive(concurrency: Concurrency, rate: Callable[[int], float], seconds: float, now: float = 0.0) -> float:
    """Let uploads end at the rate that a road gives so many at once; gives the time."""
    until = now + seconds
    while now < until:
        now += 1 / rate(concurrency.number)
        concurrency.ended(now, SIZE, others_wait=True)
    return now


def test_a_long_road_takes_as_many_as_bring_more() -> None:
    """At 50 ms each, and a thousand a second at most."""
    concurrency = Concurrency(8, 64)
    drive(concurrency, lambda number: min(1000, number / 0.05), 3)
    assert concurrency.number == 64


def test_it_gets_there_soon() -> None:
    concurrency = Concurrency(8, 64)
    drive(concurrency, lambda number: number / 0.05, 0.3)
    assert concurrency.number == 64


def test_a_narrow_road_stays_at_what_it_began_with() -> None:
    """Where more uploads only wait for each other, one try in a while is all."""
    concurrency = Concurrency(8, 64)
    tried: list[int] = []

    def rate(number: int) -> float:
        tried.append(number)
        return 20

    drive(concurrency, rate, 60)
    assert concurrency.number == 8
    assert set(tried) == {8, 32}
    assert tried.count(32) < len(tried) / 5


def test_a_road_that_opens_up_is_found_out() -> None:
    concurrency = Concurrency(8, 64)
    now = drive(concurrency, lambda _: 100, 5)
    assert concurrency.number == 8
    drive(concurrency, lambda number: number / 0.05, 30, now)
    assert concurrency.number == 64


def test_uploads_that_nobody_waits_behind_tell_nothing() -> None:
    concurrency = Concurrency(8, 64)
    for number in range(1000):
        concurrency.ended(number / 10, SIZE, others_wait=number % 5 > 0)
    assert concurrency.number == 8


@pytest.mark.parametrize("number", [1, 8, 100])
def test_what_is_set_is_kept(number: int) -> None:
    concurrency = Concurrency(number, number)
    drive(concurrency, lambda at_once: at_once / 0.05, 5)
    assert concurrency.number == number


def test_after_an_outage_it_begins_again() -> None:
    concurrency = Concurrency(8, 64)
    drive(concurrency, lambda number: number / 0.05, 1)
    concurrency.reset()
    assert concurrency.number == 8
