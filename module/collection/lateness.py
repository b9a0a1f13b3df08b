"""How late the last ticks of one source were taken; four bytes each."""

from __future__ import annotations

from array import array

SAMPLES = 1000


class Lateness:
    """The last SAMPLES ticks, and the latest of all since the start."""

    __slots__ = ("_last", "_next", "_worst_s")

    def __init__(self) -> None:
        self._last = array("f")
        self._next = 0
        """The place of the oldest, which the next one takes once there are SAMPLES."""
        self._worst_s = 0.0

    def note(self, late_s: float) -> None:
        """Note how late a tick was taken, in seconds."""
        if len(self._last) < SAMPLES:
            self._last.append(late_s)
        else:
            self._last[self._next] = late_s
            self._next = (self._next + 1) % SAMPLES
        self._worst_s = max(self._worst_s, late_s)

    def milliseconds(self) -> dict[str, float]:
        """Return ``p50`` and ``p99`` of the last ones, and ``max`` of all."""
        late = sorted(self._last)
        return {
            "p50": _milliseconds(late[len(late) // 2] if late else 0.0),
            "p99": _milliseconds(late[int(len(late) * 0.99)] if late else 0.0),
            "max": _milliseconds(self._worst_s),
        }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
