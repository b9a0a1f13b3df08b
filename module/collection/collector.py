"""One source: tick → poll → filter → encode → append.

A tick that comes while the last poll still runs is taken late, if that poll ends within half a period; otherwise it is
skipped and counted as missed. The append is not waited for, unless the disk falls behind (back-pressure), so that a
slow commit delays no poll.
"""

from __future__ import annotations

import asyncio
import enum
import functools
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, Protocol

from module.attributes.uploader import SourceConfig
from module.capture import Capture
from module.clock.machine_clock import Clock, Stamp
from module.collection.beat import Beat
from module.collection.encoder import Encoder
from module.collection.filter import Filter
from module.collection.kept import KeptOfSource, Labels, ScheduleOrder, TagsOrder
from module.collection.schedule import ActiveHours, Cron, Periodic, describe
from module.collection.shot import Order, Shot
from module.collection.sources import Answer, Blob, Source
from module.collection.ticker import Schedule, Ticker
from module.collection.trouble import Trouble
from module.collection.under_way import UnderWay
from module.errors import CLOSING, Defect, EncodeError, NothingToCapture, PollError, Unavailable
from module.supervised import said_of
from module.throttled_log import ThrottledLog

_SETTLE_S = 1.0
_NO_RATE = "gate and on_change need capture_frequency_hz, interval_s or cron: without one it captures only on command"


class SpoolState(enum.Enum):
    """Whether captures can be kept."""

    OPENING = "opening"
    """Not yet: the service has just begun."""
    HELD = "held"
    """No, because another instance holds the spool or the disk refuses it. Ticks count as missed."""
    OPEN = "open"
    """Yes."""


