"""From the spool to the cloud: claim → upload → acknowledge.

One dispatcher claims; at most ``concurrency`` uploads run. The ``Link`` has the state of the network. Each claimed
capture ends in exactly one way: acknowledged, moved to the failures, or back in the spool. Cancellation puts it back:
it is neither success nor failure.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

from module.attributes.uploader import UploadConfig
from module.capture import Item
from module.delivery.attempts import Carrier, Counts, Load
from module.delivery.concurrency import Concurrency
from module.delivery.link import State
from module.delivery.rate import Rate
from module.delivery.sender import Receipt
from module.delivery.spool_protocol import Spool
from module.delivery.upload_windows import Permit, Ruling, Standing
from module.delivery.wire.cloud import Cloud
from module.errors import CLOSING, SpoolError
from module.supervised import said_of
from module.throttled_log import ThrottledLog

IN_FLIGHT_BYTES = 32 * 1024 * 1024
"""While uploads under way have this many bytes of payloads or more, only one of a higher priority starts.

So memory holds more: all of the last payload that started, those of higher priorities, and what was read together and
waits for its turn, which is at most 8 MB of rows, 1 MB of other captures, or a single larger one (``Store.claim``).
"""
CLOSE_GRACE_S = 1.0
"""Seconds that uploads under way may still take when the service closes."""
_EMPTY_WAIT_S = 0.1
_MOST_AT_ONCE = 100
"""The most uploads at once if ``upload.concurrency`` is left out; any server allows so many streams.

