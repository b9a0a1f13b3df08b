"""What a gate keeps: the table of (openings, polls, kept)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from module.capture import Capture, Kind, Origin
from module.collection.gate import Gate
from module.collection.kept import KeptOfSource

ORIGIN = Origin(source="c", kind=Kind.BINARY)


def _capture(number: float, size: int = 10) -> Capture:
    return Capture(ORIGIN, round(number * 10), round(number * 10), bytes(size))


def _kept(gate: Gate, events: Sequence[tuple[float, object]]) -> list[float]:
    """Play (time, event) where an event is "poll", True/False (the condition), or a number of seconds (a trigger)."""
    kept: list[Capture] = []
    for at, event in events:
        if event == "poll":
            kept += gate.offer([_capture(at)], at)
        elif isinstance(event, bool):
            kept += gate.set(event, at)
        else:
            assert isinstance(event, float)
            kept += gate.open_for(event, at)
    return [capture.requested_us / 10 for capture in kept]


POLLS: list[tuple[float, object]] = [(float(second), "poll") for second in range(1, 11)]


@pytest.mark.parametrize(
    ("before_s", "after_s", "openings", "kept"),
    [
        (0, 0, [], []),
        (0, 0, [(3.5, True), (5.5, False)], [4, 5]),
        (2, 0, [(3.5, True), (5.5, False)], [2, 3, 4, 5]),
        (0, 2, [(3.5, True), (5.5, False)], [4, 5, 6, 7]),
        (2, 1, [(3.5, True), (4.5, False)], [2, 3, 4, 5]),
        (2, 3, [(3.5, True), (4.5, False), (6.5, True), (7.5, False)], [2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (2, 0, [(3.5, True), (4.5, False), (5.5, True), (6.5, False)], [2, 3, 4, 5, 6]),
        (100, 0, [(10.5, True)], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (0, 0, [(3.5, 2.0)], [4, 5]),
        (2, 1, [(3.5, 0.0)], [2, 3, 4]),
        (0, 2, [(3.5, 1.0), (4.2, 0.0)], [4, 5, 6]),
        (0, 0, [(3.5, True), (4.5, 3.0), (5.5, False)], [4, 5, 6, 7]),
        (1, 0, [(3.5, True), (3.6, True), (3.7, False)], [3]),
    ],
)
def test_what_is_kept(before_s: float, after_s: float, openings: list[tuple[float, object]], kept: list[float]) -> None:
    gate = Gate(before_s=before_s, after_s=after_s, max_buffer_bytes=10_000, kept=KeptOfSource())
    assert _kept(gate, sorted(POLLS + openings, key=lambda event: event[0])) == kept
    waiting = gate.open_for(0.0, 1e9)
    assert waiting == []
    assert gate.kept.filtered == 10 - len(kept)


def test_nothing_is_kept_twice_however_often_it_opens() -> None:
    gate = Gate(before_s=5, after_s=0, max_buffer_bytes=10_000, kept=KeptOfSource())
    events = [(at + offset, event) for at, _ in POLLS for offset, event in ((0.0, "poll"), (0.2, True), (0.4, False))]
    kept = _kept(gate, events)
    assert kept == sorted(set(kept))


def test_the_memory_that_waits_is_bounded_and_the_newest_stays() -> None:
    gate = Gate(before_s=1000, after_s=0, max_buffer_bytes=35, kept=KeptOfSource())
    assert _kept(gate, [*POLLS, (10.5, True)]) == [8, 9, 10]
    assert gate.kept.filtered == 7


def test_a_capture_larger_than_the_buffer_is_let_go_and_pushes_nothing_out() -> None:
    gate = Gate(before_s=1000, after_s=0, max_buffer_bytes=35, kept=KeptOfSource())
    gate.offer([_capture(1)], 1)
    gate.offer([_capture(2, size=36)], 2)
    assert [capture.requested_us for capture in gate.set(holds=True, at=3)] == [10]
