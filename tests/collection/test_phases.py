from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest

from module.attributes.source import SourceConfig
from module.collection.phases import MOST_TOGETHER, offsets


def sources(hertz: float, count: int, **more: Any) -> list[SourceConfig]:
    return [SourceConfig.model_construct(id=f"{hertz:g}-{n}", capture_frequency_hz=hertz, **more) for n in range(count)]


@pytest.mark.parametrize(
    "together",
    [
        pytest.param(sources(10, 200), id="none is quick"),
        pytest.param(sources(100, 20), id="all are quick"),
        pytest.param(sources(100, 2) + sources(10, MOST_TOGETHER), id="few are slow"),
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
    assert max(groups.values()) <= MOST_TOGETHER
    # At ticks of the quick ones, and all within the period.
    assert sorted(groups) == pytest.approx([n * 0.01 for n in range(7)])


def test_neighbours_are_in_different_groups() -> None:
    slow = sources(10, 54)
    found = offsets(sources(100, 1) + slow)
    assert all(found[one.id] != found[other.id] for one, other in itertools.pairwise(slow))


def test_more_than_fit_are_in_larger_groups() -> None:
    slow = sources(10, 500)
    found = offsets(sources(50, 1) + slow)
    assert max(found.values()) < 0.1
    assert len({found[source.id] for source in slow}) == 4


def test_an_offset_that_is_set_is_kept() -> None:
    own = sources(5, 1, offset_s=0.15)
    found = offsets(sources(100, 1) + sources(10, 54) + own)
    assert found[own[0].id] == 0.15
