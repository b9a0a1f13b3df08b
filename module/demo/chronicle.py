"""How a run of the demo went, written down while it goes: what was captured, when the cloud was away, what was done.

Times are seconds since the epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from module.demo.report import captured


@dataclass(frozen=True, slots=True)
class Sample:
    """The counts at one moment, by the module's status."""

    at: float
    captured: int
    """Rows, images, point clouds and files since the beginning, including those of commands."""
    waiting: int
    """Of these, how many were in the spool."""
    waiting_bytes: int


@dataclass(slots=True)
class Absence:
    """A time without the cloud."""

    since: float
    until: float | None = None
    """None while it lasts."""


@dataclass(frozen=True, slots=True)
class Note:
    """What was done or happened, in a few words."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """A command that opened the gates of sources."""

    at: float
    sources: tuple[str, ...]


@dataclass(slots=True)
class Chronicle:
    """One run. ``clock`` returns seconds since the epoch."""

    clock: Callable[[], float] = time.time
    samples: list[Sample] = field(default_factory=list)
    """Oldest first, as are the others."""
    absences: list[Absence] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
    sources: tuple[Mapping[str, Any], ...] = ()
    """What is configured to be polled, as a user writes it."""
    captured_by_source: dict[str, int] = field(default_factory=dict)
    """By the last status, in the order of names. A folder's name is the last part of its path."""
    began: float | None = None
    """When captures began."""
    ended: float | None = None
    """When all was compared."""
    faults: tuple[str, ...] = ()
    """What was wrong, once it has ended."""

    def begin(self, sources: Sequence[Mapping[str, Any]] = ()) -> None:
        """Captures of these sources begin now."""
        self.began = self.clock()
        self.sources = tuple(sources)

    def sample(self, status: Mapping[str, Any], *, handed_in: int) -> None:
        """Write down a status of the module; ``handed_in``: what commands have given it to upload."""
        spool = status["spool"]
        taken = captured(status) + handed_in
        self.samples.append(Sample(self.clock(), taken, int(spool["items"]), int(spool["bytes"])))
        folders = {path.rstrip("/").rpartition("/")[2]: folder for path, folder in status["folders"].items()}
        self.captured_by_source = {
            name: int(part["captured"]) for name, part in sorted({**status["sources"], **folders}.items())
        }

    def note(self, text: str) -> None:
        """Write down what is done now."""
        self.notes.append(Note(self.clock(), text))

    def trigger(self, sources: Sequence[str]) -> None:
        """A command opens the gates of these sources now."""
        self.triggers.append(Trigger(self.clock(), tuple(sources)))

    def cloud_leaves(self) -> None:
        """The cloud is away from now on."""
        self.absences.append(Absence(self.clock()))

    def cloud_returns(self) -> None:
        """The cloud is there again."""
        self.absences[-1].until = self.clock()

    def end(self, faults: Sequence[str]) -> None:
        """The run is over, and has been compared; without ``faults`` all arrived."""
        self.ended = self.clock()
        self.faults = tuple(faults)
