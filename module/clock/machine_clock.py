"""The machine's clock: what it says, whether it is set, and how far it has stepped.

A board without a battery for its clock starts in 1970, or hours behind, and captures. Later the network sets its clock.
CLOCK_REALTIME minus CLOCK_BOOTTIME changes only by such steps (slewing changes both alike). So each time is stored
with this difference, its ``Reading``. If the clock is set, and its reading has stayed the same for ``STANDS_S``, that
is the true reading of this boot. Every time of this boot is corrected by the difference between its reading and the
true one.

Nothing here sleeps. Only ``Machine`` reads real clocks; all others get their clocks as an argument.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

RELEASED = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock that says less is not set. Each release raises it, see ``docs/releasing.md``."""
STEP_US = 2_000_000
"""A smaller difference is not corrected: time servers make such steps now and then."""
STANDS_S = 10.0
"""For how long a reading must stay the same before anything is corrected by it."""
LOOK_S = 1.0
"""Time between two looks at the clock."""
NOT_SET_TAG = "clock-not-set"
"""The tag of captures whose clock was not set and whose true time is not known."""
_SAME_US = 10_000
"""Readings that differ by less count as the same, because they are measured to about a millisecond."""
_CLOSE_NS = 1_000_000
_MOST_TRIES = 5
_WRITTEN_S = 2 * LOOK_S
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNC = Path("/run/systemd/timesync")


class Reading(NamedTuple):
    """Which clock a time was read from."""

    boot: str = ""
    """Linux's id of this boot of the machine; empty: nothing is known of the clock, and its times are not corrected."""
    offset_us: int = 0
    """CLOCK_REALTIME minus CLOCK_BOOTTIME."""


NO_READING = Reading()


class Stamp(NamedTuple):
    """A moment."""

    us: int
    """Microseconds since the epoch, as the machine's clock has it."""
    reading: Reading


class Stand(NamedTuple):
    """A reading of this boot, as the spool stores it."""

    reading: Reading
    stood: bool
    """Whether the clock was set, and the reading stayed the same for ``STANDS_S``."""


def shift_us(reading: Reading, true: Reading | None) -> int | None:
    """Return the correction for times of a reading; None: their true time is not known.

    ``true`` is the true reading of the same boot, if there is one.
    """
    if not reading.boot:
        return 0
    if true is None:
        return None
    by_us = true.offset_us - reading.offset_us
    return by_us if abs(by_us) > STEP_US else 0


class Machine:
    """What this machine's clocks say now."""

    def __init__(self) -> None:
        self._since_boot = getattr(time, "CLOCK_BOOTTIME", None)
        self.boot = "" if self._since_boot is None else _boot_id()
        """This boot; empty if the system does not say (macOS)."""

    def now_us(self) -> int:
        """Return the wall clock's time."""
        return time.time_ns() // 1000

    def since_boot_us(self) -> int:
        """Return how long the machine has been up, sleep included."""
        return 0 if self._since_boot is None else time.clock_gettime_ns(self._since_boot) // 1000

    def monotonic_s(self) -> float:
        """Return the monotonic time."""
        return time.monotonic()

    def is_synchronized(self) -> bool:
        """Return whether the clock may have been set from the network: False if systemd's client has not set it yet."""
        return not _TIMESYNC.exists() or (_TIMESYNC / "synchronized").exists()


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


class Clocks(Protocol):
    """What ``Machine`` has."""

    boot: str

    def now_us(self) -> int:
        """Return the wall clock's time."""

    def since_boot_us(self) -> int:
        """Return how long the machine has been up."""

    def monotonic_s(self) -> float:
        """Return the monotonic time."""

    def is_synchronized(self) -> bool:
        """Return whether the clock may have been set from the network."""


