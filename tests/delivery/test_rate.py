"""How many bytes a second are sent."""

from __future__ import annotations

import tracemalloc

import pytest

from module.delivery.rate import Rate


def test_the_rate_is_the_mean_of_the_last_ten_seconds() -> None:
    rate = Rate()
    assert rate.per_s(100.0) == 0
    for tenth in range(100):
        rate.note(100 + tenth / 10, 50)
    assert rate.per_s(109.9) == 500
    assert rate.per_s(114.9) == 250
    assert rate.per_s(120.0) == 0


def test_a_gap_is_no_part_of_the_rate() -> None:
    rate = Rate()
    rate.note(1.0, 1000)
    rate.note(50.0, 30)
    assert rate.per_s(50.5) == pytest.approx(3)


def test_a_rate_that_nobody_reads_does_not_grow() -> None:
    rate = Rate()
    for number in range(1000):
        rate.note(number / 10, 50)
    tracemalloc.start()
    try:
        for number in range(1000, 50_000):
            rate.note(number / 10, 50)
        assert tracemalloc.get_traced_memory()[0] < 10_000
    finally:
        tracemalloc.stop()
