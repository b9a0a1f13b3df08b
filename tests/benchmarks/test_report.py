from __future__ import annotations

import pytest

from benchmarks.explanations import Explanation
from benchmarks.figures import Results
from benchmarks.promises import PROMISES, Bound, Promise
from benchmarks.report import Taken, number, page

_TAKEN = {"drain": Taken("2026-01-02T03:04Z", "quick", 0.5)}


def _results() -> Results:
    results = Results()
    for ours, theirs in ((200.0, 100.0), (330.0, 110.0), (120.0, 120.0)):
        results.add("drain", "ours", "rate", "rows/s", ours)
        results.add("drain", "theirs", "rate", "rows/s", theirs)
    return results


def _page(*promises: Promise) -> list[str]:
    explanations = {"drain": Explanation("How it is done.", "theirs")}
    return page(_results(), promises, explanations, _TAKEN, {"machine": "two cores"}).splitlines()


def _promise(limit: float, bound: Bound, subject: str = "ours") -> Promise:
    measured = lambda results: results.ratios("drain", "rate", subject, "theirs")  # noqa: E731
    return Promise("rate beside theirs", limit, bound, "", measured)


@pytest.mark.parametrize(
    ("limit", "bound", "verdict"),
    [
        (2.0, Bound.LEAST, "met"),
        (2.1, Bound.LEAST, "**not met**"),
        (2.0, Bound.MOST, "met"),
        (1.9, Bound.MOST, "**not met**"),
    ],
)
def test_a_promise_is_judged_by_the_median_of_its_rounds(limit: float, bound: Bound, verdict: str) -> None:
    assert f"| rate beside theirs | {bound} {limit:g} | 2 | 1 to 3 | {verdict} |" in _page(_promise(limit, bound))


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert "| rate beside theirs | ≥ 2 | | | not measured |" in _page(_promise(2, Bound.LEAST, subject="nobody"))


def test_a_case_has_its_figures_its_reference_and_how_they_were_taken() -> None:
    lines = _page()
    assert "| rate, rows/s | ours | 200 | 120 to 330 | 2 |" in lines
    assert "| rate, rows/s | theirs | 110 | 100 to 120 | reference |" in lines
    assert "Taken 2026-01-02T03:04Z, quick; load average before: 0.50." in lines
    assert "How it is done." in lines
    assert "![drain](plots/drain.svg)" in lines
    assert "- machine: two cores" in lines


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567.8, "1,234,568"), (100.4, "100"), (12.34, "12.3"), (0.012345, "0.0123"), (0.0, "0"), (-5.5, "-5.5")],
)
def test_a_number_has_the_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_no_promise_is_judged_without_figures() -> None:
    assert all(promise.measured(Results()) == [] for promise in PROMISES)


def test_growth_is_the_last_beside_the_first_of_its_kind() -> None:
    """Sources that are uploaded too stand between those that are not."""
    results = Results()
    for count, kept, sent in ((10, 100.0, 150.0), (100, 105.0, 180.0), (500, 110.0, 300.0)):
        results.add("growth: sources", f"{count} sources, to disk", "CPU per capture", "µs", kept)
        results.add("growth: sources", f"{count} sources, to disk and cloud", "CPU per capture", "µs", sent)
    measured = {promise.what: promise.measured(results) for promise in PROMISES}
    assert measured["CPU per capture, most sources ÷ fewest, captured only"] == pytest.approx([1.1])
    assert measured["CPU per capture, most sources ÷ fewest, captured and delivered"] == pytest.approx([2.0])


def test_appends_are_judged_beside_the_best_library_of_each_round() -> None:
    results = Results()
    figure = "durable appends, 64 at a time"
    for ours, *theirs in ((100.0, 10.0, 20.0, 5.0), (90.0, 30.0, 20.0, 5.0)):
        results.add("spool 1 kB", "ours", figure, "items/s", ours)
        for name, value in zip(("persist-queue", "diskcache", "litequeue"), theirs, strict=True):
            results.add("spool 1 kB", name, figure, "items/s", value)
    (measured,) = (promise.measured(results) for promise in PROMISES if "three libraries" in promise.what)
    assert measured == [5.0, 3.0]
