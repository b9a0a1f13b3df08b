from __future__ import annotations

from typing import Any

from module.demo.chronicle import Absence, Chronicle, Note, Sample


def _status(*, host: int, outbox: int, waiting: int) -> dict[str, Any]:
    return {
        "sources": {"host": {"captured": float(host)}},
        "folders": {"/somewhere/outbox": {"captured": float(outbox)}},
        "spool": {"items": float(waiting), "bytes": 100.0 * waiting},
    }


def test_a_status_becomes_a_sample_of_its_moment() -> None:
    """What commands handed in is captured too, though no source tells of it."""
    now = iter([10.0, 11.0])
    run = Chronicle(clock=lambda: next(now))
    run.sample(_status(host=5, outbox=1, waiting=2), handed_in=0)
    run.sample(_status(host=15, outbox=2, waiting=3), handed_in=1)
    assert run.samples == [Sample(10, 6, 2, 200), Sample(11, 18, 3, 300)]
    assert run.captured_by_source == {"host": 15, "outbox": 2}


def test_an_absence_lasts_until_the_cloud_returns() -> None:
    now = iter([1.0, 2.0, 3.5, 4.0, 5.0])
    run = Chronicle(clock=lambda: next(now))
    run.begin()
    run.cloud_leaves()
    assert run.absences == [Absence(2, None)]
    run.cloud_returns()
    run.note("trigger event")
    run.end(["nothing arrived"])
    assert (run.began, run.absences, run.notes) == (1, [Absence(2, 3.5)], [Note(4, "trigger event")])
    assert (run.ended, run.faults) == (5, ("nothing arrived",))
