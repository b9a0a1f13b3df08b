"""A sequence: a named stretch of time over some sources, which is made in the cloud once it has all their captures.

Viam's cloud knows one by the machine part, the resources with their methods, a start and an end
(``viam.app.data.v1.CreateSequenceRequest``). Its tags are the sequence's own, not those of the captures.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class SequenceState(enum.StrEnum):
    """How far a sequence has come; once the cloud has made it, it is no longer here."""

    OPEN = "open"
    """It has been started; what its sources capture belongs to it."""
    WAITING = "waiting"
    """It has been stopped, and waits for its captures to be delivered, or for the cloud."""
    FAILED = "failed"
    """The cloud will not make it, for the reason in its error."""


@dataclass(frozen=True, slots=True)
class SequenceSource:
    """One source of a sequence."""

    id: str
    """What the configuration calls it."""
    resource: str
    """The resource's name, as its captures bear it."""
    method: str
    """The captured method as viam-server names it."""


@dataclass(frozen=True, slots=True)
class CaptureSequence:
    """One sequence as the spool has it; times in µs since the Unix epoch."""

    id: str
    sources: tuple[SequenceSource, ...]
    tags: tuple[str, ...]
    start_us: int
    end_us: int | None = None
    """None while it is open."""
    waiting_for: int = 0
    """Captures of it that are still to be delivered, those among the failures included; 0 while it is open."""
    error: str | None = None
    """What the cloud said when it would not make it."""

    @property
    def state(self) -> SequenceState:
        """How far it has come."""
        if self.error is not None:
            return SequenceState.FAILED
        return SequenceState.OPEN if self.end_us is None else SequenceState.WAITING