class Clock:
    """What a service knows about the machine's clock. Call ``begin`` once, then ``look`` about once a second."""

    def __init__(self, wait_s: float = 0.0, machine: Clocks | None = None) -> None:
        """``wait_s``: how long uploads wait for a clock that is not set, or has just been set."""
        self._machine = machine or Machine()
        self._wait_s = wait_s
        self.true: Reading | None = None
        """The latest true reading of this boot. Any thread may read it."""
        self._reading = NO_READING
        self._since_s = -float("inf")
        self._kept: Stand | None = None
        self.step: Stamp | None = None
        """When the clock last stepped, by the clock after the step."""
        self._step_us = 0
        self._stood = False
        self._unsettled_s: float | None = None
        self.is_set = True
        """Whether the clock was set at the last look or step."""
        self._measure()

    @property
    def boot(self) -> str:
        """The boot of the machine; empty if nothing is known of it."""
        return self._machine.boot

    def begin(self, kept: Sequence[Stand]) -> None:
        """Continue from the readings that the spool has of this boot, the oldest first."""
        self.true = next((stand.reading for stand in reversed(kept) if stand.stood), None)
        if kept:
            self._kept = last = kept[-1]
            if _is_same(last.reading, self._reading):
                self._reading = last.reading
                if not last.stood:
                    self._since_s = self._machine.monotonic_s()
            else:
                self._note_step(last.reading)
        self.look()

    def stamp(self) -> Stamp:
        """Return the time now, with its reading."""
        now_us = self._machine.now_us()
        if not self._reading.boot:
            return Stamp(now_us, self._reading)
        if abs(now_us - self._machine.since_boot_us() - self._reading.offset_us) > _SAME_US:
            # The clock has stepped, or this thread was held up between the two.
            now_us = self._measure()
        return Stamp(now_us, self._reading)

    def _measure(self) -> int:
        """Read both clocks as close together as possible; returns the time."""
        machine = self._machine
        best, now_us, offset_us = float("inf"), 0, 0
        for _ in range(_MOST_TRIES):
            before_us = machine.since_boot_us()
            seen_us = machine.now_us()
            took_us = machine.since_boot_us() - before_us
            if took_us < best:
                best, now_us, offset_us = took_us, seen_us, seen_us - before_us - took_us // 2
            if took_us * 1000 < _CLOSE_NS:
                break
        found = Reading(machine.boot, offset_us if machine.boot else 0)
        if not _is_same(found, self._reading):
            before, self._reading = self._reading, found
            if before.boot:
                self._note_step(before)
        self.is_set = self._looks_set(now_us)
        self._judge()
        return now_us

    def _judge(self) -> None:
        now_s = self._machine.monotonic_s()
        self._stood = self.is_set and now_s - self._since_s >= STANDS_S
        if self._stood:
            self.true = self._reading
        if self.is_set and shift_us(self._reading, self.true) == 0:
            self._unsettled_s = None
        elif self._unsettled_s is None:
            self._unsettled_s = self._since_s if self.is_set else now_s

    def _note_step(self, before: Reading) -> None:
        self._since_s = self._machine.monotonic_s()
        by_us = self._reading.offset_us - before.offset_us
        if abs(by_us) > STEP_US:
            self._step_us, self.step = by_us, Stamp(self._machine.now_us(), self._reading)

    def _looks_set(self, now_us: int) -> bool:
        if self.true is not None and _is_same(self.true, self._reading):
            # A clock that was set once in this boot counts as set, even if systemd's client starts again.
            return True
        return now_us >= RELEASED.timestamp() * 1e6 and self._machine.is_synchronized()

    def look(self) -> Stand | None:
        """Look at the clocks. Returns what the spool must store, each time until ``note_kept`` is called with it."""
        self._measure()
        stand = Stand(self._reading, self._stood)
        return stand if self._reading.boot and stand != self._kept else None

    def note_kept(self, stand: Stand) -> None:
        """Note that the spool has stored it."""
        self._kept = stand

    # ------------------------------------------------------------------ what it means

    def waits(self, monotonic_s: float) -> str | None:
        """Return in one sentence why uploads must wait for the clock; None: they need not wait."""
        if self._unsettled_s is None:
            return None
        until_s = self._unsettled_s + self._wait_s
        if not self.is_set:
            said = f"the machine's clock is not set, it says {iso(self._machine.now_us() // 10**6 * 10**6)}"
            return f"{said}; uploads wait up to {self._wait_s:g} s for it" if monotonic_s < until_s else None
        if self._since_s < until_s and monotonic_s < self._since_s + STANDS_S + _WRITTEN_S:
            return f"the machine's clock has just been set, and must stay unchanged for {STANDS_S:g} s"
        return None

    def shown_us(self, stamp: Stamp) -> int:
        """Return a time of this boot, corrected by the steps that the clock has made since."""
        return stamp.us + (shift_us(stamp.reading, self._reading) or 0)

    def age_s(self, stamp: Stamp) -> float:
        """Return how many seconds ago a moment was, at least 0. Steps of the clock in this boot do not change it."""
        if stamp.reading.boot and stamp.reading.boot == self._reading.boot:
            now_us = self._machine.since_boot_us() + stamp.reading.offset_us
        else:
            now_us = self._machine.now_us()
        return max(0.0, round((now_us - stamp.us) / 1e6, 3))

    def status(self) -> dict[str, Any]:
        """Return the ``clock`` part of the status."""
        step = self.step
        return {
            "state": "not_set" if not self.is_set else "set" if step is None else "stepped",
            "by_s": None if step is None else round(self._step_us / 1e6, 3),
            "at": None if step is None else iso(self.shown_us(step)),
        }


def _is_same(one: Reading, other: Reading) -> bool:
    return one.boot == other.boot and abs(one.offset_us - other.offset_us) <= _SAME_US


def iso(microseconds: int | None) -> str | None:
    """Return a time in µs since the epoch as ISO 8601 in UTC, with Z."""
    if microseconds is None:
        return None
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest).isoformat().replace("+00:00", "Z")
