from __future__ import annotations

import pytest

from benchmarks.figures import Results, Spread, percentile


def _results() -> Results:
    results = Results()
    for ours, theirs in ((10.0, 5.0), (30.0, 10.0), (12.0, 12.0)):
        results.add("drain", "ours", "rate", "rows/s", ours)
        results.add("drain", "theirs", "rate", "rows/s", theirs)
    return results


def test_a_spread_is_the_median_the_least_and_the_most() -> None:
    assert Spread.of([3.0, 9.0, 1.0]) == Spread(3.0, 1.0, 9.0)


def test_a_ratio_is_made_round_by_round() -> None:
    """What slowed both in one round must not show: the ratio of the medians would be 1.2."""
    assert _results().ratios("drain", "rate", "ours", "theirs") == [2.0, 3.0, 1.0]


def test_a_ratio_to_what_was_not_measured_is_none() -> None:
    assert _results().ratios("drain", "rate", "ours", "nobody") == []


def test_rounds_of_a_figure_stand_together_in_the_order_of_their_beginning() -> None:
    series = _results().of("drain")
    assert [(each.subject, each.values) for each in series] == [
        ("ours", [10.0, 30.0, 12.0]),
        ("theirs", [5.0, 10.0, 12.0]),
    ]


def test_a_run_of_some_cases_keeps_the_others() -> None:
    """`--only` replaces what it measured, and nothing else."""
    earlier = _results()
    earlier.add("files", "ours", "rate", "MB/s", 1.0)
    now = Results()
    now.add("drain", "ours", "rate", "rows/s", 99.0)
    now.take(earlier.as_json())
    assert now.values("drain", "ours", "rate") == [99.0]
    assert now.values("drain", "theirs", "rate") == []
    assert now.values("files", "ours", "rate") == [1.0]
    assert now.cases() == ["drain", "files"]


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 51), (0.99, 100), (1.0, 100)])
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert percentile([*range(100, 0, -1)], share) == value
