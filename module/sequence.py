"""A sequence: a stretch of time over some sources, which is made in the cloud once the cloud has all their captures.

In Viam's cloud a sequence is a machine part, some resources with their methods, a start and an end
(``viam.app.data.v1.CreateSequenceRequest``). Its tags belong to the sequence, not to the captures.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class SequenceState(enum.StrEnum):
    """The state of a sequence. Once the cloud has made it, it is deleted here."""

    OPEN = "open"
    """It has been started: all new captures of its sources belong to it."""
    WAITING = "waiting"
    """It has been stopped, and waits for its captures to be delivered, or for the cloud."""
    FAILED = "failed"
    """The cloud will not make it, for the reason in its error."""


@dataclass(frozen=True, slots=True)
class SequenceSource:
    """One source of a sequence."""

    id: str
    """The source's id in the configuration."""
    resource: str
    """The resource's name, as its captures have it."""
    method: str
    """The captured method as viam-server names it; empty until it is known, if the resource was not there."""


@dataclass(frozen=True, slots=True)
class CaptureSequence:
    """One sequence as the spool stores it; times in µs since the Unix epoch."""

    id: str
    sources: tuple[SequenceSource, ...]
    tags: tuple[str, ...]
    start_us: int
    end_us: int | None = None
    """None while it is open."""
    waiting_for: int = 0
    """How many of its captures are not delivered yet, failures included; 0 while it is open."""
    error: str | None = None
    """The cloud's reason for not making it."""

    @property
    def state(self) -> SequenceState:
        """The state that follows from its end and its error."""
        if self.error is not None:
            return SequenceState.FAILED
        return SequenceState.OPEN if self.end_us is None else SequenceState.WAITING
