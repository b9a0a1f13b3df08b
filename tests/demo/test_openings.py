"""When gates opened, read from rows."""

from __future__ import annotations

import random
from typing import Any

import pytest

from module.demo.chronicle import Chronicle
from module.demo.exhibit import Exhibit
from module.demo.openings import Opening, Openings
from tests.demo import arrivals

GATE = {"sensor": "conveyor", "key": "jam"}
HELD = [(10.0 + number / 2, 4 <= number < 7 or number == 9) for number in range(12)]


def _openings(gate: dict[str, Any], readings: list[tuple[float, dict[str, Any]]]) -> list[Opening]:
    found = Openings([{"name": "front", "id": "event", "gate": gate}, {"name": "front"}])
    for row in readings:
        found.add("conveyor", arrivals.rows("conveyor", "conveyor", [row]).rows)
    return found.all()


def test_a_gate_opens_whenever_its_condition_begins_to_hold() -> None:
    expected = [Opening("event", 12.0, "conveyor: jam"), Opening("event", 14.5, "conveyor: jam")]
    assert _openings(GATE, [(at, {"jam": held}) for at, held in HELD]) == expected


@pytest.mark.parametrize("seed", range(20))
def test_rows_may_come_in_any_order(seed: int) -> None:
    shuffled = [(at, {"jam": held}) for at, held in HELD]
    random.Random(seed).shuffle(shuffled)
    assert [opening.at for opening in _openings(GATE, shuffled)] == [12.0, 14.5]


def test_a_long_run_takes_no_more_room_than_a_short_one() -> None:
    openings = Openings([{"name": "front", "gate": GATE}])
    for batch in range(50):
        readings = [(batch + number / 100, {"jam": batch % 10 == 5}) for number in range(100)]
        openings.add("conveyor", arrivals.rows("conveyor", "conveyor", readings).rows)
    (watch,) = openings._watches
    assert len(openings.all()) == 5
    assert len(watch._times) <= 2 * 11


def test_a_condition_with_a_limit_is_read_as_the_gate_reads_it() -> None:
    readings: list[tuple[float, dict[str, Any]]] = [(1.0, {"force": {"n": 3}}), (2.0, {"force": {"n": 30}}), (3.0, {})]
    gate = {"sensor": "conveyor", "key": "force.n", "above": 20}
    assert _openings(gate, readings) == [Opening("event", 2.0, "conveyor: force.n")]


def test_the_page_is_told_of_commands_and_rows_alike() -> None:
    run = Chronicle(clock=iter((5.0, 11.0)).__next__)
    run.begin([{"name": "front", "id": "event", "gate": GATE}])
    run.trigger(["event"])
    run.clock = lambda: 20.0
    readings = [(at, {"jam": held}) for at, held in HELD]
    news = Exhibit([arrivals.rows("conveyor", "conveyor", readings)], run).news(0, 0)
    assert news["openings"] == [
        *(["event", 11.0, "trigger command"], ["event", 12.0, "conveyor: jam"], ["event", 14.5, "conveyor: jam"]),
    ]
    assert news["sources"] == [{"name": "front", "id": "event", "gate": GATE}]
