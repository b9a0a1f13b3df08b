from __future__ import annotations

import math

from benchmarks.fleet.figures import Act, act, peak, quantile, rates


def test_rates_are_events_a_second_of_whole_buckets() -> None:
    """An event on an edge belongs to the bucket that begins there; what is in half a bucket is left out."""
    moments = [9.9, 10.0, 10.5, 11.0, 12.0, 13.2]
    assert rates(moments, 10.0, 13.5) == [2.0, 1.0, 1.0]
    assert rates(moments, 10.0, 11.0, 0.5) == [2.0, 2.0]
    assert rates([], 0.0, 2.0) == [0.0, 0.0]


def test_a_peak_is_found_wherever_its_second_begins() -> None:
    """Buckets of a second would cut this one in halves."""
    moments = [10.6, 10.7, 10.8, 11.1, 11.2, 13.0]
    assert max(rates(moments, 10.0, 14.0)) == 3.0
    assert peak(moments, 10.0, 14.0) == 5.0
    assert peak(moments, 12.0, 14.0) == 1.0
    assert peak(moments, 10.0, 14.0, 0.25) == 12.0
    assert peak([], 10.0, 14.0) == 0.0


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0], 1.0) == 3.0
    assert math.isnan(quantile([], 0.5))


def _act(**given: list[float]) -> Act:
    times = {name: given.get(name, []) for name in ("connections", "authentications", "requests", "refused")}
    return act(
        "an outage",
        (100.0, 160.0, 190.0),
        steady=2.0,
        times=times,
        attempts=given.get("attempts", []),
        back=given.get("back", []),
        drained=given.get("drained", []),
    )


def test_an_act_counts_from_the_cloud_s_return_to_its_own_end() -> None:
    figures = _act(
        requests=[150.0, 160.0, 160.5, *[161.0 + n / 100 for n in range(11)], 191.0],
        authentications=[159.9, 165.0, 165.1, 190.0],
        refused=[159.0, 161.0],
    )
    assert (figures.outage_s, figures.peak, figures.above_s) == (60, 12.0, 1)
    assert (figures.authentications, figures.authentications_peak, figures.refused) == (2, 2.0, 1)


def test_tries_count_once_the_first_seconds_of_an_outage_are_over() -> None:
    """In them the backoff is short."""
    assert _act(attempts=[101.0, 104.9, *[105.0 + n / 2 for n in range(110)], 160.0]).away == 2.0


def test_who_has_nothing_to_drain_has_drained_and_who_never_does_is_named() -> None:
    figures = _act(drained=[159.9, 163.0, 170.0, 0.0, 191.0], back=[161.0, 162.0, 163.0, 0.0, 189.0])
    assert figures.drained == (3.0, 10.0)
    assert figures.left == 2
    assert figures.back == (3.0, 29.0)
    assert _act(drained=[159.9]).drained == (0.0, 0.0)
