from __future__ import annotations

import itertools
import tracemalloc
from collections import Counter
from typing import Any

import pytest

from module.attributes.source import SourceConfig
from module.collection.phases import offsets


def sources(hertz: float, count: int, **more: Any) -> list[SourceConfig]:
    return [SourceConfig.model_construct(id=f"{hertz:g}-{n}", capture_frequency_hz=hertz, **more) for n in range(count)]


@pytest.mark.parametrize(
    "together",
    [
        pytest.param(sources(10, 200), id="none is quick"),
        pytest.param(sources(100, 20), id="all are quick"),
        pytest.param([], id="there are none"),
    ],
)
def test_sources_tick_together(together: list[SourceConfig]) -> None:
    assert offsets(together) == {source.id: 0.0 for source in together}


def test_beside_a_quick_source_few_slow_ones_tick_at_once() -> None:
    quick, slow = sources(100, 2), sources(10, 54)
    found = offsets(quick + slow)
    assert {found[source.id] for source in quick} == {0.0}
    groups = Counter(round(found[source.id], 6) for source in slow)
    assert set(groups.values()) == {6, 7}
    # At ticks of the quick ones, and all within the period.
    assert sorted(groups) == pytest.approx([n * 0.01 for n in range(8)])


def test_neighbours_are_not_polled_at_neighbouring_ticks() -> None:
    """A camera may keep the machine busy for longer than the quick source's period."""
    slow = sources(10, 54)
    found = offsets(sources(100, 1) + slow)
    assert all(abs(found[one.id] - found[other.id]) > 0.019 for one, other in itertools.pairwise(slow))


def test_beside_a_source_that_is_hardly_quicker_they_tick_in_few_groups() -> None:
    found = offsets(sources(30, 1) + sources(20, 10))
    assert set(found.values()) == {0.0}
    found = offsets(sources(50, 1) + sources(10, 500))
    assert sorted({round(each, 6) for each in found.values()}) == [0.0, 0.02, 0.04, 0.06]


def test_an_offset_that_is_set_is_kept() -> None:
    own = sources(5, 1, offset_s=0.15)
    found = offsets(sources(100, 1) + sources(10, 54) + own)
    assert found[own[0].id] == 0.15


def test_a_daily_source_beside_a_quick_one_costs_no_memory() -> None:
    """There are as many groups as ticks of the quick one in the period of the slow one."""
    together = sources(1000, 1) + sources(1 / 3600, 3)
    tracemalloc.start()
    try:
        found = offsets(together)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert list(found.values()) == pytest.approx([0.0, 0.0, 0.002, 0.004])
