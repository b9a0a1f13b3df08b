"""What the event loop asks of the spool's thread, and what that answers."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from module.capture import Capture, FileMark
from module.errors import SpoolError
from module.spool.database import Database
from module.spool.rows import Row, StreamRow

GROUP_S = 0.02
"""How long a commit waits for company."""
GROUP_CAPTURES = 64
"""How many captures make a commit at once."""


@dataclass(slots=True)
class Append:
    """Captures to be written; ``done`` gives their ids."""

    captures: Sequence[Capture]
    done: asyncio.Future[list[int]]


@dataclass(slots=True)
class Acknowledge:
    """Delivered captures of one stream to be deleted, and the files among them to be remembered."""

    stream: int
    ids: list[int]
    """Ascending."""
    room: int
    """Their footprint."""
    files: list[FileMark]
    done: asyncio.Future[None]


@dataclass(slots=True)
class Call:
    """Any other work on the database; ``done`` gives its result."""

    work: Callable[[Database], Any]
    done: asyncio.Future[Any]
    writes: bool


@dataclass(slots=True)
class Outcome:
    """What one transaction did."""

    appended: list[tuple[Append, list[Row]]] = field(default_factory=list)
    refused: list[tuple[Append, SpoolError]] = field(default_factory=list)
    acknowledged: list[tuple[Acknowledge, int, int]] = field(default_factory=list)
    """With the number of captures that were deleted, and their footprint."""
    dropped: list[Row] = field(default_factory=list)
    dropped_failures: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rescue:
    """What a new file holds after a damaged one was set aside."""

    streams: list[StreamRow]
    failed: int
    present: set[int]
    """Of the captures that were in flight, those that it holds."""


@dataclass(slots=True)
class Group:
    """Writes that will share one transaction."""

    appends: list[Append] = field(default_factory=list)
    acknowledged: list[Acknowledge] = field(default_factory=list)
    due: float = math.inf

    def add(self, job: Append | Acknowledge) -> None:
        """Take one more write in."""
        if isinstance(job, Append):
            self.appends.append(job)
        else:
            self.acknowledged.append(job)
        self.due = min(self.due, time.monotonic() + GROUP_S)

    def full(self) -> bool:
        """Whether it holds enough to be committed at once."""
        return sum(len(append.captures) for append in self.appends) >= GROUP_CAPTURES
