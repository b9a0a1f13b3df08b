"""The one thread that owns the spool's file: group commit, room, tidying.

Appends and acknowledgements gather for ``GROUP_S`` or until ``GROUP_CAPTURES``, and share one transaction. Reads are
served at once, between transactions, so that they see only what is committed. What a transaction did goes to the event
loop as one ``Outcome``, in the order of the commits.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from module.capture import Capture, FileMark
from module.config import SpoolConfig, Sync, WhenFull
from module.errors import SpoolClosed, SpoolError, SpoolFull
from module.spool.ballast import BALLAST_BYTES, Ballast
from module.spool.database import Database
from module.spool.opening import open_spool
from module.spool.retention import drop_newest, drop_oldest, thin
from module.spool.rows import Row, StreamRow, room_of

GROUP_S = 0.02
"""How long a commit waits for company."""
GROUP_CAPTURES = 256
"""How many captures make a commit at once."""
_IDLE_S = 5.0
_KEEP_FREE_BYTES = 8 * 1024 * 1024
_VACUUM_PAGES = 128
_RETRY_S = 1.0
_FULL_FOR_S = 5.0


@dataclass(slots=True)
class Append:
    """Captures to be written; ``done`` gives their ids."""

    captures: Sequence[Capture]
    done: asyncio.Future[list[int]]


@dataclass(slots=True)
class Acknowledge:
    """Delivered captures to be deleted, and the files among them to be remembered."""

    rows: list[Row]
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
    acknowledged: list[Acknowledge] = field(default_factory=list)
    dropped: list[Row] = field(default_factory=list)
    dropped_failures: list[Row] = field(default_factory=list)


@dataclass(slots=True)
class _Group:
    """Writes that will share one transaction."""

    appends: list[Append] = field(default_factory=list)
    acknowledged: list[Acknowledge] = field(default_factory=list)
    due: float = math.inf

    def add(self, job: Append | Acknowledge) -> None:
        if isinstance(job, Append):
            self.appends.append(job)
        else:
            self.acknowledged.append(job)
        self.due = min(self.due, time.monotonic() + GROUP_S)

    def full(self) -> bool:
        return sum(len(append.captures) for append in self.appends) >= GROUP_CAPTURES


class Owner:
    """The thread, and the queue of jobs that it works off in order."""

    def __init__(
        self,
        path: Path,
        settings: SpoolConfig,
        logger: logging.Logger,
        *,
        in_flight: Collection[int],
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        """``in_flight`` is only ever asked whether it holds an id; ``on_outcome`` is called on the event loop."""
        self._path = path
        self._settings = settings
        self._logger = logger
        self._in_flight = in_flight
        self._on_outcome = on_outcome
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[Append | Acknowledge | Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._used = 0
        self._thinned_to = 0
        self._full_until = 0.0
        self._ballast = Ballast(path.with_name("reserve"))
        # Written here, read by anyone.
        self.oldest_us: int | None = None
        self.free_disk_bytes = 0
        self.damaged: str | None = None
        """Where a damaged file was set aside when this one was opened."""

    async def start(self) -> tuple[list[StreamRow], int]:
        """Open the file; gives its streams and the number of its failures. Raises SpoolError."""
        opened: asyncio.Future[tuple[list[StreamRow], int]] = self._loop.create_future()
        # A daemon, so that a disk that never answers cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, args=(opened,), name="courier-spool", daemon=True)
        self._thread.start()
        return await opened

    async def stop(self) -> None:
        """Work off what was put before, close the file, and end the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def put(self, job: Append | Acknowledge | Call) -> None:
        """Queue a job."""
        self._jobs.put(job)

    def _post(self, callback: Callable[..., object], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            # The loop has gone; what was committed is safe all the same.
            self._logger.debug("the event loop closed before the spool did")

    def _run(self, opened: asyncio.Future[tuple[list[StreamRow], int]]) -> None:
        try:
            found = open_spool(self._path, self._logger)
        except Exception as error:  # noqa: BLE001, whoever opens must get an answer
            self._post(_fail, opened, SpoolError(f"the spool at {self._path} cannot be opened: {error}"))
            return
        db, self.damaged = found.db, found.damaged
        try:
            self._ballast.fill()
            self._measure(db)
            self._post(_give, opened, (found.streams, found.failed))
            self._serve(db)
        except Exception as error:
            self._logger.exception("the spool at %s stopped", self._path)
            self._post(_fail, opened, SpoolError(f"the spool at {self._path} stopped: {error}"))
        finally:
            self._abandon()
            db.close()

    def _abandon(self) -> None:
        """Answer what was put after the end."""
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if isinstance(job, Append | Call):
                self._post(_fail, job.done, SpoolClosed("the spool is closed"))

    def _serve(self, db: Database) -> None:
        group = _Group()
        idle = _IDLE_S
        while True:
            try:
                job = self._jobs.get(timeout=min(idle, max(0.0, group.due - time.monotonic())))
            except queue.Empty:
                if group.due <= time.monotonic():
                    group = self._commit(db, group)
                else:
                    idle = self._tidy(db)
                continue
            idle = _IDLE_S
            if job is None:
                self._commit(db, group)
                return
            if isinstance(job, Call):
                if job.writes:
                    group = self._commit(db, group)
                self._call(db, job)
                continue
            group.add(job)
            if group.full():
                group = self._commit(db, group)

    def _commit(self, db: Database, group: _Group) -> _Group:
        """Commit a group; gives the one to go on with, which holds the acknowledgements if the disk refused."""
        if group.due == math.inf:
            return group
        refusal: Exception | None = None
        for disk_is_full in (time.monotonic() < self._full_until, True):
            try:
                outcome = self._write(db, group, disk_is_full=disk_is_full)
            except Exception as error:  # noqa: BLE001, whatever it is, the next group must have its chance
                self._recover(db)
                refusal = error
                # A disk that fills up under a commit is a full spool: once more, within the room that the file has.
                if not _is_full(error):
                    break
                self._full_until = time.monotonic() + _FULL_FOR_S
                self._make_way(db)
            else:
                if disk_is_full and not self._ballast.held:
                    self._make_way(db)
                    self._ballast.fill()
                self._look(db)
                self._post(self._on_outcome, outcome)
                return _Group()
        problem = (SpoolFull if _is_full(refusal) else SpoolError)(f"the spool at {self._path} took nothing: {refusal}")
        self._post(self._on_outcome, Outcome(refused=[(append, problem) for append in group.appends]))
        if not group.acknowledged:
            return _Group()
        return _Group(acknowledged=group.acknowledged, due=time.monotonic() + _RETRY_S)

    def _make_way(self, db: Database) -> None:
        self._ballast.release()
        try:
            db.give_back(_VACUUM_PAGES)
        except sqlite3.Error as error:
            self._logger.debug("the spool at %s could not give room back: %s", self._path, error)

    def _write(self, db: Database, group: _Group, *, disk_is_full: bool) -> Outcome:
        outcome = Outcome(acknowledged=group.acknowledged)
        db.begin(durable=self._settings.sync is Sync.FULL and bool(group.appends))
        rows = [row for job in group.acknowledged for row in job.rows]
        db.delete(rows)
        db.remember_sent(mark for job in group.acknowledged for mark in job.files)
        self._used -= sum(room for _, _, room in rows)
        for append in group.appends:
            self._insert(db, append, outcome, disk_is_full=disk_is_full)
        db.commit()
        return outcome

    def _insert(self, db: Database, append: Append, outcome: Outcome, *, disk_is_full: bool) -> None:
        incoming = sum(room_of(capture) for capture in append.captures)
        need = self._used + incoming - self._settings.max_bytes
        free = 0 if disk_is_full else self._free_disk()
        if disk_is_full or free < self._settings.min_free_bytes:
            # Pages that are free within the file cost the disk nothing.
            need = max(need, incoming - db.free_bytes())
        if need > 0:
            priority = min(capture.origin.priority for capture in append.captures)
            victims = self._victims(db, need, priority)
            if victims is None:
                outcome.refused.append((append, self._full(free, incoming, disk_is_full=disk_is_full)))
                return
            failures = db.drop_failures(victims)
            waiting = db.drop(victims)
            outcome.dropped_failures += failures
            outcome.dropped += waiting
            self._used -= sum(room for _, _, room in failures + waiting)
        outcome.appended.append((append, db.insert(append.captures)))
        self._used += incoming

    def _victims(self, db: Database, need: int, priority: int) -> list[int] | None:
        policy = self._settings.when_full
        if policy is WhenFull.DROP_NEWEST:
            return drop_newest(db.lines(self._in_flight, newest_first=True), need, up_to_priority=priority)
        if policy is WhenFull.THIN:
            # From where the last thinning ended; once more from the start; and where a half is not enough, the oldest.
            for after_id in dict.fromkeys((self._thinned_to, 0)):
                victims = thin(db.lines(self._in_flight, after_id=after_id), need, up_to_priority=priority)
                if victims is not None:
                    self._thinned_to = max(victims, default=after_id)
                    return victims
        return drop_oldest(db.lines(self._in_flight), need, up_to_priority=priority)

    def _full(self, free: int, incoming: int, *, disk_is_full: bool) -> SpoolFull:
        if disk_is_full:
            return SpoolFull(f"no room in the spool: the disk under {self._path.parent} is full")
        if free < self._settings.min_free_bytes:
            return SpoolFull(
                f"no room in the spool: the disk under {self._path.parent} has {free} bytes free, "
                f"and spool.min_free_bytes is {self._settings.min_free_bytes}"
            )
        return SpoolFull(
            f"no room in the spool for {incoming} bytes: spool.max_bytes is {self._settings.max_bytes}, "
            "and all that is in it has a higher priority or is on its way"
        )

    def _call(self, db: Database, call: Call) -> None:
        try:
            if call.writes:
                db.begin(durable=True)
            result = call.work(db)
            if call.writes:
                db.commit()
                self._measure(db)
        except Exception as error:  # noqa: BLE001, whatever it is, appends must go on
            self._recover(db)
            self._post(_fail, call.done, SpoolError(f"the spool at {self._path}: {error}"))
        else:
            self._post(_give, call.done, result)

    def _recover(self, db: Database) -> None:
        try:
            db.rollback()
            self._measure(db)
        except (sqlite3.Error, OSError) as error:
            self._logger.error("the spool at %s: %s", self._path, error)  # noqa: TRY400, the cause is in the line

    def _measure(self, db: Database) -> None:
        self._used = db.used_bytes()
        self._look(db)

    def _look(self, db: Database) -> None:
        self.oldest_us = db.oldest_us()
        self.free_disk_bytes = self._free_disk()

    def _free_disk(self) -> int:
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize

    def _tidy(self, db: Database) -> float:
        """Give room back to the disk, a little at a time; gives the seconds until the next look."""
        try:
            self._look(db)
            if self.free_disk_bytes > 2 * BALLAST_BYTES:
                self._ballast.fill()
            if db.free_bytes() <= _KEEP_FREE_BYTES:
                return _IDLE_S
            db.vacuum(_VACUUM_PAGES)
        except (sqlite3.Error, OSError) as error:
            self._logger.warning("the spool at %s could not be tidied: %s", self._path, error)
            return _IDLE_S
        return 0.05


def _give(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _is_full(error: Exception | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
