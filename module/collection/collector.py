"""One source: tick → poll → filter → encode → append.

A tick that comes while the last poll still runs is skipped and counted as missed; the append is not waited for, unless
the disk falls behind (back-pressure), so that a slow commit delays no poll.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any, Protocol

from module.capture import Capture, Kind, Origin, UploadAs
from module.collection import images, readings
from module.collection.annotations import cropped
from module.collection.filter import Filter
from module.collection.schedule import ActiveHours, Cron, Periodic, describe
from module.collection.sources import Answer, Blob, Row, Source
from module.collection.ticker import Schedule, Ticker
from module.config import SourceConfig
from module.errors import CourierError, Defect, EncodeError, NothingToCapture, PollError, SpoolFull
from module.supervised import said_of
from module.throttled_log import ThrottledLog

BACKPRESSURE_BYTES = 16 * 1024 * 1024
"""Of payload on its way to the disk, above which a source waits for its own append."""
_MOST_ORIGINS = 64
_SETTLE_S = 1.0
_SET_US = 946_684_800_000_000
"""The start of the year 2000: no camera that is set says less."""
_DAY_US = 86_400_000_000


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
        dependencies: Mapping[Any, Any],
        spool: CaptureSpool,
        workers: Executor,
        logger: logging.Logger,
        *,
        tags: Sequence[str],
        dataset_ids: Sequence[str],
        phase: float,
    ) -> None:
        """``phase``: 0 to 1, which part of its period the source starts after, so that sources start spread out."""
        config = source.config
        self.source = source
        self._config = config
        self._spool = spool
        self._workers = workers
        self._log = ThrottledLog(logger)
        self._phase = phase
        self._schedule_text = _described(config)
        active = ActiveHours(config.active_hours, config.timezone) if config.active_hours else None
        self._ticker = Ticker(_schedule_of(config, phase), active, patience_s=config.timeout_s)
        self._filter = Filter(source, dependencies, workers, logger, on_release=self._append)
        self._origin = Origin(
            source=config.id,
            kind=Kind.BINARY,
            priority=config.priority,
            api=source.api,
            name=config.name,
            method=source.method,
            upload_as=config.upload_as,
            tags=_joined(tags, config.tags),
            dataset_ids=_joined(dataset_ids, config.dataset_ids),
        )
        self._origins: dict[tuple[Kind, tuple[str, ...], str, str], Origin] = {}
        self.extra_tags: tuple[str, ...] = ()
        """Added to what is captured from now on."""
        self._captured = 0
        self._held_back = 0
        self._errors = 0
        self.dropped = 0
        """Captures of this source that retention took."""
        self._last_capture_us: int | None = None
        self._last_error: str | None = source.problem
        self._told_non_finite = False
        self._at_rest = asyncio.Event()
        self._at_rest.set()

    async def run(self) -> None:
        """Poll on schedule until cancelled; returns at once where there is nothing to poll."""
        if self._config.disabled or self.source.problem is not None:
            return
        while True:
            await self._ticker.wait()
            self._at_rest.clear()
            try:
                await self._tick()
            finally:
                self._at_rest.set()

    async def watch(self) -> None:
        """Ask what opens the gate, until cancelled; returns at once if nothing is asked beside the polls."""
        if not self._config.disabled and self.source.problem is None:
            await self._filter.run()

    # ------------------------------------------------------------------ one poll

    async def _tick(self) -> None:
        at = asyncio.get_running_loop().time()
        try:
            captures = self._filter.admit(await self._poll((), at), at)
        except NothingToCapture:
            return
        except (PollError, EncodeError, Defect) as error:
            self._trouble(error)
            return
        if not captures:
            self._well()
            return
        appended = self._append(captures)
        if self._spool.pending_bytes > BACKPRESSURE_BYTES:
            await asyncio.wait([appended])

    async def capture(self, tags: Sequence[str]) -> list[int]:
        """Poll once, now; durable when it returns, with the ids of its captures in the spool.

        Neither ``on_change`` nor the gate has a say in it: who asks for a capture gets it. A poll that a filter module
        holds back gives none. Raises CourierError for anything that went wrong.
        """
        if self._config.disabled:
            raise PollError(f"{self._config.id} is disabled")
        try:
            captures = await self._poll(tags, None)
        except NothingToCapture:
            return []
        except (PollError, EncodeError, Defect) as error:
            self._trouble(error)
            raise
        return await self._append(captures)

    async def _poll(self, tags: Sequence[str], at: float | None) -> list[Capture]:
        """Poll, filter if the poll was due ``at`` some time, and encode.

        Raises NothingToCapture, PollError, EncodeError, and Defect for whatever else goes wrong with one poll.
        """
        try:
            requested_us, received_us, answers = await self.source.poll()
        except NothingToCapture:
            self._held_back += 1
            raise
        try:
            if at is not None:
                answers = await self._filter.changed(answers, at)
                if not self._filter.is_needed(at):
                    self._filter.skip(len(answers))
                    return []
            extra = (*self.extra_tags, *tags)
            return [await self._encode(answer, extra, requested_us, received_us) for answer in answers]
        except EncodeError as error:
            raise EncodeError(f"{self._config.id}: {error}") from error
        except Exception as error:
            # Libraries that work on images fail in ways of their own, and for want of memory.
            raise Defect(f"{self._config.id}: {said_of(error)}") from error

    async def _encode(self, answer: Answer, tags: tuple[str, ...], requested_us: int, received_us: int) -> Capture:
        if isinstance(answer, Row):
            return self._encode_row(answer, tags, requested_us, received_us)
        image = await self._encode_blob(answer)
        origin = self._origin_of(Kind.BINARY, tags, image.extension, image.mime_type)
        received_us = _received_us(answer.captured_us, requested_us, received_us)
        return Capture(origin, requested_us, received_us, image.data, annotations=self._annotations(answer))

    def _annotations(self, blob: Blob) -> bytes:
        crop = self._config.image.crop
        if not blob.annotations or crop is None or blob.extension is not None:
            return blob.annotations
        width, height = images.dimensions(blob.data, blob.mime_type) or (0, 0)
        return cropped(blob.annotations, crop, width=width, height=height)

    async def _encode_blob(self, blob: Blob) -> images.EncodedImage:
        if blob.extension is not None:
            return images.EncodedImage(blob.data, blob.mime_type, blob.extension)
        settings = self._config.image
        if not images.needs_work(blob.mime_type, settings):
            return images.encode(blob.data, blob.mime_type, settings)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, images.encode, blob.data, blob.mime_type, settings)

    def _origin_of(self, kind: Kind, tags: tuple[str, ...], extension: str = "", mime_type: str = "") -> Origin:
        """The origin of a capture, made once for all that share it."""
        key = (kind, tags, extension, mime_type)
        origin = self._origins.get(key)
        if origin is None:
            if len(self._origins) >= _MOST_ORIGINS:
                self._origins.clear()
            tags = _joined(self._origin.tags, tags)
            origin = replace(self._origin, kind=kind, tags=tags, extension=extension, mime_type=mime_type)
            self._origins[key] = origin
        return origin

    def _encode_row(self, row: Row, tags: tuple[str, ...], requested_us: int, received_us: int) -> Capture:
        if not self._told_non_finite and readings.non_finite(row.payload):
            self._told_non_finite = True
            self._log.warning(self._config.id, "NaN or an infinity was read, which travels as null; told once")
        if self._config.upload_as is UploadAs.FILE:
            line = readings.document_line(row.readings, requested_us, received_us)
            return Capture(self._origin_of(Kind.LINE, tags), requested_us, received_us, line)
        data = readings.sensor_data(row.payload, requested_us, received_us)
        return Capture(self._origin_of(Kind.ROW, tags), requested_us, received_us, data)

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
            self._well()
        elif isinstance(error, SpoolFull):
            # The spool has counted and logged it as dropped.
            self._last_error = str(error)
        elif isinstance(error, CourierError):
            self._trouble(error)

    def _trouble(self, error: CourierError) -> None:
        self._errors += 1
        self._last_error = str(error)
        self._log.warning(self._config.id, str(error), error if isinstance(error, Defect) else None)

    def _well(self) -> None:
        if self._last_error is not None:
            self._last_error = None
            self._log.recovered(self._config.id, "captures again")

    # ------------------------------------------------------------------ commands and status

    def pause(self) -> None:
        """Rest until ``resume``; ticks of that time are not counted as missed."""
        self._ticker.pause()

    async def settled(self) -> None:
        """Return once no poll of the schedule is under way, and all that it gave has been handed to the spool.

        After a second it returns all the same: what a resource that hangs may still give is not waited for.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_S):
                await self._at_rest.wait()

    def resume(self) -> None:
        """Go on with the schedule."""
        self._ticker.resume()

    @property
    def has_gate(self) -> bool:
        """Whether there is anything to trigger."""
        return self._config.gate is not None

    def trigger(self, for_s: float) -> int:
        """Open the gate for so many seconds, if there is one; gives how many captures had waited."""
        return self._filter.trigger(for_s)

    def set_schedule(
        self,
        *,
        capture_frequency_hz: float | None = None,
        interval_s: float | None = None,
        cron: str | None = None,
        for_s: float = math.inf,
    ) -> str:
        """Follow another schedule for so many seconds; gives it in words. One of the three is given, and right."""
        fields = {"capture_frequency_hz": capture_frequency_hz, "interval_s": interval_s, "cron": cron}
        config = self._config.model_copy(update=fields)
        self._ticker.set_schedule(_schedule_of(config, self._phase), _described(config), for_s=for_s)
        return _described(config)

    @property
    def paused(self) -> bool:
        """Whether it rests on command."""
        return self._ticker.paused

    @property
    def timezone(self) -> str:
        """Of its cron expressions."""
        return self._config.timezone

    def status(self, iso: Callable[[int | None], str | None]) -> dict[str, Any]:
        """The source's part of the status; never waits."""
        return {
            "name": self._config.name,
            "api": self.source.api,
            "method": self.source.method,
            "schedule": self._ticker.description or self._schedule_text,
            "state": self._state(),
            "captured": self._captured,
            "filtered": self._held_back + self._filter.filtered,
            "missed": self._ticker.missed,
            "errors": self._errors,
            "dropped": self.dropped,
            "last_capture": iso(self._last_capture_us),
            "last_error": self._last_error or self._filter.problem,
            "lateness_ms": self._ticker.lateness_ms(),
        }

    def _state(self) -> str:
        if self._config.disabled:
            return "disabled"
        if self.source.problem is not None:
            return "waiting"
        if self._ticker.paused:
            return "paused"
        if self._ticker.resting:
            return "resting"
        if not self._ticker.has_ticks:
            return "on_demand"
        return "gated" if self._filter.gated else "active"


def _received_us(captured_us: int | None, requested_us: int, received_us: int) -> int:
    """Return when a frame was captured, as its camera says; ``received_us`` if the camera left that unset.

    Unset are: nothing, the epoch, Go's zero time, anything before 2000, and more than a day from the poll.
    """
    if captured_us is None or captured_us < _SET_US or abs(captured_us - requested_us) > _DAY_US:
        return received_us
    return captured_us


def _schedule_of(config: SourceConfig, phase: float) -> Schedule:
    if config.cron is not None:
        return Cron(config.cron, config.timezone)
    period = config.interval_s
    if config.capture_frequency_hz is not None:
        period = 1 / config.capture_frequency_hz
    return None if period is None else Periodic(period, phase * period)


def _described(config: SourceConfig) -> str:
    return describe(
        capture_frequency_hz=config.capture_frequency_hz,
        interval_s=config.interval_s,
        cron=config.cron,
        timezone=config.timezone,
    )


def _joined(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))