class CaptureSpool(Protocol):
    """What collection needs of the spool (``module.spool.store.Store``)."""

    def append_soon(self, captures: Sequence[Capture], *, at_once: bool = False) -> asyncio.Future[list[int]]:
        """Append captures; returns a future of their ids once they are safe. ``at_once``: a caller waits for that."""

    async def caught_up(self) -> None:
        """Return once more may be captured: nearly always at once, unless the disk is behind."""


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
        clock: Clock,
        tags: Sequence[str],
        dataset_ids: Sequence[str],
        beat: Beat,
        offset_s: float,
        kept: KeptOfSource,
        spool_state: Callable[[], SpoolState],
    ) -> None:
        """``offset_s``: of ``phases``; ``kept``: counts and commands, which continue."""
        config = source.config
        self.source = source
        self._clock = clock
        self._config = config
        self._spool = spool
        log = ThrottledLog(logger)
        self._schedule_text = _described(config)
        active = ActiveHours(config.active_hours, config.timezone) if config.active_hours else None
        self.kept = kept
        self._spool_state = spool_state
        self._ticker = Ticker(_schedule_of(config, offset_s), active, patience_s=config.timeout_s, kept=kept, beat=beat)
        if kept.schedule is not None:
            self._follow(kept.schedule)
        self._filter = Filter(source, dependencies, workers, logger, on_release=self._append, kept=kept)
        self._encoder_of = functools.partial(
            Encoder, workers=workers, log=log, clock=clock, tags=tags, dataset_ids=dataset_ids
        )
        self._shot = Shot(source, self._encoder_of(source))
        self._trouble = Trouble(config.id, source.problem, log, kept)
        self._under_way = UnderWay()
        self._closing = False
        self._log_advice(logger)

    def _log_advice(self, logger: logging.Logger) -> None:
        level, text = logging.WARNING, self._advice
        if text is None and self.source.problem is not None and not self._config.disabled:
            level, text = logging.INFO, f"{self.source.problem}; this source waits"
        if text is None and self._config.waits_for_commands and not self._config.disabled:
            level, text = logging.INFO, "on demand only: it has no schedule"
        if text is not None and text not in self.kept.said:
            self.kept.said.add(text)
            logger.log(level, "%s: %s", self._config.id, text)

    @property
    def _advice(self) -> str | None:
        """The attributes that are valid but have no effect, in words."""
        config = self._config
        if config.disabled:
            return None
        if not self._ticker.has_ticks and (config.gate or config.on_change):
            return _NO_RATE
        return self.source.advice

    async def run(self) -> None:
        """Poll on schedule until cancelled; returns at once if there is nothing to poll."""
        if self._config.disabled or self.source.problem is not None:
            return
        while not self._closing:
            await self._ticker.wait()
            state = self._spool_state()
            if state is SpoolState.OPEN and not self._closing:
                with self._under_way:
                    await self._tick()
            elif state is SpoolState.HELD:
                self.kept.missed += 1
            else:
                # Ticks that come this early are nobody's loss, and those after them are not late.
                self._ticker.forget()

    async def watch(self) -> None:
        """Ask what opens the gate, until cancelled; returns at once if nothing is asked beside the polls."""
        if not self._config.disabled and self.source.problem is None:
            await self._filter.run()

    # ------------------------------------------------------------------ one poll

    async def _tick(self) -> None:
        at = asyncio.get_running_loop().time()
        try:
            captures = self._filter.admit(await self._poll(self._shot, at), at)
        except NothingToCapture:
            return
        except PollError as error:
            self._trouble.poll_failed(error)
            return
        except (EncodeError, Defect) as error:
            # It may have come after a part of the poll counted as kept.
            self._filter.forget_last()
            self._trouble.poll_failed(error)
            return
        if not captures:
            self._trouble.poll_answered()
            return
        self._append(captures)
        await self._spool.caught_up()

    def shot(self, order: Order) -> Shot:
        """Return the settings for polls of a command. Raises CommandError if this source does not allow them."""
        return self._shot if order == Order() else self._shot.ordered(order, self._encoder_of)

    async def capture(self, shot: Shot | None = None) -> list[int]:
        """Poll once, now, with the settings of ``shot``; returns the ids of the captures once they are durable.

        ``on_change`` and the gate are ignored. If a filter module holds the poll back, there are no captures. Raises
        CourierError for every failure.
        """
        if self._config.disabled:
            raise PollError(f"{self._config.id} is disabled")
        if self._closing:
            raise Unavailable(CLOSING)
        with self._under_way:
            try:
                captures = await self._poll(shot or self._shot, None)
            except NothingToCapture:
                return []
            except (PollError, EncodeError, Defect) as error:
                self._trouble.poll_failed(error)
                raise
            appended = self._append(captures, at_once=True)
        # If the caller goes, what the disk does with them is counted all the same.
        return await asyncio.shield(appended)

    async def _poll(self, shot: Shot, at: float | None) -> list[Capture]:
        """Poll, filter if the poll was due ``at`` some time, and encode.

        Raises NothingToCapture, PollError, EncodeError, and Defect for every other failure of one poll.
        """
        try:
            asked = self._clock.stamp()
            took_us, answers = await shot.source.poll()
        except NothingToCapture:
            self.kept.filtered += 1
            # It answers, and that may be all that it says for hours.
            self._trouble.poll_answered()
            raise
        answers = self._with_bytes(answers)
        try:
            if at is not None:
                answers = await self._filter.changed(answers, at)
                if not self._filter.is_needed(at):
                    self._filter.skip(len(answers))
                    return []
            labels, received_us = self.kept.labels.also(shot.labels), asked.us + took_us
            return [await shot.encoder.encode(answer, labels, asked, received_us) for answer in answers]
        except EncodeError as error:
            raise EncodeError(f"{self._config.id}: {error}") from error
        except Exception as error:
            # Libraries that work on images fail in ways of their own, and for want of memory.
            raise Defect(f"{self._config.id}: {said_of(error)}") from error

    def _with_bytes(self, answers: Sequence[Answer]) -> Sequence[Answer]:
        """Leave out images and point clouds of 0 bytes, each an error. Raises PollError if there are no others."""
        empty = [answer.name for answer in answers if isinstance(answer, Blob) and not answer.data]
        if not empty:
            self._trouble.had_bytes()
            return answers
        text = f"{self._config.name}: {self.source.method} returned 0 bytes"
        text += f" for {' and '.join(filter(None, empty))}" if any(empty) else ""
        if len(empty) == len(answers):
            raise PollError(text)
        self._trouble.was_empty_in_part(text, len(empty))
        return [answer for answer in answers if not isinstance(answer, Blob) or answer.data]

    def _append(self, captures: list[Capture], *, at_once: bool = False) -> asyncio.Future[list[int]]:
        appended = self._spool.append_soon(captures, at_once=at_once)
        appended.add_done_callback(lambda done: self._appended(done, captures))
        return appended

    def _appended(self, done: asyncio.Future[list[int]], captures: Sequence[Capture]) -> None:
        # Whether somebody waits or not: what counts as captured is what the disk has.
        error = None if done.cancelled() else done.exception()
        if error is None:
            self.kept.captured += len(captures)
            self.kept.last_capture = Stamp(captures[-1].received_us, captures[-1].origin.clock)
            self._trouble.spool_took()
        else:
            self._filter.forget_last()
            self._trouble.spool_refused(error)

    # ------------------------------------------------------------------ commands and status

    def pause(self) -> None:
        """Stop polls until ``resume``; ticks of that time are not counted as missed."""
        self._ticker.pause()

    async def settled(self) -> None:
        """Return once no poll is under way, and all answers have been appended to the spool.

        It returns after a second in any case: it does not wait for a resource that hangs.
        """
        await self._under_way.settled(_SETTLE_S)

    async def close(self) -> None:
        """Begin no more polls, and return once those under way have settled, as ``settled`` does."""
        self._closing = True
        await self.settled()

    def resume(self) -> None:
        """Continue with the schedule."""
        self._ticker.resume()

    @property
    def has_gate(self) -> bool:
        """Whether there is anything to trigger."""
        return self._config.gate is not None

    def trigger(self, for_s: float) -> int:
        """Open the gate for so many seconds, if there is a gate; returns how many captures had waited."""
        return self._filter.trigger(for_s)

    def set_schedule(
        self,
        *,
        capture_frequency_hz: float | None = None,
        interval_s: float | None = None,
        cron: str | None = None,
        for_s: float = math.inf,
    ) -> str:
        """Follow another schedule for so many seconds; returns it in words. One of the three is set, and valid."""
        now_us, until = time.time_ns() // 1000, asyncio.get_running_loop().time() + for_s
        until_us = None if for_s == math.inf else now_us + round(for_s * 1e6)
        self.kept.schedule = ScheduleOrder(capture_frequency_hz, interval_s, cron, until, now_us, until_us)
        return self._follow(self.kept.schedule)

    def _follow(self, order: ScheduleOrder) -> str:
        fields = {
            "capture_frequency_hz": order.capture_frequency_hz,
            "interval_s": order.interval_s,
            "cron": order.cron,
        }
        config = self._config.model_copy(update=fields)
        for_s = order.until - asyncio.get_running_loop().time()
        self._ticker.set_schedule(_schedule_of(config, config.offset_s), _described(config), for_s=for_s)
        return _described(config)

    def set_tags(self, labels: Labels) -> None:
        """Add these to captures from now on, instead of those of the last call."""
        self.kept.tags = TagsOrder(*labels, time.time_ns() // 1000) if any(labels) else None

    @property
    def paused(self) -> bool:
        """Whether a command has paused it."""
        return self._ticker.paused

    @property
    def timezone(self) -> str:
        """The time zone of its cron expressions."""
        return self._config.timezone

    def status(self, iso: Callable[[int | None], str | None]) -> dict[str, Any]:
        """The source's part of the status; never waits."""
        last = self.kept.last_capture
        return {
            "name": self._config.name,
            "api": self.source.api,
            "method": self.source.method,
            "schedule": self._ticker.description or self._schedule_text,
            "state": self._state(),
            "captured": self.kept.captured,
            "filtered": self.kept.filtered,
            "missed": self.kept.missed,
            "errors": self.kept.errors,
            "dropped": self.kept.dropped,
            "last_capture": iso(None if last is None else self._clock.shown_us(last)),
            "last_error": self._trouble.text or self._filter.problem or self._advice,
            "lateness_ms": self._ticker.lateness.milliseconds(),
        }

    def _state(self) -> str:
        if self._config.disabled:
            return "disabled"
        if self.source.problem is not None or self._spool_state() is SpoolState.HELD:
            return "waiting"
        if self._ticker.paused:
            return "paused"
        if not self._ticker.has_ticks:
            return "on_demand"
        if self._ticker.resting:
            return "resting"
        return "gated" if self._filter.gated else "active"


def _schedule_of(config: SourceConfig, offset_s: float) -> Schedule:
    if config.cron is not None:
        return Cron(config.cron, config.timezone)
    return None if config.period_s is None else Periodic(config.period_s, offset_s)


def _described(config: SourceConfig) -> str:
    return describe(
        capture_frequency_hz=config.capture_frequency_hz,
        interval_s=config.interval_s,
        cron=config.cron,
        timezone=config.timezone,
    )
