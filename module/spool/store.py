"""The durable queue between capture and cloud.

Invariants
----------
1. When ``append`` returns, its captures are in the file; with ``sync: full`` they survive a power cut.
2. A capture leaves the file only through ``acknowledge``, a retention policy (counted and logged), or ``discard``.
3. A claimed capture is still in the file. A crash, a cancellation or a ``release`` puts it back; nothing is lost, and
   what was delivered but not yet acknowledged is sent once more.
4. One thread owns the file, and one lock file keeps a second process out. The event loop owns the counts below. It
   decides only by them, and never waits for the disk.

Appends and acknowledgements that arrive together share one transaction (group commit).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from module.attributes.uploader import SpoolConfig, UploadConfig
from module.capture import Capture, Failure, Fate, FileMark, Item
from module.clock.machine_clock import Clock, Stamp
from module.errors import SpoolClosed, SpoolError, SpoolFull
from module.spool.adoption.adopter import Adopter
from module.spool.adoption.orphans import OrphanWatch
from module.spool.adoption.table import TakenOver
from module.spool.barrier import Barrier
from module.spool.claims import Claims
from module.spool.clock_ledger import ClockLedger
from module.spool.database import Database
from module.spool.drop_log import DropLog
from module.spool.failure_parts import Changed, FailureParts
from module.spool.file_book import FileBook
from module.spool.listener import Listener
from module.spool.messages import Acknowledge, Append, Call, Outcome, Rescue, nothing
from module.spool.pending import Pending
from module.spool.place import place_of
from module.spool.rows import Row
from module.spool.sequence_book import SequenceBook
from module.spool.stream_index import Queues
from module.spool.thread import Owner


class Store:
    """The spool of one service. All methods are called from one event loop."""

    def __init__(
        self,
        settings: SpoolConfig,
        upload: UploadConfig,
        logger: logging.Logger,
        clock: Clock | None = None,
        listener: Listener | None = None,
    ) -> None:
        clock = clock or Clock()
        self._settings = settings
        self._logger = logger
        place = self._place = place_of(settings, logger)
        self._closed = False
        self._queues = Queues(upload)
        self.pending = Pending()
        """What is on its way to the disk."""
        self._owner = Owner(
            place,
            settings,
            logger,
            held=self._queues.held,
            clock=clock,
            on_outcome=self._on_outcome,
            on_rescue=self._on_rescue,
            on_wait=self._on_wait,
            on_hand_over=self.pending.hand_over,
        )
        self._claims = Claims(self._queues, upload, self._call, logger, fail=self._move_to_failures)
        self._failure_parts = FailureParts(self._call)
        self._drops = DropLog(settings, logger)
        self.caught_up = self.pending.few
        self.work = asyncio.Event()
        """Set whenever there may be something new to claim."""
        self._listener = listener or Listener()
        self.barrier = Barrier(self._call)
        """What waits up to one capture."""
        self.files = FileBook(self._call, self.append)
        """What is known of the files of folders."""
        self.sequences = SequenceBook(self._call, clock)
        """The sequences that the cloud must still make."""
        self.orphans = OrphanWatch(place, logger)
        """Spools beside this one that nobody opens any more."""
        on_part, on_end = self._on_taken_over, self.sequences.look
        self.adopter = Adopter(self._call, place, self.orphans, settings, logger, on_part=on_part, on_end=on_end)
        """Takes them over."""
        self.clocks = ClockLedger(self._call)
        """The readings of the machine's clock, which captures are dated by."""
        self._leaving: dict[int, int] = {}
        """The footprints of captures that were acknowledged and are still in the file, by id."""
        self.items = 0
        """Captures that wait, those in flight included."""
        self.bytes = 0
        """Their footprint on the disk."""
        self.failed = 0
        """Captures that the cloud rejected."""
        self.last_error: str | None = None

    @property
    def directory(self) -> Path:
        """The spool's directory; it is certain once the spool is open."""
        return self._place.directory

    @property
    def oldest(self) -> Stamp | None:
        """When the waiting capture that came first into this spool was received (``Database.oldest``)."""
        return self._owner.oldest

    @property
    def damaged(self) -> str | None:
        """The newest damaged file of this spool that was set aside and is still there."""
        return self._owner.damaged

    @property
    def unreadable(self) -> int:
        """Captures that could not be read when damaged files were set aside."""
        return self._owner.unreadable

    @property
    def free_disk_bytes(self) -> int:
        """Free room on the spool's disk, as of the last commit or look."""
        return self._owner.free_disk_bytes

    async def open(self) -> None:
        """Open the spool, waiting as long as another instance holds it.

        Raises SpoolError, naming the file and the cause, when the directory or the file cannot be used; ``open`` may
        be called again then.
        """
        self.orphans.begin()
        streams, failed = await self._owner.start()
        self.last_error = None
        self._on_rescue(Rescue(streams, failed, set()))

    def _on_wait(self) -> None:
        self.last_error = f"the spool at {self._place.file} is held by another instance; waiting for it"
        self._logger.info(self.last_error)

    async def close(self) -> None:
        """Commit what was appended and acknowledged, and close the file. May be called more than once.

        To cancel it stops nothing: the file is closed, and its lock released, as soon as the disk allows.
        """
        self._closed = True
        self.orphans.end()
        try:
            await self._owner.stop()
            await self._failure_parts.end()
        finally:
            self._drops.end()

    def append_soon(self, captures: Sequence[Capture], *, at_once: bool = False) -> asyncio.Future[list[int]]:
        """Append captures; returns a future of their ids, which is done once they are safe.

        They wait for others up to ``spool.group_s``, unless a caller waits for them (``at_once``). The future raises
        SpoolFull if there is no room and none may be made, SpoolError if the disk refuses, SpoolClosed after ``close``.
        To cancel it takes nothing back.
        """
        done: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        if self._closed:
            done.set_exception(SpoolClosed("the spool is closed"))
        else:
            self.pending.add(captures)
            self._owner.gathering.append(Append(captures, done), at_once=at_once)
        return done

    async def append(self, captures: Sequence[Capture]) -> list[int]:
        """Put captures into the spool; returns their ids once they are durable. Raises as ``append_soon`` does."""
        return await self.append_soon(captures, at_once=True)

    def choose(self, now: float, *, flushing: bool, above: int = -1) -> tuple[int | None, float]:
        """Decide from which stream with a priority above ``above`` to claim: the highest priority, then the oldest.

        Returns (stream, 0), or (None, seconds until rows that gather now will be ripe; inf without any).
        """
        return self._queues.choose(now, flushing=flushing, above=above)

    async def claim(self, stream: int, most: int = 1) -> list[list[Item]]:
        """Take captures of a stream that was chosen, for at most so many uploads; the oldest first.

        Rows and lines of a stream are one upload, and similar streams that are ready are claimed too. Other captures
        are one upload each. Those of a stream have at most ``BATCH_BYTES`` together, except a single larger capture.
        They stay in the file until ``acknowledge``, ``release`` or ``fail``. Returns none if they were dropped
        meanwhile. Damaged ones are moved to the failures, and later ones are taken instead.
        """
        return await self._claims.take(stream, most)

    def acknowledge(
        self, items: Sequence[Item], *, sent: Sequence[FileMark] = (), soon: bool = False
    ) -> asyncio.Future[None]:
        """Take delivered captures of one stream out of the spool; remember the files among them.

        They count as waiting no longer. The future is done once that is in the file; with ``soon`` it may go along with
        later captures, up to ``ALONE_S``. A crash before that sends them once more.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not items:
            done.set_result(None)
        elif not self._closed:
            room = sum([item.footprint for item in items])
            # What a damaged file has lost meanwhile has been counted out.
            leaving = {item.id: item.footprint for item in items if item.id in self._queues.in_flight}
            self.items -= len(leaving)
            self.bytes -= sum(leaving.values())
            self._leaving.update(leaving)
            job = Acknowledge(items[0].stream, [item.id for item in items], room, list(sent), done)
            self._owner.gathering.acknowledge(job, soon=soon)
        return done

    def release(self, items: Sequence[Item]) -> None:
        """Put claimed captures back; they are the first to be claimed again, and need not gather."""
        for item in items:
            self._queues.release(item.stream, item.id)
        if items:
            self.work.set()

    def rest(self, stream: int, seconds: float) -> None:
        """Claim nothing from a stream for so many seconds; a flush ends that."""
        self._queues.rest(stream, time.monotonic() + seconds)

    async def fail(self, items: Sequence[Item], error: str, attempts: int) -> None:
        """Move claimed captures to the failures, with what the cloud said of them."""
        await self._move_to_failures([item.id for item in items], error, attempts)

    async def _move_to_failures(self, ids: list[int], error: str, attempts: int) -> None:
        now_us = time.time_ns() // 1000

        def note(gone: list[Row]) -> None:
            self._queues.remove_claimed(ids)
            self._count_out(gone)
            self.failed += len(gone)
            self._listener.on_fate(ids, Fate.FAILED)

        await self._call(lambda db: db.fail(ids, error, attempts, now_us), writes=True, then=note)

    async def failures(self, limit: int) -> list[Failure]:
        """The latest failures, newest first."""
        found: list[Failure] = await self._call(lambda db: db.failures(limit), writes=False)
        return found

    async def retry(self, ids: Sequence[int] | None = None) -> int:
        """Put failures (None: all) back among the waiting captures, as ``FailureParts`` does; returns how many."""

        def retry(db: Database, part: list[int]) -> Changed:
            back = db.retry(part)
            return Changed(back, {stream: db.origin(stream) for _, stream, _ in back})

        return await self._failure_parts.change(ids, retry, self._on_retry)

    def _on_retry(self, changed: Changed) -> None:
        back, origins = changed
        self._queues.bring_back(((capture_id, stream) for capture_id, stream, _ in back), origins)
        self.items += len(back)
        self.bytes += sum(room for _, _, room in back)
        self.failed -= len(back)
        self._listener.on_fate((capture_id for capture_id, _, _ in back), Fate.SPOOLED)
        self.work.set()

    async def discard(self, ids: Sequence[int] | None = None) -> int:
        """Delete failures (None: all) for good, as ``FailureParts`` does; returns how many."""
        return await self._failure_parts.change(ids, lambda db, part: Changed(db.discard(part), {}), self._on_discard)

    def _on_discard(self, changed: Changed) -> None:
        self.failed -= len(changed.rows)
        self._listener.on_fate((capture_id for capture_id, _, _ in changed.rows), Fate.DROPPED)

    # ------------------------------------------------------------------ the event loop's side of a commit

    async def _call(
        self, work: Callable[[Database], Any], *, writes: bool, then: Callable[[Any], object] = nothing
    ) -> Any:
        if self._closed:
            raise SpoolClosed("the spool is closed")
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._owner.put(Call(work, done, writes, then))
        return await done

    def _on_outcome(self, outcome: Outcome) -> None:
        for append, rows in outcome.appended:
            self._count_in(append, rows)
            ids = [capture_id for capture_id, _, _ in rows]
            self._listener.on_append(append.captures, ids)
            if not append.done.done():
                append.done.set_result(ids)
        if outcome.appended:
            # What is kept in the place of others is no sign that all is well.
            loses = f"the spool is full ({outcome.full}) and loses captures by {self._settings.when_full}"
            self.last_error = loses if outcome.full else None
        for append, error in outcome.refused:
            self._refuse(append, error)
        for job in outcome.acknowledged:
            self._queues.remove_claimed(job.ids)
            for capture_id in job.ids:
                self._leaving.pop(capture_id, None)
            if not job.done.done():
                job.done.set_result(None)
        for _, stream, _ in outcome.dropped:
            self._count_dropped(self._queues.drop(stream).source, 1)
        if outcome.dropped_failures:
            self.failed -= len(outcome.dropped_failures)
            self._count_dropped("the failures", len(outcome.dropped_failures))
        self._count_out(outcome.dropped)
        self._listener.on_fate((i for i, _, _ in (*outcome.dropped, *outcome.dropped_failures)), Fate.DROPPED)
        self._drops.tell(outcome.full)

    def _refuse(self, append: Append, error: SpoolError) -> None:
        self.pending.remove(append.captures)
        self.last_error = str(error)
        if isinstance(error, SpoolFull):
            self._count_dropped(append.captures[0].origin.source, len(append.captures))
            self._listener.on_refuse(append.captures)
        if not append.done.done():
            append.done.set_exception(error)

    def _count_in(self, append: Append, rows: list[Row]) -> None:
        self.pending.remove(append.captures)
        now = time.monotonic()
        for capture, (capture_id, stream, room) in zip(append.captures, rows, strict=True):
            if self._queues.add(capture.origin, stream, capture_id, now):
                self.work.set()
            self.items += 1
            self.bytes += room

    def _on_rescue(self, rescue: Rescue) -> None:
        self._queues.begin(rescue)
        leaving = [self._leaving[capture_id] for capture_id in self._leaving.keys() & rescue.present]
        self.items = sum(row.items for row in rescue.streams) - len(leaving)
        self.bytes = sum(row.bytes for row in rescue.streams) - sum(leaving)
        self.failed = rescue.failed
        self.work.set()

    def _on_taken_over(self, taken: TakenOver) -> None:
        for stream, new in taken.streams.items():
            self._queues.bring_in(new.origin, stream, new.first_id, new.items)
            self.items += new.items
            self.bytes += new.bytes
        self.failed += taken.failures
        self.work.set()

    def _count_out(self, rows: list[Row]) -> None:
        self.items -= len(rows)
        self.bytes -= sum(room for _, _, room in rows)

    def _count_dropped(self, source: str, count: int) -> None:
        self._drops.count(source, count)
        self._listener.on_drop(source, count)
