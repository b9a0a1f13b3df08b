"""A machine whose clocks are set by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from module.clock.machine_clock import LOOK_S, Clock, Stand

TODAY_US = int(datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp() * 1e6)


class HandSet:
    """One boot; ``ahead_us`` is how far the wall clock is ahead of the time since it."""

    def __init__(self, ahead_us: int = TODAY_US, *, boot: str = "boot-a") -> None:
        self.boot = boot
        self.up_us = 60_000_000
        self.ahead_us = ahead_us
        self.synchronized = True

    def now_us(self) -> int:
        """The wall clock's time."""
        return self.up_us + self.ahead_us

    def since_boot_us(self) -> int:
        """How long the machine has been up."""
        return self.up_us

    def monotonic_s(self) -> float:
        """The monotonic time."""
        return self.up_us / 1e6

    def is_synchronized(self) -> bool:
        """Whether the network has set the clock."""
        return self.synchronized

    def passes(self, clock: Clock, seconds: float) -> list[Stand]:
        """Let time pass, with a look now and then; gives what the spool is to keep."""
        kept: list[Stand] = []
        for _ in range(round(seconds / LOOK_S)):
            self.up_us += round(LOOK_S * 1e6)
            stand = clock.look()
            if stand is not None:
                clock.note_kept(stand)
                kept.append(stand)
        return kept


def begun(machine: HandSet, kept: list[Stand] | None = None, wait_s: float = 60.0) -> Clock:
    """A clock that has begun with what the spool kept."""
    clock = Clock(wait_s, machine)
    clock.begin(kept or [])
    return clock
