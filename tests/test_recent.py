from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

from module.capture import Capture, Fate, Item, Kind, Origin
from module.clock.machine_clock import iso
from module.recent import MOST, Recent
from tests.clock.shim import TODAY_US, HandSet, begun

SENSOR = Origin(source="s", kind=Kind.ROW, api="rdk:component:sensor", name="s", method="Readings")


def row(number: int, origin: Origin = SENSOR) -> Capture:
    return Capture(origin, number, number + 1, b"x" * number)


def item(capture_id: int) -> Item:
    return Item(capture_id, 1, SENSOR, 0, 0, 0, 0, b"", "", None)


def last(recent: Recent, source: str = "s", limit: int = MOST) -> list[dict[str, Any]]:
    return recent.last(source, limit, lambda stamp: stamp.us)


def fates(recent: Recent) -> dict[int | None, str]:
    return {capture["id"]: capture["state"] for capture in last(recent)}


def test_a_capture_has_its_id_its_time_of_request_and_its_size() -> None:
    recent = Recent(["s"])
    recent.spooled([row(5), row(7)], [1, 2])
    assert last(recent) == [
        {"id": 2, "captured_at": "1970-01-01T00:00:00.000007Z", "size": 7, "state": "spooled", "file_id": None},
        {"id": 1, "captured_at": "1970-01-01T00:00:00.000005Z", "size": 5, "state": "spooled", "file_id": None},
    ]
    assert [capture["id"] for capture in last(recent, limit=1)] == [2]


def test_a_step_of_the_clock_moves_the_times_of_its_boot() -> None:
    """What a command dated stays as it is."""
    machine = HandSet(ahead_us=0)
    clock = begun(machine)
    before = clock.stamp()
    recent = Recent(["s"])
    recent.spooled([Capture(replace(SENSOR, clock=before.reading), before.us, before.us), row(5)], [1, 2])
    machine.ahead_us = TODAY_US
    clock.look()
    dated, moved = recent.last("s", MOST, clock.shown_us)
    assert moved["captured_at"] == iso(before.us + TODAY_US)
    assert dated["captured_at"] == iso(5)


def test_what_became_of_each_shows() -> None:
    recent = Recent(["s"])
    recent.spooled([row(n) for n in range(1, 6)], [1, 2, 3, 4, 5])
    recent.uploaded([item(1), item(2)], "file")
    recent.became([3], Fate.FAILED)
    recent.became([4], Fate.DROPPED)
    recent.refused([row(6)])
    assert fates(recent) == {
        None: "dropped",
        5: "spooled",
        4: "dropped",
        3: "failed",
        2: "uploaded",
        1: "uploaded",
    }
    assert [capture["file_id"] for capture in last(recent)] == [None, None, None, None, "file", "file"]
    recent.became([3], Fate.SPOOLED)
    assert fates(recent)[3] == "spooled"


def test_only_the_newest_of_each_source_are_held() -> None:
    """Those that were never given an id take their place like any other."""
    recent = Recent(["s", "other"])
    recent.spooled([row(1, Origin(source="other", kind=Kind.ROW))], [1])
    for number in range(2, 2 + MOST):
        recent.spooled([row(number)], [number])
    recent.refused([row(0)] * 10)
    recent.spooled([row(0)], [1000])
    ids = [capture["id"] for capture in last(recent)]
    assert ids[0] == 1000
    assert ids[1:11] == [None] * 10
    assert ids[11:] == list(range(MOST + 1, 12, -1))
    assert [capture["id"] for capture in last(recent, "other")] == [1]
    assert len(recent._by_id) == MOST - 10 + 1


def test_other_sources_and_what_was_captured_before_the_start_do_not_matter() -> None:
    recent = Recent(["s"])
    recent.spooled([row(1, Origin(source="/folder", kind=Kind.FILE))], [1])
    recent.uploaded([item(1)], "file")
    recent.became([1, 2], Fate.DROPPED)
    assert last(recent) == []


def test_a_capture_costs_no_more_than_to_write_it_as_a_line() -> None:
    """From the spool to the cloud, at the best of several looks: others may use the processor meanwhile."""
    count = 10_000
    captures = [row(1)]
    items = [item(number) for number in range(count)]
    readings = {f"reading-{n}": n / 3 for n in range(10)}
    kept = written = float("inf")
    for _ in range(9):
        recent = Recent(["s"])
        began = time.thread_time()
        for number in range(count):
            recent.spooled(captures, [number])
            recent.uploaded(items[number : number + 1], "file")
        kept = min(kept, time.thread_time() - began)
        began = time.thread_time()
        for _ in range(count):
            json.dumps(readings)
        written = min(written, time.thread_time() - began)
    assert kept < written
