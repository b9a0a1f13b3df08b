"""What the event loop asks of the spool's thread, and what that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from module.capture import Capture, FileMark
from module.errors import SpoolError
from module.spool.database import Database
from module.spool.rows import Row, StreamRow


def nothing(_result: Any) -> None:
    """Do nothing with a result."""


class OnThread(Protocol):
    """Has work done on the thread of the file, as ``module.spool.store.Store`` does."""

    def __call__(
        self, work: Callable[[Database], Any], *, writes: bool, then: Callable[[Any], object] = nothing
    ) -> Awaitable[Any]:
        """Do it, and return its result; raises SpoolError, and SpoolClosed after ``close``.

        To cancel it stops nothing: ``then`` is called with the result on the event loop, in the order of the commits.
        """


@dataclass(slots=True)
class Append:
    """Captures to be written; the result of ``done`` is their ids."""

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
    """Any other work on the database; ``done`` has its result."""

    work: Callable[[Database], Any]
    done: asyncio.Future[Any]
    writes: bool
    then: Callable[[Any], object] = nothing
    """Is called with the result on the event loop, even if nobody waits for it any more."""

    def answer(self, result: Any) -> None:
        """Note the result, before anything that was done after it."""
        answer(self.done, result)
        self.then(result)


@dataclass(slots=True)
class Outcome:
    """What one transaction did."""

    appended: list[tuple[Append, list[Row]]] = field(default_factory=list)
    refused: list[tuple[Append, SpoolError]] = field(default_factory=list)
    acknowledged: list[Acknowledge] = field(default_factory=list)
    dropped: list[Row] = field(default_factory=list)
    dropped_failures: list[Row] = field(default_factory=list)
    full: str | None = None
    """Why there was no room, so that captures were dropped or refused; None if there was room for all."""


@dataclass(frozen=True, slots=True)
class Rescue:
    """What a new file holds after a damaged one was set aside."""

    streams: list[StreamRow]
    failed: int
    present: set[int]
    """The captures in flight that the new file holds."""


@dataclass(slots=True)
class Group:
    """Writes that share one transaction."""

    appends: list[Append] = field(default_factory=list)
    acknowledged: list[Acknowledge] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.appends or self.acknowledged)


@dataclass(slots=True)
class Batch:
    """All that was queued when the spool's thread came round: one transaction."""

    parts: list[Group | Call] = field(default_factory=list)
    """In the order in which they were put."""

    def add(self, job: Group | Call) -> None:
        """Put a job behind the others; groups that follow one another become one."""
        last = self.parts[-1] if self.parts else None
        if isinstance(job, Group) and isinstance(last, Group):
            last.appends += job.appends
            last.acknowledged += job.acknowledged
        else:
            self.parts.append(job)

    def without(self, call: Call) -> Batch:
        """The others."""
        return Batch([part for part in self.parts if part is not call])

    @property
    def has_calls(self) -> bool:
        """Whether there are calls among them."""
        return any(isinstance(part, Call) for part in self.parts)

    @property
    def has_appends(self) -> bool:
        """Whether there are captures among them."""
        return any(isinstance(part, Group) and part.appends for part in self.parts)


class CallFailed(Exception):
    """A call failed, and other jobs are not affected; its cause says why."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self.call = call


def answer(future: asyncio.Future[Any], result: Any) -> None:
    """Set the result of a future, if somebody may still wait for it."""
    if not future.done():
        future.set_result(result)


def fail(future: asyncio.Future[Any], error: Exception) -> None:
    """Set the error of a future, if somebody may still wait for it."""
    if not future.done():
        future.set_exception(error)
