"""What the kernel says that a process has used; of that process alone, its children left out (proc(5))."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

_SCHEDULER = 2
"""The clock of a process that counts its time on a processor (Linux, include/linux/posix-timers.h)."""


@dataclass(frozen=True, slots=True)
class Use:
    """A process at one moment."""

    cpu_s: float
    """Seconds of processor since its start, user and system, of all its threads; exact."""
    resident_bytes: int
    peak_bytes: int
    """The most that was resident since the start or the last ``forget_peak``."""
    written_bytes: int
    """Bytes that it caused to be written to the disk since its start."""


def use_of(pid: int) -> Use:
    """Look at a process. Raises OSError when it has gone."""
    folder = Path(f"/proc/{pid}")
    status = _table((folder / "status").read_text())
    io = _table((folder / "io").read_text())
    return Use(
        # As clock_getcpuclockid(3) has it; /proc counts in hundredths of a second.
        cpu_s=time.clock_gettime(~pid << 3 | _SCHEDULER),
        resident_bytes=int(status["VmRSS"].split()[0]) * 1024,
        peak_bytes=int(status["VmHWM"].split()[0]) * 1024,
        written_bytes=int(io["write_bytes"]),
    )


def forget_peak(pid: int) -> None:
    """Let ``peak_bytes`` count from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _table(text: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}
