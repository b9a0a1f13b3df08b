"""What the kernel says that a process has used; of that process alone, its children left out (proc(5))."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Use:
    """A process at one moment."""

    cpu_s: float
    """Seconds of processor since its start, user and system; the kernel counts in hundredths."""
    resident_bytes: int
    peak_bytes: int
    """The most that was resident since the start or the last ``forget_peak``."""
    written_bytes: int
    """Bytes that it caused to be written to the disk since its start."""


def use_of(pid: int) -> Use:
    """Look at a process. Raises OSError when it has gone."""
    folder = Path(f"/proc/{pid}")
    # The command's name, in brackets, may hold anything.
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    status = _table((folder / "status").read_text())
    io = _table((folder / "io").read_text())
    return Use(
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND,
        resident_bytes=int(status["VmRSS"].split()[0]) * 1024,
        peak_bytes=int(status["VmHWM"].split()[0]) * 1024,
        written_bytes=int(io["write_bytes"]),
    )


def forget_peak(pid: int) -> None:
    """Let ``peak_bytes`` count from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _table(text: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}
