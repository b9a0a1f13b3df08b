from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from module.delivery.sender import METHODS
from module.demo import report
from module.demo.report import Outcome, Result

GOOD = Outcome(
    results=(
        Result("host", 200, 200, 200, 48_300, ("tabular_data_capture_upload",)),
        Result("outbox", 4, 5, 4, 20_016_000, ("file_upload_from_path",)),
    ),
    by_method=dict.fromkeys(METHODS, 3),
    failures=0,
    retries=12,
    outage_s=4.04,
    drain_s=0.62,
    images=20,
    broken_images=(),
    exit_code=0,
)
STATUS: dict[str, Any] = {
    "sources": {"host": {"captured": 20.0}, "front": {"captured": 3.0}},
    "folders": {"/outbox": {"captured": 1.0}},
    "spool": {"items": 4.0, "bytes": 1_260_000.0, "oldest_age_s": 1.5},
    "upload": {"uploaded_items": 21.0, "state": "offline", "last_error": "no route"},
}


def test_all_delivered_is_no_fault() -> None:
    """More arrivals than captures are none either: delivery is at least once."""
    assert report.faults(GOOD) == []


def test_a_capture_that_is_missing_is_a_fault_that_names_its_source() -> None:
    short = replace(GOOD.results[0], delivered=199, distinct=199)
    assert report.faults(replace(GOOD, results=(short,))) == ["host: 1 of 200 captures were not delivered"]


def test_a_second_arrival_does_not_stand_in_for_a_missing_capture() -> None:
    short = replace(GOOD.results[0], delivered=201, distinct=199)
    assert report.faults(replace(GOOD, results=(short,))) == ["host: 1 of 200 captures were not delivered"]


def test_a_source_that_captured_nothing_is_a_fault() -> None:
    idle = Result("front", 0, 0, 0, 0, ())
    assert report.faults(replace(GOOD, results=(idle,))) == ["front: nothing was captured"]


@pytest.mark.parametrize("method", METHODS)
def test_each_of_the_five_methods_must_have_been_used(method: str) -> None:
    assert report.faults(replace(GOOD, by_method={**GOOD.by_method, method: 0})) == [
        f"nothing was delivered by {method}"
    ]


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"failures": 2}, "the cloud rejected 2 captures; the module's log says why"),
        ({"broken_images": ("a.png",)}, "a.png is an image that does not open"),
        ({"images": 0}, "no image arrived"),
        ({"exit_code": None}, "the module ended by itself"),
        ({"exit_code": -9}, "the module ended with status -9 after SIGTERM; 0 was expected"),
    ],
)
def test_what_else_is_a_fault(changed: dict[str, Any], fault: str) -> None:
    assert report.faults(replace(GOOD, **changed)) == [fault]


def test_the_table_lines_up_and_sums() -> None:
    assert report.table(GOOD.results).splitlines() == [
        "source  captured  delivered     size  method",
        "host         200        200  48.3 kB  tabular_data_capture_upload",
        "outbox         4          5  20.0 MB  file_upload_from_path, 1 twice",
        "total        204        205  20.1 MB",
    ]


def test_the_summary_tells_outage_drain_retries_and_repetitions() -> None:
    text = report.summary(GOOD)
    assert report.table(GOOD.results) in text
    assert "away for 4.0 s; 0.6 s after its return" in text
    assert "Retries: 12. Arrived twice: 1. Rejected: 0." in text


def test_a_backlog_that_was_not_seen_to_drain_is_told_as_such() -> None:
    assert "the backlog was not seen to drain" in report.summary(replace(GOOD, drain_s=None))


def test_progress_counts_sources_folders_and_what_commands_handed_in() -> None:
    line = report.progress(11.04, STATUS, handed_in=2, cloud_is_up=False)
    assert " ".join(line.split()) == ("11.0 s captured 26 delivered 21 waiting 4 ( 1.3 MB) cloud AWAY uploads offline")


@pytest.mark.parametrize("up", [True, False])
def test_progress_lines_line_up(*, up: bool) -> None:
    later = {**STATUS, "spool": {"items": 1234.0, "bytes": 999_949.0}}
    line, other = (
        report.progress(at, status, handed_in=0, cloud_is_up=up) for at, status in ((1, STATUS), (100, later))
    )
    assert line.index("uploads") == other.index("uploads")


@pytest.mark.parametrize(
    ("verb", "given", "short"),
    [
        ("help", {"status": {}, "help": {}}, "2 verbs: help, status"),
        ("status", STATUS, "uploads offline, 4 waiting, the oldest 1.5 s old; no route"),
        (
            "capture",
            {"captured": {"a": 2.0, "b": 0.0}, "uploaded": {"a": ["x", "y"]}, "errors": {"b": "no answer"}},
            "captured a 2, b 0; in the cloud a 2; b: no answer",
        ),
        ("upload_data", {"id": 1.0, "file_id": "abc"}, "in the cloud as abc"),
        ("upload_file", {"id": 1.0, "file_id": None, "error": "not within 30 s"}, "not within 30 s"),
        ("upload_file", {"id": 1.0, "file_id": None}, "in the spool"),
        ("pause", {"paused": ["a", "upload"]}, "paused: a, upload"),
        ("resume", {"paused": []}, "paused: nothing"),
        ("flush", {"remaining_items": 3.0, "remaining_bytes": 9.0}, "3 left"),
        ("failures", {"failures": [], "total": 2.0}, "2 rejected"),
        ("retry", {"retried": 1.0}, "{'retried': 1.0}"),
    ],
)
def test_answers_have_a_short_form(verb: str, given: dict[str, Any], short: str) -> None:
    assert report.answer(verb, given) == short


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (81_300, "81.3 kB"), (20_000_000, "20.0 MB")]
)
def test_sizes_are_decimal(count: int, text: str) -> None:
    assert report.size(count) == text
