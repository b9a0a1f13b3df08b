"""What a source or a folder keeps when the service is rebuilt: its counts, and what commands have set.

Times of commands are in µs since the epoch for people, and in seconds of the event loop's clock for the program.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from module.clock.machine_clock import Stamp


class ScheduleOrder(NamedTuple):
    """The schedule that ``set_schedule`` has set: one of the three is not None."""

    capture_frequency_hz: float | None
    interval_s: float | None
    cron: str | None
    until: float
    """On the event loop's clock; inf: no end."""
    since_us: int
    until_us: int | None


class Labels(NamedTuple):
    """Tags and datasets that are added to those of the attributes."""

    tags: tuple[str, ...] = ()
    dataset_ids: tuple[str, ...] = ()

    def also(self, more: Labels) -> Labels:
        """These labels, followed by more."""
        if more == NO_LABELS:
            return self
        return Labels((*self.tags, *more.tags), (*self.dataset_ids, *more.dataset_ids))


NO_LABELS = Labels()


class TagsOrder(NamedTuple):
    """The labels that ``set_tags`` has set."""

    tags: tuple[str, ...]
    dataset_ids: tuple[str, ...]
    since_us: int


class TriggerOrder(NamedTuple):
    """The opening of a gate by ``trigger``."""

    until: float
    """On the event loop's clock, the gate's ``after_s`` included."""
    since_us: int
    until_us: int


@dataclass(slots=True)
class KeptOfSource:
    """The counts and orders of one source. The old and the new instance of a service use the same object."""

    captured: int = 0
    filtered: int = 0
    missed: int = 0
    errors: int = 0
    dropped: int = 0
    last_capture: Stamp | None = None
    schedule: ScheduleOrder | None = None
    tags: TagsOrder | None = None
    trigger: TriggerOrder | None = None
    said: set[str] = field(default_factory=set)
    """Texts about its attributes that were logged; each is logged once."""

    @property
    def labels(self) -> Labels:
        """The labels that ``set_tags`` adds."""
        return NO_LABELS if self.tags is None else Labels(self.tags.tags, self.tags.dataset_ids)

    @property
    def open_until(self) -> float:
        """Until when ``trigger`` keeps the gate open, on the event loop's clock; -inf if it was never used."""
        return -math.inf if self.trigger is None else self.trigger.until


@dataclass(slots=True)
class KeptOfFolder:
    """The counts of one folder; instances share the object, as for a source."""

    captured: int = 0
    """Files that are safely in the spool."""
    errors: int = 0
    """Scans that failed completely or in part."""
    last_capture_us: int | None = None