(RFC 9113, 6.5.2, SETTINGS_MAX_CONCURRENT_STREAMS: "recommended … no smaller than 100".)
"""

_FLUSH_LOOK_S = 0.03
_CLOSING = Ruling(Standing.PAUSED, CLOSING, math.inf)


class Uploader:
    """The task that delivers a spool. ``run`` until cancelled, then ``close``."""

    def __init__(
        self,
        spool: Spool,
        cloud: Cloud,
        config: UploadConfig,
        logger: logging.Logger,
        permit: Permit | None = None,
        *,
        counts: Counts | None = None,
        on_delivered: Callable[[Sequence[Item], str], None] = lambda _items, _file_id: None,
    ) -> None:
        """``permit`` decides when uploads run; None: there are neither windows nor a sensor to ask.

        ``counts``: the counts, which continue. ``on_delivered`` is called with (items, the cloud's id).
        """
        self._permit = permit or Permit(config)
        self._standing = Standing.FREE
        self._spool = spool
        self._cloud = cloud
        self._config = config
        self._logger = logger
        self._log = ThrottledLog(logger)
        counts = Counts() if counts is None else counts
        self._carrier = Carrier(spool, cloud, config, logger, counts, on_delivered=self._note_delivery)
        self._on_delivered = on_delivered
        self._paused = False
        self._closing = False
        self._flushes: list[float] = []
        """Until when each running flush waits, in monotonic seconds."""
        self.defect: str | None = None
        """The defect of this module that ended the last upload; None once an upload succeeds."""
        self._loads: list[int] = []
        """The priorities of the uploads under way."""
        self._ready: collections.deque[list[Item]] = collections.deque()
        """Loads that were claimed together with others; each becomes an upload as soon as there is a slot."""
        most = config.concurrency if "concurrency" in config.model_fields_set else _MOST_AT_ONCE
        self._concurrency = Concurrency(config.concurrency, max(most, config.concurrency))
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight_bytes = 0
        self._in_flight_items = 0
        self._rate = Rate()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            self._spool.work.clear()
            try:
                wait = await self._dispatch()
            except SpoolError as error:
                self._log.warning("uploads", str(error))
                wait = 1.0
            if wait > 0:
                await _wait(self._spool.work, wait)

    async def _dispatch(self) -> float:
        """Start one upload if one may start; returns the seconds until the next look."""
        now, link = time.monotonic(), self._carrier.link
        ruling = self._ruling()
        if ruling.standing is not self._standing:
            self._standing = ruling.standing
            self._logger.info(
                "uploads %s", f"wait, captures continue: {ruling.reason}" if ruling.reason else "run again"
            )
        if ruling.standing is not Standing.FREE:
            self._put_ready_back()
            return ruling.look_again_s
        if link.state is not State.ONLINE:
            self._put_ready_back()
            self._concurrency.reset()
            wait = link.wait(now)
            if wait > 0:
                return wait
        above, slots = -1, link.slots(self._concurrency.number)
        if len(self._loads) >= slots or self._in_flight_bytes >= IN_FLIGHT_BYTES:
            # One more may overtake all that are under way, however slow these are: an alarm does not wait for files.
            if link.state is not State.ONLINE or len(self._loads) > slots:
                return math.inf
            above = max(self._loads)
        return await self._start_next(now, slots, above)

    async def _start_next(self, now: float, slots: int, above: int) -> float:
        """Start an upload of a priority higher than ``above``; returns the seconds as ``_dispatch`` does."""
        link = self._carrier.link
        ready = self._ready[0][0].origin.priority if self._ready else -1
        flushing = now < self._carrier.hurried_until
        stream, wait = self._spool.choose(now, flushing=flushing, above=max(above, ready))
        if stream is None and ready > above:
            self._carry_off(self._ready.popleft())
            return 0.0
        if stream is None:
            # Nothing else may be left to probe with.
            if link.state is not State.ONLINE and not self._loads and self._carrier.aside.probe():
                return 0.0
            return wait
        return await self._begin(stream, 1 if above >= 0 or link.state is not State.ONLINE else slots)

    async def _begin(self, stream: int, most: int) -> float:
        link = self._carrier.link
        epoch = link.epoch
        loads = await self._spool.claim(stream, most)
        if not loads:
            # They have just been dropped; the spool says so soon.
            return _EMPTY_WAIT_S
        # What was ready has a lower priority.
        self._put_ready_back()
        self._ready.extend(loads)
        if self._paused or link.epoch != epoch:
            # Uploads were paused, or the way closed, while the disk was read.
            self._put_ready_back()
        else:
            self._carry_off(self._ready.popleft())
        return 0.0

    def _put_ready_back(self) -> None:
        while self._ready:
            self._spool.release(self._ready.popleft())

    def _carry_off(self, items: list[Item]) -> None:
        held, size = {item.id: item for item in items}, sum([len(item.payload) for item in items])
        load = Load(held, size, self._carrier.link.epoch)
        self._in_flight_bytes += load.bytes
        self._in_flight_items += len(items)
        self._loads.append(items[0].origin.priority)
        self._start(self._carry(load, items), f"courier-upload-{items[0].id}")

    async def _carry(self, load: Load, items: list[Item]) -> None:
        try:
            await self._carrier.deliver(load, items)
        except SpoolError as error:
            self._log.warning("uploads", str(error))
            self._carrier.put_off(load, items)
        except Exception as error:  # noqa: BLE001, a defect costs this upload a delay, and is not met again at once
            self.defect = said_of(error)
            self._log.warning("uploads", f"an upload ended with an error of this module's own: {self.defect}", error)
            self._carrier.put_off(load, items)
        finally:
            self._loads.remove(items[0].origin.priority)
            self._in_flight_bytes -= load.bytes
            self._in_flight_items -= len(items)
            self._spool.release(load.take(items))

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._logger.error("an upload ended in an error of this module's own", exc_info=task.exception())
        self._spool.work.set()

    async def close(self) -> None:
        """End the uploads: those under way may finish for a moment, the rest goes back into the spool."""
        self._closing = True
        self._put_ready_back()
        if self._tasks and self._carrier.link.state in (State.UNKNOWN, State.ONLINE):
            await asyncio.wait(self._tasks, timeout=CLOSE_GRACE_S)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._cloud.close()
        self._carrier.close()

    # ------------------------------------------------------------------ commands and status

    def _ruling(self) -> Ruling:
        if self._closing:
            return _CLOSING
        return self._permit.ruling(datetime.now(UTC), time.monotonic(), paused=self._paused)

    @property
    def reason(self) -> str | None:
        """Why uploads don't run now, apart from the state of the network; None: they may."""
        return self._ruling().reason

    @property
    def clear(self) -> bool:
        """Whether other calls to the cloud may be made now.

        True if uploads may run and the cloud is not known to be away, or no capture waits that would find it back.
        """
        online = self._carrier.link.state in (State.UNKNOWN, State.ONLINE)
        return self.reason is None and (online or not self._spool.items)

    def look(self) -> None:
        """Check again whether uploads may run, because the sensor of ``only_when`` has answered."""
        if self._standing is not Standing.FREE:
            self._spool.work.set()

    @property
    def paused(self) -> bool:
        """Whether a command has paused uploads."""
        return self._paused

    def pause(self) -> None:
        """Start no more uploads; those under way continue."""
        self._paused = True

    def resume(self) -> None:
        """Start uploads again."""
        self._paused = False
        self._spool.work.set()

    async def flush(self, timeout_s: float) -> tuple[int, int]:
        """Upload now what was captured before the call, without waiting for full batches or for backoff.

        Returns once all of it has been delivered or moved to the failures, or the time is over, or uploads may not run.
        Returns how many of these captures still wait, and their footprint. Raises SpoolError.
        """
        last, end = await self._spool.barrier.last(), time.monotonic() + timeout_s
        self._flushes.append(end)
        self._carrier.hurry_until(max(self._flushes))
        try:
            if self.reason is None:
                self._carrier.link.hurry(time.monotonic())
                self._carrier.aside.end()
                self._carrier.unavailable.end()
                self._spool.work.set()
            while True:
                remains = await self._spool.barrier.waiting(last)
                if not remains[0] or self.reason is not None or time.monotonic() >= end:
                    return remains
                await asyncio.sleep(_FLUSH_LOOK_S)
        finally:
            self._flushes.remove(end)
            self._carrier.hurry_until(max(self._flushes, default=0.0))

    @property
    def obstacle(self) -> str | None:
        """Why waiting captures are not delivered now; None: they should be, soon."""
        link = self._carrier.link
        if link.state in (State.REFUSED, State.OFFLINE):
            return self.reason or f"{link.state.value}: {link.last_error}"
        return self.reason or self.defect

    def wait_for(self, capture_id: int) -> asyncio.Future[str]:
        """Return a future of the cloud's id for a capture; it raises Rejected. Call this right after ``append``."""
        return self._carrier.wait_for(capture_id)

    def _note_delivery(self, items: Sequence[Item], receipt: Receipt) -> None:
        now = time.monotonic()
        self.defect = None
        self._rate.note(now, receipt.size)
        others_wait = bool(self._ready) or self._spool.items > self._in_flight_items
        self._concurrency.ended(now, receipt.size, others_wait=others_wait)
        self._on_delivered(items, receipt.file_id)

    def status(self) -> dict[str, Any]:
        """The ``upload`` part of the status; never waits."""
        now, counts, link = time.monotonic(), self._carrier.counts, self._carrier.link
        return {
            "state": self._state(),
            "reason": self.reason,
            "connected": link.state is State.ONLINE,
            "uploaded_items": counts.items,
            "uploaded_bytes": counts.bytes,
            "in_flight": self._in_flight_items,
            "retries": counts.retries,
            "bytes_per_s": self._rate.per_s(now),
            "next_attempt_in_s": round(link.wait(now), 3),
            "offline_s": round(link.offline_s(now), 3),
            "last_error": link.last_error or self.defect,
            "last_upload_us": counts.last_us,
            "by_method": dict(counts.by_method),
            "large": self._carrier.progress.status(),
        }

    def _state(self) -> str:
        standing = self._ruling().standing
        if standing is not Standing.FREE:
            return standing.value
        if self._carrier.link.state is State.REFUSED:
            return "refused"
        if self._carrier.link.state is State.OFFLINE:
            return "offline"
        return "uploading" if self._loads else "idle"


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, or for so many seconds; the event is set in both cases."""
    # asyncio.timeout costs several times as much, and this is waited for with each upload.
    alarm = None if seconds == math.inf else asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        if alarm is not None:
            alarm.cancel()
