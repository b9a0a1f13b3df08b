"""The one thread that owns the spool's file: group commit, room, tidying.

Appends and acknowledgements gather on the event loop for ``GROUP_S`` or until ``GROUP_CAPTURES``, and share one
transaction. Reads are served at once, between transactions, so that they see only what is committed. What a transaction
did goes to the event loop as one ``Outcome``, in the order of the commits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from module.config import SpoolConfig, Sync, WhenFull
from module.errors import SpoolClosed, SpoolError, SpoolFull
from module.spool.ballast import BALLAST_BYTES, Ballast
from module.spool.database import Database
from module.spool.jobs import Acknowledge, Append, Call, Gathering, Group, Outcome, Rescue
from module.spool.opening import Opened, is_damage, open_spool
from module.spool.queues import Held
from module.spool.retention import drop_newest, drop_oldest, thin
from module.spool.rows import StreamRow, room_of
from module.spool.salvage import is_full

_IDLE_S = 5.0
_KEEP_FREE_BYTES = 8 * 1024 * 1024
_VACUUM_PAGES = 128
_IDLE_STEP_S = 0.05
_BUSY_STEP_S = 1.0
_RETRY_S = 1.0
_FULL_FOR_S = 5.0
_COMMIT_TRIES = 3
"""One for a disk that turns out to be full, one for a file that turns out to be damaged."""


class Owner:
    """The thread, and the queue of jobs that it works off in order."""

    def __init__(
        self,
        path: Path,
        settings: SpoolConfig,
        logger: logging.Logger,
        *,
        held: Held,
        on_outcome: Callable[[Outcome], None],
        on_rescue: Callable[[Rescue], None],
    ) -> None:
        """The callbacks run on the event loop."""
        self._path = path
        self._settings = settings
        self._logger = logger
        self._held = held
        self._on_outcome = on_outcome
        self._on_rescue = on_rescue
        self._opened: Database | None = None
        self._damage: Exception | None = None
        self._closed_for: Exception | None = None
        self._open_again = 0.0
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[Group | Call | None] = queue.SimpleQueue()
        self._gathering = Gathering(self._jobs.put)
        self._thread: threading.Thread | None = None
        self._used = 0
        self._thinned_to = 0
        self._full_until = 0.0
        self._ballast = Ballast(path.with_name("reserve"))
        # Written here, read by anyone.
        self.oldest_us: int | None = None
        self.free_disk_bytes = 0
        self.damaged: str | None = None
        """The newest damaged file that was set aside and is still there."""
        self.unreadable = 0
        """How many captures could not be read when files were set aside."""

    async def start(self) -> tuple[list[StreamRow], int]:
        """Open the file; gives its streams and the number of its failures. Raises SpoolError."""
        opened: asyncio.Future[tuple[list[StreamRow], int]] = self._loop.create_future()
        # A daemon, so that a disk that never answers cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, args=(opened,), name="courier-spool", daemon=True)
        self._thread.start()
        return await opened

    async def stop(self) -> None:
        """Work off what was put before, close the file, and end the thread."""
        self._gathering.hand_over()
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def put(self, job: Append | Acknowledge | Call) -> None:
        """Queue a job."""
        if not isinstance(job, Call):
            self._gathering.add(job)
            return
        if job.writes:
            # It may be about what was appended before.
            self._gathering.hand_over()
        self._jobs.put(job)

    def _post(self, callback: Callable[..., object], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            # The loop has gone; what was committed is safe all the same.
            self._logger.debug("the event loop closed before the spool did")

    def _run(self, opened: asyncio.Future[tuple[list[StreamRow], int]]) -> None:
        try:
            found = self._open()
            self._ballast.fill()
        except Exception as error:  # noqa: BLE001, whoever opens must get an answer
            self._close()
            self._post(_fail, opened, SpoolError(f"the spool at {self._path} cannot be opened: {error}"))
            return
        try:
            self._post(_give, opened, (found.streams, found.failed))
            self._serve()
        except Exception:
            self._logger.exception("the spool at %s stopped", self._path)
        finally:
            self._abandon()
            self._close()

    def _open(self) -> Opened:
        try:
            found = open_spool(self._path, self._logger, self._damage)
        except Exception as error:
            if not is_full(error):
                raise
            # What is held in reserve may be all that it takes.
            self._ballast.release()
            found = open_spool(self._path, self._logger, self._damage)
        try:
            self._measure(found.db)
        except Exception as error:
            found.db.close()
            if self._damage is not None or not is_damage(error):
                raise
            self._damage = error
            return self._open()
        self._damage = None
        self._opened, self.damaged, self.unreadable = found.db, found.damaged, found.unreadable
        return found

    def _close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            with contextlib.suppress(sqlite3.Error):
                opened.close()

    @property
    def _db(self) -> Database:
        """The open file. After damage it is a new one, as soon as the disk allows; SpoolError until then."""
        if self._opened is None:
            if time.monotonic() < self._open_again:
                raise SpoolError(f"the spool at {self._path} cannot be opened again: {self._closed_for}")
            try:
                found = self._open()
                held = found.db.present(list(self._held.in_flight))
            except Exception as error:
                self._close()
                self._closed_for, self._open_again = error, time.monotonic() + _RETRY_S
                raise
            self._post(self._on_rescue, Rescue(found.streams, found.failed, held))
            return found.db
        return self._opened

    def _abandon(self) -> None:
        """Answer what was put after the end."""
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            for asked in (job,) if isinstance(job, Call) else job.appends if job else ():
                self._post(_fail, asked.done, SpoolClosed("the spool is closed"))

    def _serve(self) -> None:
        left, again_at = Group(), math.inf
        tidy_at = time.monotonic() + _IDLE_S
        idle_at = tidy_at
        while True:
            try:
                job = self._jobs.get(timeout=max(0.0, min(tidy_at, again_at) - time.monotonic()))
            except queue.Empty:
                if again_at <= time.monotonic():
                    job = Group()
                else:
                    busy = time.monotonic() < idle_at
                    tidy_at = time.monotonic() + max(self._tidy(), _BUSY_STEP_S if busy else 0.0)
                    continue
            else:
                idle_at = time.monotonic() + _IDLE_S
            if isinstance(job, Call) and not job.writes:
                self._call(job)
                continue
            group = job if isinstance(job, Group) else Group()
            group.acknowledged[:0] = left.acknowledged
            left = self._commit(group)
            again_at = time.monotonic() + _RETRY_S if left else math.inf
            if job is None:
                return
            if isinstance(job, Call):
                self._call(job)

    def _commit(self, group: Group) -> Group:
        """Commit a group; gives what is left of it: the acknowledgements, if the disk refused."""
        if not group:
            return group
        refusal: Exception | None = None
        disk_is_full = time.monotonic() < self._full_until
        for _ in range(_COMMIT_TRIES):
            try:
                outcome = self._write(self._db, group, disk_is_full=disk_is_full)
            except Exception as error:  # noqa: BLE001, whatever it is, the next group must have its chance
                self._recover(error)
                refusal = error
                if is_full(error):
                    # A disk that fills up under a commit is a full spool: once more, within the room the file has.
                    disk_is_full, self._full_until = True, time.monotonic() + _FULL_FOR_S
                    self._make_way()
                elif self._damage is None:
                    break
            else:
                self._post(self._on_outcome, outcome)
                self._look_after(disk_is_full=disk_is_full)
                return Group()
        problem = (SpoolFull if is_full(refusal) else SpoolError)(f"the spool at {self._path} took nothing: {refusal}")
        self._post(self._on_outcome, Outcome(refused=[(append, problem) for append in group.appends]))
        return Group(acknowledged=group.acknowledged)

    def _look_after(self, *, disk_is_full: bool) -> None:
        try:
            if disk_is_full and not self._ballast.held:
                self._make_way()
                self._ballast.fill()
            self._look(self._db)
        except (sqlite3.Error, OSError, SpoolError) as error:
            self._recover(error)

    def _make_way(self) -> None:
        self._ballast.release()
        try:
            self._db.give_back(_VACUUM_PAGES)
        except (sqlite3.Error, OSError, SpoolError) as error:
            self._recover(error)
            self._logger.debug("the spool at %s could not give room back: %s", self._path, error)

    def _write(self, db: Database, group: Group, *, disk_is_full: bool) -> Outcome:
        outcome = Outcome()
        db.begin(durable=self._settings.sync is Sync.FULL and bool(group.appends))
        used = self._used
        for job in group.acknowledged:
            count, room = db.delete(job.stream, job.ids, job.room)
            db.sent_files.remember(job.files)
            outcome.acknowledged.append((job, count, room))
            used -= room
        self._used = used
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
            return drop_newest(db.lines(self._held, newest_first=True), need, up_to_priority=priority)
        if policy is WhenFull.THIN:
            # From where the last thinning ended; once more from the start; and where a half is not enough, the oldest.
            for after_id in dict.fromkeys((self._thinned_to, 0)):
                victims = thin(db.lines(self._held, after_id=after_id), need, up_to_priority=priority)
                if victims is not None:
                    self._thinned_to = max(victims, default=after_id)
                    return victims
        return drop_oldest(db.lines(self._held), need, up_to_priority=priority)

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

    def _call(self, call: Call) -> None:
        try:
            db = self._db
            if call.writes:
                db.begin(durable=True)
            result = call.work(db)
            if call.writes:
                db.commit()
                self._measure(db)
        except Exception as error:  # noqa: BLE001, whatever it is, appends must go on
            self._recover(error)
            self._post(_fail, call.done, SpoolError(f"the spool at {self._path}: {error}"))
        else:
            self._post(_give, call.done, result)

    def _recover(self, error: Exception) -> None:
        """Take back what an error left half done; what it says of the file is looked after when that is used next."""
        if self._opened is None:
            return
        if not is_damage(error):
            try:
                self._opened.rollback()
                self._measure(self._opened)
            except Exception as problem:  # noqa: BLE001, the thread must go on whatever the file is like
                error = problem
                self._logger.error("the spool at %s: %s", self._path, problem)  # noqa: TRY400, the cause is in the line
        if is_damage(error):
            self._damage = error
            self._close()

    def _measure(self, db: Database) -> None:
        self._used = db.used_bytes()
        self._look(db)

    def _look(self, db: Database) -> None:
        self.oldest_us = db.oldest_us()
        self.free_disk_bytes = self._free_disk()

    def _free_disk(self) -> int:
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize

    def _tidy(self) -> float:
        """Give room back to the disk, a little at a time; gives the seconds until the next look."""
        try:
            db = self._db
            self._look(db)
            if self.free_disk_bytes > 2 * BALLAST_BYTES:
                self._ballast.fill()
            if db.free_bytes() <= _KEEP_FREE_BYTES:
                return _IDLE_S
            db.vacuum(_VACUUM_PAGES)
        except (sqlite3.Error, OSError, SpoolError) as error:
            self._recover(error)
            self._logger.warning("the spool at %s could not be tidied: %s", self._path, error)
            return _IDLE_S
        return _IDLE_STEP_S


def _give(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
