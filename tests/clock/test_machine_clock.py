from __future__ import annotations

import time
from pathlib import Path

import pytest

from module.clock import machine_clock as under_test
from module.clock.machine_clock import (
    NO_READING,
    RELEASED,
    STANDS_S,
    STEP_US,
    Clock,
    Machine,
    Reading,
    Stamp,
    Stand,
    iso,
    shift_us,
)
from tests.clock.shim import TODAY_US, HandSet, begun

BOOT_A = Reading("boot-a", TODAY_US)
IN_1970 = Reading("boot-a", 0)
SECOND = 1_000_000


def waits(clock: Clock, machine: HandSet) -> bool:
    return clock.waits(machine.monotonic_s()) is not None


# ---------------------------------------------------------------------- a clock that is set


def test_a_clock_that_is_set_at_the_start_is_the_true_one_at_once() -> None:
    machine = HandSet()
    clock = begun(machine)
    assert clock.true == BOOT_A
    assert clock.look() == Stand(BOOT_A, stood=True)
    assert not waits(clock, machine)
    assert clock.status() == {"state": "set", "by_s": None, "at": None}


def test_what_the_spool_has_kept_is_not_to_be_kept_again() -> None:
    machine = HandSet()
    clock = begun(machine)
    assert machine.passes(clock, 1) == [Stand(BOOT_A, stood=True)]
    assert machine.passes(clock, 30) == []


def test_a_stamp_has_the_time_and_the_reading_that_it_is_of() -> None:
    machine = HandSet()
    clock = begun(machine)
    assert clock.stamp() == Stamp(machine.now_us(), BOOT_A)
    machine.ahead_us += 3600 * SECOND
    assert clock.stamp() == Stamp(machine.now_us(), Reading("boot-a", TODAY_US + 3600 * SECOND))


def test_readings_that_differ_by_what_measuring_costs_are_one() -> None:
    machine = HandSet()
    clock = begun(machine)
    machine.ahead_us += 5_000
    assert clock.stamp().reading == BOOT_A
    machine.passes(clock, 1)
    assert clock.status()["state"] == "set"


def test_this_machines_own_clocks_agree() -> None:
    clock, before = Clock(), time.time_ns() // 1000
    stamp = clock.stamp()
    assert before <= stamp.us <= time.time_ns() // 1000
    assert stamp.reading.boot == Machine().boot
    assert clock.stamp().reading == stamp.reading


# ---------------------------------------------------------------------- a clock that is not


@pytest.mark.parametrize("synchronized", [True, False])
def test_a_date_before_the_release_is_not_set(synchronized: bool) -> None:
    machine = HandSet(int(RELEASED.timestamp() * 1e6) - 120 * SECOND)
    machine.synchronized = synchronized
    clock = begun(machine)
    assert not clock.is_set
    assert clock.true is None
    assert clock.look() == Stand(clock.stamp().reading, stood=False)


def test_a_clock_that_the_network_is_still_to_set_is_not_set() -> None:
    """As hours behind, after fake-hwclock."""
    machine = HandSet()
    machine.synchronized = False
    clock = begun(machine)
    assert clock.status()["state"] == "not_set"
    machine.synchronized = True
    machine.passes(clock, 1)
    # It was right from the start: there was no step, and nothing has to stand.
    assert clock.true == BOOT_A
    assert not waits(clock, machine)


def test_a_clock_that_was_set_stays_so_though_its_client_begins_again() -> None:
    machine = HandSet()
    clock = begun(machine)
    machine.synchronized = False
    machine.passes(clock, 5)
    assert clock.is_set
    assert not waits(clock, machine)


def test_uploads_wait_for_it_as_long_as_they_are_to_and_no_longer() -> None:
    machine = HandSet(0)
    clock = begun(machine, wait_s=30)
    machine.passes(clock, 29)
    assert "is not set, it says 1970-01-01T00:01:29Z; uploads wait up to 30 s" in str(
        clock.waits(machine.monotonic_s())
    )
    machine.passes(clock, 1)
    assert not waits(clock, machine)
    assert clock.true is None


def test_with_no_wait_nothing_waits() -> None:
    machine = HandSet(0)
    clock = begun(machine, wait_s=0)
    machine.passes(clock, 1)
    assert not waits(clock, machine)
    machine.ahead_us = TODAY_US
    machine.passes(clock, 1)
    assert not waits(clock, machine)


# ---------------------------------------------------------------------- a step


def test_a_step_is_the_true_reading_once_it_has_stood() -> None:
    machine = HandSet(0)
    clock = begun(machine)
    first = clock.stamp()
    machine.passes(clock, 3)
    machine.ahead_us = TODAY_US
    step_us = machine.now_us()
    assert clock.stamp().reading == BOOT_A
    kept = machine.passes(clock, STANDS_S - 1)
    assert kept == [Stand(BOOT_A, stood=False)]
    assert clock.true is None
    assert "must stay unchanged for 10 s" in str(clock.waits(machine.monotonic_s()))
    assert machine.passes(clock, 1) == [Stand(BOOT_A, stood=True)]
    assert not waits(clock, machine)
    assert clock.shown_us(first) == first.us + TODAY_US
    assert clock.status() == {"state": "stepped", "by_s": TODAY_US / 1e6, "at": iso(step_us)}


