"""The one thread that owns the spool's file: group commit, room, tidying.

Appends and acknowledgements gather on the event loop first (``module.spool.gathering``). All that is queued when the
thread comes round, calls that write included, shares one transaction, however slow the disk is. Reads come first,
between transactions, so that they see only what is committed. What a transaction did goes to the event loop part by
part, in the order in which it was put.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable

from module.attributes.uploader import SpoolConfig, Sync
from module.clock.machine_clock import Clock, Stamp
from module.errors import SpoolClosed, SpoolError, SpoolFull
from module.spool.ballast import BALLAST_BYTES, Ballast
from module.spool.capacity import Capacity
from module.spool.damage.opening import Opened, close_spool, is_damage, open_spool
from module.spool.damage.salvage import is_full
from module.spool.database import Database
from module.spool.gathering import Gathering
from module.spool.messages import Batch, Call, CallFailed, Group, Outcome, Rescue, answer, fail
from module.spool.place import Place
from module.spool.rows import StreamRow
from module.spool.stream_index import Held

_LOCK_RETRY_S = 0.05
_IDLE_S = 5.0
_SLOW_COMMIT_S = 0.25
"""On a disk that takes as long to commit, closing does not wait for more syncs than it must."""
_BUSY_STEP_S = 1.0
_RETRY_S = 1.0
_FULL_FOR_S = 5.0
_COMMIT_TRIES = 3
"""One for a disk that turns out to be full, one for a file that turns out to be damaged."""


class Owner:
    """The thread, and the queue of jobs that it works off in order."""

    def __init__(
        self,
        place: Place,
        settings: SpoolConfig,
        logger: logging.Logger,
        *,
        held: Held,
        clock: Clock,
        on_outcome: Callable[[Outcome], None],
        on_rescue: Callable[[Rescue], None],
        on_wait: Callable[[], None],
        on_hand_over: Callable[[], None],
    ) -> None:
        """The callbacks run on the event loop.

        ``on_wait``: once another instance has been found to hold the spool; ``on_hand_over``: whenever captures that
        have gathered go to the thread.
        """
        self._place = place
        self._settings = settings
        self._logger = logger
        self._held = held
        self._clock = clock
        self._on_outcome = on_outcome
        self._on_rescue = on_rescue
        self._on_wait = on_wait
        self._stopping = threading.Event()
        self._ended: asyncio.Future[None] | None = None
        self._opened: Database | None = None
        self._damage: Exception | None = None
        self._closed_for: Exception | None = None
        self._open_again = 0.0
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[Group | Call | None] = queue.SimpleQueue()
        self.gathering = Gathering(self._jobs.put, on_hand_over, settings.group_s, settings.max_bytes)
        """Takes captures and acknowledgements in."""
        self._capacity = Capacity(place, settings, held)
        self._full_until = 0.0
        self._commit_s = 0.0
        """How long the last commit took that waited for the disk."""
        self._ballast = Ballast(place)
        # Written here, read by anyone.
        self.oldest: Stamp | None = None
        self.free_disk_bytes = 0
        self.damaged: str | None = None
        """The newest damaged file that was set aside and is still there."""
        self.unreadable = 0
        """How many captures could not be read when files were set aside."""

    async def start(self) -> tuple[list[StreamRow], int]:
        """Open the file, once no other instance holds it; returns its streams and the number of its failures.

        Raises SpoolError; ``start`` may be called again then.
        """
        opened: asyncio.Future[tuple[list[StreamRow], int]] = self._loop.create_future()
        ended: asyncio.Future[None] = self._loop.create_future()
        # A daemon, so that a disk that never answers cannot keep the process from ending.
        threading.Thread(target=self._run, args=(opened, ended), name="courier-spool", daemon=True).start()
        self._ended = ended
        return await opened

    async def stop(self) -> None:
        """Do all jobs that were put before, close the file, release its lock, and end the thread.

        All of this happens even if nobody waits for the end of it.
        """
        self.gathering.hand_over()
        self._stopping.set()
        self._jobs.put(None)
        if self._ended is not None:
            await asyncio.shield(self._ended)

    def put(self, job: Call) -> None:
        """Queue a job."""
        if job.writes:
            # It may be about what was appended or acknowledged before.
            self.gathering.hand_over()
        self._jobs.put(job)

    def _post(self, callback: Callable[..., object], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            # The loop has gone; what was committed is safe all the same.
            self._logger.debug("the event loop closed before the spool did")

    def _run(self, opened: asyncio.Future[tuple[list[StreamRow], int]], ended: asyncio.Future[None]) -> None:
        try:
            self._take_place()
            found = self._open()
            self._ballast.fill()
        except Exception as error:  # noqa: BLE001, whoever opens must get an answer
            self._let_go()
            said = f"the spool at {self._place.file} cannot be opened: {error}"
            self._post(fail, opened, error if isinstance(error, SpoolClosed) else SpoolError(said))
        else:
            self._post(answer, opened, (found.streams, found.failed))
            try:
                self._serve()
            except Exception:
                self._logger.exception("the spool at %s stopped", self._place.file)
            finally:
                self._abandon()
                self._let_go()
        self._post(answer, ended, None)

    def _take_place(self) -> None:
        if self._place.take():
            return
        self._post(self._on_wait)
        while not self._place.take():
            if self._stopping.wait(_LOCK_RETRY_S):
                raise SpoolClosed("the spool is closed")

    def _let_go(self) -> None:
        if self._opened is not None:
            with contextlib.suppress(sqlite3.Error):
                self._opened.settle()
        # In this order: whoever has the lock finds the file closed.
        self._close()
        self._place.let_go()

    def _open(self) -> Opened:
        try:
            found = open_spool(self._place.file, self._logger, self._damage)
        except Exception as error:
            if not is_full(error):
                raise
            # What is held in reserve may be all that it takes.
            self._ballast.release()
            found = open_spool(self._place.file, self._logger, self._damage)
        try:
            self._measure(found.db)
        except Exception as error:
            found.db.close()
            if self._damage is not None or not is_damage(error):
                raise
            self._damage = error
            return self._open()
        self._damage = None
        found.db.clocks.follow(lambda: self._clock.true)
        self._opened, self.damaged, self.unreadable = found.db, found.damaged, found.unreadable
        return found

    def _close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            with contextlib.suppress(sqlite3.Error):
                close_spool(opened, keep_journal=self._commit_s > _SLOW_COMMIT_S)

    @property
    def _db(self) -> Database:
        """The open file. After damage it is a new one, as soon as the disk allows; SpoolError until then."""
        if self._opened is None:
            if time.monotonic() < self._open_again:
                raise SpoolError(f"the spool at {self._place.file} cannot be opened again: {self._closed_for}")
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
        for job in self._take(0.0):
            for asked in (job,) if isinstance(job, Call) else job.appends if job else ():
                self._post(fail, asked.done, SpoolClosed("the spool is closed"))

    def _serve(self) -> None:
        left, again_at = Group(), math.inf
        tidy_at = time.monotonic() + _IDLE_S
        idle_at = tidy_at
        while True:
            jobs = self._take(min(tidy_at, again_at))
            if jobs:
                idle_at = time.monotonic() + _IDLE_S
            elif time.monotonic() < again_at:
                busy = time.monotonic() < idle_at
                tidy_at = time.monotonic() + max(self._tidy(), _BUSY_STEP_S if busy else 0.0)
                continue
            batch = Batch([left] if left else [])
            for job in jobs:
                if isinstance(job, Call) and not job.writes:
                    self._read(job)
                elif job is not None:
                    batch.add(job)
            left = self._commit(batch)
            again_at = time.monotonic() + _RETRY_S if left else math.inf
            if None in jobs:
                return

    def _take(self, deadline: float) -> list[Group | Call | None]:
        """All that is queued, as soon as there is anything; nothing at a monotonic time."""
        jobs: list[Group | Call | None] = []
        with contextlib.suppress(queue.Empty):
            jobs.append(self._jobs.get(timeout=max(0.0, deadline - time.monotonic())))
            while True:
                jobs.append(self._jobs.get_nowait())
        return jobs

    def _commit(self, batch: Batch) -> Group:
        """Commit a batch; returns the rest of it: the acknowledgements, if the disk refused."""
        if not batch.parts:
            return Group()
        refusal: Exception | None = None
        disk_is_full = time.monotonic() < self._full_until
        for _ in range(_COMMIT_TRIES):
            try:
                done = self._write(self._db, batch, disk_is_full=disk_is_full)
            except CallFailed as failed:
                self._recover(failed)
                self._post(fail, failed.call.done, self._failed(failed.__cause__))
                return self._commit(batch.without(failed.call))
            except Exception as error:  # noqa: BLE001, whatever it is, the next batch must have its chance
                self._recover(error)
                refusal = error
                if is_full(error):
                    # A disk that fills up under a commit is a full spool: once more, within the room the file has.
                    disk_is_full, self._full_until = True, time.monotonic() + _FULL_FOR_S
                    self._make_way()
                elif self._damage is None:
                    break
            else:
                for post in done:
                    post()
                self._look_after(disk_is_full=disk_is_full)
                return Group()
        return self._refuse(batch, refusal)

    def _write(self, db: Database, batch: Batch, *, disk_is_full: bool) -> list[Callable[[], None]]:
        """Write a batch in one transaction; returns what is to be posted of it, part by part."""
        durable = batch.has_calls or (self._settings.sync is Sync.FULL and batch.has_appends)
        db.begin(durable=durable)
        done: list[Callable[[], None]] = []
        for part in batch.parts:
            if isinstance(part, Group):
                outcome = self._capacity.write(db, part, disk_is_full=disk_is_full)
                done.append(functools.partial(self._post, self._on_outcome, outcome))
            else:
                done.append(self._work(db, part))
        begun = time.monotonic()
        db.commit()
        if durable:
            self._commit_s = time.monotonic() - begun
        return done

    def _work(self, db: Database, call: Call) -> Callable[[], None]:
        try:
            result = call.work(db)
        except Exception as error:
            # What is wrong with the disk or the file concerns the others too; all else concerns nobody but who called.
            if isinstance(error, sqlite3.OperationalError | OSError) or is_damage(error):
                raise
            raise CallFailed(call) from error
        self._capacity.measure(db)
        return functools.partial(self._post, call.answer, result)

    def _refuse(self, batch: Batch, refusal: Exception | None) -> Group:
        full = str(refusal) if is_full(refusal) else None
        problem = (SpoolFull if full else SpoolError)(
            f"the spool at {self._place.file} could not be written: {refusal}"
        )
        left = Group()
        for part in batch.parts:
            if isinstance(part, Call):
                self._post(fail, part.done, self._failed(refusal))
            else:
                left.acknowledged += part.acknowledged
                refused = [(append, problem) for append in part.appends]
                self._post(self._on_outcome, Outcome(refused=refused, full=full))
        return left

    def _failed(self, error: BaseException | None) -> SpoolError:
        return SpoolError(f"the spool at {self._place.file}: {error}")

    def _look_after(self, *, disk_is_full: bool) -> None:
        try:
            if disk_is_full and not self._ballast.held:
                self._make_way()
                self._ballast.fill()
            self._look(self._db)
        except Exception as error:  # noqa: BLE001, the thread must go on
            self._recover(error)

    def _make_way(self) -> None:
        self._ballast.release()
        try:
            self._db.free_pages.make_way()
        except Exception as error:  # noqa: BLE001, the thread must go on
            self._recover(error)
            self._logger.debug("the spool at %s could not free room on the disk: %s", self._place.file, error)

    def _read(self, call: Call) -> None:
        try:
            result = call.work(self._db)
        except Exception as error:  # noqa: BLE001, whatever it is, appends must go on
            self._recover(error)
            self._post(fail, call.done, self._failed(error))
        else:
            self._post(call.answer, result)

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
                self._logger.error("the spool at %s: %s", self._place.file, problem)  # noqa: TRY400, the cause is in the line
        if is_damage(error):
            self._damage = error
            self._close()

    def _measure(self, db: Database) -> None:
        self._capacity.measure(db)
        self._look(db)

    def _look(self, db: Database) -> None:
        self.oldest = db.oldest()
        self.free_disk_bytes = self._capacity.free_disk()

    def _tidy(self) -> float:
        """Free room on the disk, a little at a time; returns the seconds until the next look."""
        try:
            db = self._db
            self._look(db)
            if self.free_disk_bytes > 2 * BALLAST_BYTES:
                self._ballast.fill()
            return db.free_pages.shrink() or _IDLE_S
        except Exception as error:  # noqa: BLE001, the thread must go on
            self._recover(error)
            self._logger.warning("the spool at %s could not be tidied: %s", self._place.file, error)
            return _IDLE_S
