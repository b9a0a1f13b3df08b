"""What of a source and of a folder outlives a rebuild of the service: what they counted, and what commands have set.

Times of commands are µs since the epoch for people to read, and seconds of the event loop's clock to go by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from module.clock.machine_clock import Stamp


class ScheduleOrder(NamedTuple):
    """What ``set_schedule`` has set: one of the three is given."""

    capture_frequency_hz: float | None
    interval_s: float | None
    cron: str | None
    until: float
    """On the event loop's clock; inf: for good."""
    since_us: int
    until_us: int | None


class Labels(NamedTuple):
    """What is added to the tags and the datasets that the attributes name."""

    tags: tuple[str, ...] = ()
    dataset_ids: tuple[str, ...] = ()

    def also(self, more: Labels) -> Labels:
        """These, and more behind them."""
        return Labels((*self.tags, *more.tags), (*self.dataset_ids, *more.dataset_ids))


NO_LABELS = Labels()


class TagsOrder(NamedTuple):
    """What ``set_tags`` has set."""

    tags: tuple[str, ...]
    dataset_ids: tuple[str, ...]
    since_us: int


class TriggerOrder(NamedTuple):
    """What ``trigger`` has opened."""

    until: float
    """On the event loop's clock, the gate's ``after_s`` included."""
    since_us: int
    until_us: int


@dataclass(slots=True)
class KeptOfSource:
    """One source's counts and orders, live: the instance that ends and the one that begins share it."""

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
    """What was logged of its attributes, which is logged once."""

    @property
    def labels(self) -> Labels:
        """What ``set_tags`` adds."""
        return NO_LABELS if self.tags is None else Labels(self.tags.tags, self.tags.dataset_ids)

    @property
    def open_until(self) -> float:
        """Until when ``trigger`` keeps the gate open, on the event loop's clock; -inf: it never did."""
        return -math.inf if self.trigger is None else self.trigger.until


@dataclass(slots=True)
class KeptOfFolder:
    """One folder's counts, live as those of a source."""

    captured: int = 0
    """Files that are safely in the spool."""
    errors: int = 0
    """Scans that failed, in whole or in part."""
    last_capture_us: int | None = None
