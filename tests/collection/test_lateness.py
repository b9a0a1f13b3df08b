"""How late ticks are taken, as the status says it."""

from __future__ import annotations

import pytest

from module.collection.lateness import SAMPLES, Lateness


def test_before_the_first_tick_nothing_is_late() -> None:
    assert Lateness().milliseconds() == {"p50": 0.0, "p99": 0.0, "max": 0.0}


def test_the_percentiles_are_of_the_last_thousand_and_the_worst_is_of_all() -> None:
    lateness = Lateness()
    lateness.note(2.0)
    for number in range(3 * SAMPLES):
        lateness.note(number % SAMPLES / 1e6)
    found = lateness.milliseconds()
    assert found == {"p50": pytest.approx(0.5), "p99": pytest.approx(0.99), "max": 2000.0}


def test_a_source_holds_four_kilobytes_of_it_at_most() -> None:
    """Five hundred sources tick for years."""
    lateness = Lateness()
    for _ in range(5 * SAMPLES):
        lateness.note(0.001)
    assert lateness._last.itemsize * len(lateness._last) == 4 * SAMPLES