def test_a_step_that_is_stepped_itself_begins_to_stand_again() -> None:
    machine = HandSet(0)
    clock = begun(machine)
    machine.ahead_us = TODAY_US
    machine.passes(clock, STANDS_S - 1)
    machine.ahead_us += 5 * SECOND
    clock.stamp()
    machine.passes(clock, STANDS_S - 1)
    assert clock.true is None
    assert waits(clock, machine)
    machine.passes(clock, 1)
    assert clock.true == Reading("boot-a", TODAY_US + 5 * SECOND)
    assert clock.status()["by_s"] == 5


@pytest.mark.parametrize("by_us", [-STEP_US, 100_000, STEP_US])
def test_a_small_step_corrects_nothing_and_waits_for_nothing(by_us: int) -> None:
    machine = HandSet()
    clock = begun(machine)
    first = clock.stamp()
    machine.ahead_us += by_us
    machine.passes(clock, 1)
    assert not waits(clock, machine)
    machine.passes(clock, STANDS_S)
    assert clock.shown_us(first) == first.us
    assert clock.status()["state"] == "set"


def test_small_steps_that_add_up_correct_what_was_before_them() -> None:
    machine = HandSet()
    clock = begun(machine)
    first = clock.stamp()
    for _ in range(3):
        machine.ahead_us += SECOND
        machine.passes(clock, 1)
    machine.passes(clock, STANDS_S)
    assert clock.shown_us(first) == first.us + 3 * SECOND


def test_a_clock_that_steps_again_and_again_does_not_hold_uploads_for_ever() -> None:
    machine = HandSet()
    clock = begun(machine, wait_s=30)
    waited = 0
    for _ in range(30):
        machine.ahead_us += 5 * SECOND
        machine.passes(clock, 5)
        waited += waits(clock, machine)
    assert 6 <= waited <= 9


def test_how_long_ago_something_was_does_not_jump_with_the_clock() -> None:
    machine = HandSet(0)
    clock = begun(machine)
    first = clock.stamp()
    machine.passes(clock, 5)
    machine.ahead_us = TODAY_US
    machine.passes(clock, 1)
    assert clock.age_s(first) == 6
    assert clock.age_s(Stamp(machine.now_us() - 4 * SECOND, Reading("another boot"))) == 4


# ---------------------------------------------------------------------- restarts


def test_a_restart_in_one_boot_goes_on_with_the_reading_that_stood() -> None:
    machine = HandSet()
    kept = [Stand(IN_1970, stood=False), Stand(BOOT_A, stood=True)]
    clock = begun(machine, kept)
    assert clock.look() is None
    assert clock.true == BOOT_A
    assert clock.shown_us(Stamp(5, IN_1970)) == TODAY_US + 5


def test_a_step_that_nobody_saw_must_stand_too() -> None:
    """The clock was set while the module was down."""
    machine = HandSet()
    clock = begun(machine, [Stand(IN_1970, stood=False)])
    assert clock.true is None
    assert waits(clock, machine)
    machine.passes(clock, STANDS_S)
    assert clock.true == BOOT_A
    assert clock.status()["state"] == "stepped"


def test_a_step_that_had_not_stood_when_the_module_ended_must_stand_after_it() -> None:
    machine = HandSet()
    clock = begun(machine, [Stand(IN_1970, stood=False), Stand(BOOT_A, stood=False)])
    assert waits(clock, machine)
    machine.passes(clock, STANDS_S)
    assert clock.true == BOOT_A


# ---------------------------------------------------------------------- where nothing is known


def test_without_a_boot_nothing_is_corrected_and_the_wait_is_the_same() -> None:
    """As on macOS."""
    machine = HandSet(0, boot="")
    clock = begun(machine)
    stamp = clock.stamp()
    assert stamp == Stamp(machine.now_us(), NO_READING)
    assert clock.look() is None
    assert waits(clock, machine)
    machine.ahead_us = TODAY_US
    machine.passes(clock, 1)
    assert not waits(clock, machine)
    assert clock.shown_us(stamp) == stamp.us


def test_systemds_client_is_believed_where_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "timesync"
    monkeypatch.setattr(under_test, "_TIMESYNC", folder)
    assert Machine().is_synchronized()
    folder.mkdir()
    assert not Machine().is_synchronized()
    (folder / "synchronized").touch()
    assert Machine().is_synchronized()


@pytest.mark.parametrize(
    ("reading", "true", "by_us"),
    [
        (NO_READING, BOOT_A, 0),
        (NO_READING, None, 0),
        (IN_1970, None, None),
        (IN_1970, BOOT_A, TODAY_US),
        (BOOT_A, IN_1970, -TODAY_US),
        (BOOT_A, BOOT_A, 0),
        (Reading("boot-a", TODAY_US + STEP_US), BOOT_A, 0),
        (Reading("boot-a", TODAY_US + STEP_US + 1), BOOT_A, -STEP_US - 1),
    ],
)
def test_times_are_moved_by_how_far_their_reading_is_from_the_true_one(
    reading: Reading, true: Reading | None, by_us: int | None
) -> None:
    assert shift_us(reading, true) == by_us
