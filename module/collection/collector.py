"""One source: tick → poll → filter → encode → append.

Ticks are absolute deadlines. A tick that comes while the last poll still runs is skipped and counted as missed; the
append is not waited for, unless the disk falls behind (back-pressure), so that a slow commit delays no poll.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from module.capture import Capture, Kind, Origin, UploadAs
from module.collection import images, readings
from module.collection.schedule import Cron, Periodic, describe
from module.collection.sources import Answer, Blob, Row, Source
from module.errors import CourierError, EncodeError, NothingToCapture, PollError, SpoolFull
from module.throttled_log import ThrottledLog

BACKPRESSURE_BYTES = 16 * 1024 * 1024
"""Of payload on its way to the disk, above which a source waits for its own append."""
_LATENESS_SAMPLES = 1000
_CLOCK_LOOK_S = 1.0


class CaptureSpool(Protocol):
    """What collection needs of the spool (``module.spool.store.Store``)."""

    pending_bytes: int

    def append_soon(self, captures: Sequence[Capture]) -> asyncio.Future[list[int]]:
        """Hand captures over; the future gives their ids once they are safe."""


class Collector:
    """Polls one source on its schedule, and on command beside it."""

    def __init__(
        self,
        source: Source,
        spool: CaptureSpool,
        workers: Executor,
        logger: logging.Logger,
        *,
        tags: Sequence[str],
        dataset_ids: Sequence[str],
        phase: float,
    ) -> None:
        """``phase``: 0 to 1, which part of its period the source starts after, so that sources start spread out."""
        self.source = source
        self._config = source.config
        self._spool = spool
        self._workers = workers
        self._log = ThrottledLog(logger)
        self._schedule = _schedule_of(source, phase)
        self._origin = Origin(
            source=self._config.id,
            kind=Kind.BINARY,
            priority=self._config.priority,
            api=source.api,
            name=self._config.name,
            method=source.method,
            upload_as=self._config.upload_as,
            tags=_joined(tags, self._config.tags),
            dataset_ids=_joined(dataset_ids, self._config.dataset_ids),
        )
        self._running = asyncio.Event()
        self._running.set()
        self._captured = 0
        self._filtered = 0
        self._missed = 0
        self._errors = 0
        self.dropped = 0
        self._last_capture_us: int | None = None
        self._last_error: str | None = source.problem
        self._late: collections.deque[float] = collections.deque(maxlen=_LATENESS_SAMPLES)
        self._late_max = 0.0

    # ------------------------------------------------------------------ the schedule

    async def run(self) -> None:
        """Poll on schedule until cancelled; returns at once where there is nothing to poll on a schedule."""
        if self._config.disabled or self.source.problem is not None:
            return
        if isinstance(self._schedule, Periodic):
            await self._run_periodic(self._schedule)
        elif isinstance(self._schedule, Cron):
            await self._run_cron(self._schedule)

    async def _run_periodic(self, schedule: Periodic) -> None:
        loop = asyncio.get_running_loop()
        deadline = schedule.next_after(loop.time())
        while True:
            await _sleep_until(loop, deadline)
            if not self._running.is_set():
                await self._running.wait()
                deadline = schedule.next_after(loop.time())
                continue
            self._note_lateness(loop.time() - deadline)
            await self._tick()
            now = loop.time()
            self._missed += schedule.skipped(deadline, now)
            deadline = schedule.next_after(max(now, deadline))

    async def _run_cron(self, schedule: Cron) -> None:
        due = schedule.next_after(_now())
        while True:
            seen = _now()
            left = (due - seen).total_seconds()
            if left > 0:
                # A look now and then: the wall clock may step, which no timer notices.
                await asyncio.sleep(min(left, _CLOCK_LOOK_S))
                if _now() < seen - timedelta(seconds=_CLOCK_LOOK_S):
                    due = schedule.next_after(_now())
                continue
            if self._running.is_set():
                self._note_lateness(-left)
                await self._tick()
            # From when it fired, not from when it was due: what a step of the clock leapt over is not made up for.
            due = schedule.next_after(max(due, seen))
            now = _now()
            if due < now - timedelta(seconds=self._config.timeout_s + _CLOCK_LOOK_S):
                due = schedule.next_after(now)
            while due <= now:
                self._missed += 1
                due = schedule.next_after(due)

    def _note_lateness(self, seconds: float) -> None:
        self._late.append(seconds)
        self._late_max = max(self._late_max, seconds)

    # ------------------------------------------------------------------ one poll

    async def _tick(self) -> None:
        try:
            captures = await self._poll(())
        except NothingToCapture:
            return
        except (PollError, EncodeError) as error:
            self._trouble(str(error))
            return
        appended = self._append(captures)
        if self._spool.pending_bytes > BACKPRESSURE_BYTES:
            await asyncio.wait([appended])

    async def capture(self, tags: Sequence[str]) -> list[int]:
        """Poll once, now; durable when it returns, with the ids of its captures in the spool.

        A poll that a filter module holds back gives none. Raises CourierError for anything that went wrong.
        """
        if self._config.disabled:
            raise PollError(f"{self._config.id} is disabled")
        try:
            captures = await self._poll(tags)
        except NothingToCapture:
            return []
        except (PollError, EncodeError) as error:
            self._trouble(str(error))
            raise
        return await self._append(captures)

    async def _poll(self, tags: Sequence[str]) -> list[Capture]:
        try:
            async with asyncio.timeout(self._config.timeout_s):
                requested_us, received_us, answers = await self.source.poll()
        except TimeoutError as error:
            raise PollError(
                f"{self._config.name}: no answer to {self.source.method} within {self._config.timeout_s:g} s"
            ) from error
        except NothingToCapture:
            self._filtered += 1
            raise
        origin = replace(self._origin, tags=_joined(self._origin.tags, tags)) if tags else self._origin
        return [await self._encode(answer, origin, requested_us, received_us) for answer in answers]

    async def _encode(self, answer: Answer, origin: Origin, requested_us: int, received_us: int) -> Capture:
        try:
            if isinstance(answer, Row):
                return self._encode_row(answer, origin, requested_us, received_us)
            image = await self._encode_blob(answer)
        except EncodeError as error:
            raise EncodeError(f"{self._config.id}: {error}") from error
        origin = replace(origin, extension=image.extension, mime_type=image.mime_type)
        received_us = answer.captured_us if answer.captured_us is not None else received_us
        return Capture(origin, requested_us, received_us, image.data)

    async def _encode_blob(self, blob: Blob) -> images.EncodedImage:
        if self.source.method != "GetImages":
            return images.passthrough(blob.data, blob.mime_type)
        settings = self._config.image
        if not images.needs_work(blob.mime_type, settings):
            return images.encode(blob.data, blob.mime_type, settings)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, images.encode, blob.data, blob.mime_type, settings)

    def _encode_row(self, row: Row, origin: Origin, requested_us: int, received_us: int) -> Capture:
        if self._config.upload_as is UploadAs.FILE:
            line = readings.document_line(row.payload["readings"], requested_us, received_us)
            return Capture(replace(origin, kind=Kind.LINE), requested_us, received_us, line)
        data = readings.sensor_data(row.payload, requested_us, received_us)
        return Capture(replace(origin, kind=Kind.ROW), requested_us, received_us, data)

    def _append(self, captures: list[Capture]) -> asyncio.Future[list[int]]:
        appended = self._spool.append_soon(captures)
        appended.add_done_callback(lambda done: self._appended(done, captures))
        return appended

    def _appended(self, done: asyncio.Future[list[int]], captures: Sequence[Capture]) -> None:
        # Whether somebody waits or not: what counts as captured is what the disk has.
        error = None if done.cancelled() else done.exception()
        if error is None:
            self._captured += len(captures)
            self._last_capture_us = captures[-1].received_us
            if self._last_error is not None:
                self._last_error = None
                self._log.recovered(self._config.id, "captures again")
        elif isinstance(error, SpoolFull):
            # The spool has counted and logged it as dropped.
            self._last_error = str(error)
        elif isinstance(error, CourierError):
            self._trouble(str(error))

    def _trouble(self, text: str) -> None:
        self._errors += 1
        self._last_error = text
        self._log.warning(self._config.id, text)

    # ------------------------------------------------------------------ commands and status

    def pause(self) -> None:
        """Rest until ``resume``; ticks of that time are not counted as missed."""
        self._running.clear()

    def resume(self) -> None:
        """Go on with the schedule."""
        self._running.set()

    @property
    def paused(self) -> bool:
        """Whether it rests on command."""
        return not self._running.is_set()

    def status(self, iso: Callable[[int | None], str | None]) -> dict[str, Any]:
        """The source's part of the status; never waits."""
        late = sorted(self._late)
        return {
            "name": self._config.name,
            "api": self.source.api,
            "method": self.source.method,
            "schedule": describe(
                capture_frequency_hz=self._config.capture_frequency_hz,
                interval_s=self._config.interval_s,
                cron=self._config.cron,
                timezone=self._config.timezone,
            ),
            "state": self._state(),
            "captured": self._captured,
            "filtered": self._filtered,
            "missed": self._missed,
            "errors": self._errors,
            "dropped": self.dropped,
            "last_capture": iso(self._last_capture_us),
            "last_error": self._last_error,
            "lateness_ms": {
                "p50": _milliseconds(late[len(late) // 2] if late else 0.0),
                "p99": _milliseconds(late[int(len(late) * 0.99)] if late else 0.0),
                "max": _milliseconds(self._late_max),
            },
        }

    def _state(self) -> str:
        if self._config.disabled:
            return "disabled"
        if self.source.problem is not None:
            return "waiting"
        if not self._running.is_set():
            return "paused"
        return "active" if self._schedule is not None else "on_demand"


def _schedule_of(source: Source, phase: float) -> Periodic | Cron | None:
    config = source.config
    if config.cron is not None:
        return Cron(config.cron, config.timezone)
    period = config.interval_s
    if config.capture_frequency_hz is not None:
        period = 1 / config.capture_frequency_hz
    return None if period is None else Periodic(period, phase * period)


def _joined(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)


async def _sleep_until(loop: asyncio.AbstractEventLoop, deadline: float) -> None:
    if deadline <= loop.time():
        # Still give way: a source whose polls take as long as its period must not starve the others.
        await asyncio.sleep(0)
        return
    reached: asyncio.Future[None] = loop.create_future()
    handle = loop.call_at(deadline, _reach, reached)
    try:
        await reached
    finally:
        handle.cancel()


def _reach(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
