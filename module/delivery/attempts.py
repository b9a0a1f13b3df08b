"""Tries to upload one load of captures, which is then delivered, rejected, or kept for later.

If the cloud rejects a batch, it is split until only the bad captures are left. Trouble with the connection goes to the
``Link`` that all uploads share. Trouble with one capture delays no other capture.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from module.attributes.uploader import UploadConfig
from module.capture import Item, Kind
from module.delivery.backoff import Backoff
from module.delivery.batch_split import find_bad
from module.delivery.held_back import Aside
from module.delivery.link import Link, State
from module.delivery.outcome import Verdict, judge, say
from module.delivery.rejections import Rejections
from module.delivery.sender import METHODS, Receipt, method_of, send
from module.delivery.spool_protocol import Spool
from module.delivery.waiters import Waiters
from module.delivery.wire.cloud import Cloud, NotAdmitted
from module.delivery.wire.progress import Progress
from module.errors import FileChanged, FileUnavailable, FileUnusable
from module.throttled_log import ThrottledLog

UNSURE_TRIES = 10
"""How often a capture is tried if the cloud answers with UNKNOWN."""
_MOST_RECORDS = 50_000
_RENEWALS = 2
"""How many fresh tokens may be fetched for one capture in a row."""
_STREAMING = "streaming_data_capture_upload"


@dataclass(slots=True)
class Load:
    """The captures that one upload task holds. Those that it still holds at its end go back into the spool."""

    held: dict[int, Item]
    bytes: int
    """Bytes of payload."""
    epoch: int
    """The link's epoch when this upload was decided. If it is another by now, a failure of this says nothing new."""

    def take(self, items: Sequence[Item]) -> list[Item]:
        """Return those of the items that are still held; afterwards they are not held any more."""
        return [item for item in items if self.held.pop(item.id, None) is not None]


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why an upload failed."""

    verdict: Verdict
    text: str
    epoch: int
    alone: bool
    """Whether only this upload is in trouble: others succeeded meanwhile, or its file is at fault."""


@dataclass(slots=True)
class _Record:
    """What is known about a capture that did not arrive at its first try."""

    tries: int = 0
    put_off: int = 0
    """How often it was held back because only it was in trouble."""
    renewals: int = 0
    """How often it was refused because of the token."""
    unsure: int = 0
    """How many tries the cloud answered with UNKNOWN."""
    closed: int = 0
    """How often this capture closed a link that was open."""
    refused: bool = False
    """Whether it was refused while the link did not work."""
    must_stream: bool = False


@dataclass(slots=True)
class Counts:
    """Counts of what was delivered since the start."""

    items: int = 0
    bytes: int = 0
    retries: int = 0
    by_method: dict[str, int] = field(default_factory=lambda: dict.fromkeys(METHODS, 0))
    last_us: int | None = None


class Carrier:
    """Delivers loads, each with one call of ``deliver``, and remembers what later loads need to know."""

    def __init__(
        self,
        spool: Spool,
        cloud: Cloud,
        config: UploadConfig,
        logger: logging.Logger,
        counts: Counts,
        *,
        on_delivered: Callable[[Sequence[Item], Receipt], None],
    ) -> None:
        """``on_delivered`` is called after each delivery, once the captures are acknowledged."""
        self._spool = spool
        self._cloud = cloud
        self._config = config
        self._log = ThrottledLog(logger)
        self._backoff = Backoff(config.retry_initial_s, config.retry_max_s)
        self.link = Link(self._backoff)
        self.counts = counts
        self.progress = Progress()
        self.hurried_until = 0.0
        """Monotonic time until which probes follow each other quickly."""
        self._on_delivered = on_delivered
        self.aside = Aside(spool.release)
        self.unavailable = Aside(spool.release)
        """Captures that this machine cannot read for now, such as files, or that are refused while others are taken."""
        self._records: dict[int, _Record] = {}
        self._rejections = Rejections()
        self._refused: set[int] = set()
        """Streams of which a capture was refused while the link did not work, and none was delivered since."""
        self._renewals = 0
        self._waiters = Waiters()

    def hurry_until(self, until: float) -> None:
        """Let probes follow each other quickly until this monotonic time."""
        self.hurried_until = until

    def wait_for(self, capture_id: int) -> asyncio.Future[str]:
        """Return a future of the cloud's id for a capture; it raises Rejected. Call this right after ``append``."""
        return self._waiters.wait_for(capture_id)

    def close(self) -> None:
        """Put back what is held back, and cancel the futures of all who still wait."""
        self.aside.end()
        self.unavailable.end()
        self._waiters.close()

    async def deliver(self, load: Load, items: list[Item]) -> None:
        """Try to deliver. The caller must put back what ``load`` still holds afterwards."""
        trouble = await self._attempt(load, items)
        if trouble is None:
            return
        if trouble.verdict is Verdict.TOO_LARGE and len(items) == 1 and self._can_stream(items[0]):
            self._record(items[0]).must_stream = True
            trouble = await self._attempt(load, items)
            if trouble is None:
                return
        if self._is_rejected(trouble, items):
            if self.link.state is State.REFUSED and not _is_of_its_file(items[0], trouble):
                self._refuse(replace(trouble, text=f"another capture was rejected: {trouble.text}"))
                self.aside.until_the_link_works(load.take(items))
            elif len(items) > 1:
                await self._split(load, items)
            else:
                await self._reject(load, items[0], trouble)
        else:
            self._postpone(load, items, trouble)

    def _is_rejected(self, trouble: _Trouble, items: Sequence[Item]) -> bool:
        if trouble.verdict is Verdict.UNSURE:
            return self._record(items[0]).unsure >= UNSURE_TRIES
        return trouble.verdict in (Verdict.REJECTED, Verdict.TOO_LARGE)

    def _can_stream(self, item: Item) -> bool:
        return item.origin.kind is Kind.BINARY and self._method_of(item) != _STREAMING

    def _method_of(self, item: Item) -> str:
        record = self._records.get(item.id)
        if record is not None and record.must_stream:
            return _STREAMING
        return method_of(item, self._config.stream_over_bytes)

    async def _attempt(self, load: Load, items: list[Item]) -> _Trouble | None:
        """Upload once. Returns None if it was delivered, and acknowledges it."""
        trouble = await self._try(load, items)
        if trouble is None:
            return None
        for item in items:
            record = self._record(item)
            record.tries += 1
            record.unsure += trouble.verdict is Verdict.UNSURE
        return trouble

    async def _try(self, load: Load, items: list[Item]) -> _Trouble | None:
        epoch, delivered = load.epoch, self.counts.items
        method = self._method_of(items[0])
        if self._records:
            self.counts.retries += sum(1 for item in items if item.id in self._records)
        session = None
        try:
            async with self._cloud.session() as session:
                with self.progress.of(items):
                    receipt = await send(session.client, self._cloud.part_id, items, method)
        except NotAdmitted as error:
            return _Trouble(Verdict.REFUSED, str(error), epoch, alone=False)
        except FileChanged as error:
            if items[0].origin.source != items[0].origin.folder:
                return _Trouble(Verdict.REJECTED, str(error), epoch, alone=True)
            # The folder's next look finds it as the new file that it is.
            self._spool.acknowledge(load.take(items))
            self._records.pop(items[0].id, None)
            return None
        except (FileUnavailable, FileUnusable) as error:
            verdict = Verdict.LATER if isinstance(error, FileUnavailable) else Verdict.REJECTED
            return _Trouble(verdict, str(error), epoch, alone=True)
        except Exception as error:  # noqa: BLE001, what it means is judged in one place
            verdict, text = judge(error), self._cloud.redact(say(error))
            if verdict is Verdict.RENEW and session is not None:
                verdict, text = self._renew(self._cloud.retire(session, token=True), text)
            elif verdict is Verdict.AWAY and isinstance(error, OSError) and session is not None:
                # The connection itself may be at fault; what follows goes over a new one.
                self._cloud.retire(session, token=False)
            return _Trouble(verdict, text, epoch, alone=self.counts.items > delivered)
        self._delivered(load, items, receipt)
        return None

    def _renew(self, first: bool, text: str) -> tuple[Verdict, str]:
        if first:
            self._renewals += 1
        if self._renewals > 1:
            return Verdict.REFUSED, f"the cloud does not accept the token that it issued for cloud.api_key: {text}"
        return Verdict.RENEW, text

    def _delivered(self, load: Load, items: list[Item], receipt: Receipt) -> None:
        if self.link.worked():
            self._log.recovered("the cloud", f"uploads work again, {self._spool.items} captures wait")
            self._spool.work.set()
            self.aside.link_works(self._penalty)
        self._renewals = 0
        self._rejections.take()
        self._refused.discard(items[0].stream)
        self.counts.items += len(items)
        self.counts.bytes += receipt.size
        self.counts.by_method[receipt.method] += len(items)
        self.counts.last_us = time.time_ns() // 1000
        marks = [item.file for item in items if item.file is not None]
        # Its folder's watch puts a file away once it finds it here.
        self._spool.acknowledge(load.take(items), sent=marks, soon=not marks)
        if self._records:
            for item in items:
                self._records.pop(item.id, None)
        self._waiters.delivered(items, receipt.file_id)
        self._on_delivered(items, receipt)

    def _record(self, item: Item) -> _Record:
        if len(self._records) > _MOST_RECORDS:
            # Captures that retention dropped never come back to be forgotten.
            del self._records[next(iter(self._records))]
        return self._records.setdefault(item.id, _Record())

    # ------------------------------------------------------------------ trouble

    def _postpone(self, load: Load, items: list[Item], trouble: _Trouble) -> None:
        """Keep captures for later: until the link works if that is the trouble, otherwise for their own delay."""
        now, record, was_open = time.monotonic(), self._record(items[0]), self.link.state is State.ONLINE
        if trouble.verdict is Verdict.RENEW:
            record.renewals += 1
            if record.renewals <= _RENEWALS:
                return
        if trouble.verdict is Verdict.REFUSED:
            self._keep_refused(load, items, trouble)
            return
        if trouble.verdict is Verdict.LATER:
            self._keep_for_later(load, items, trouble)
            return
        its_own = trouble.alone or trouble.verdict in (Verdict.UNSURE, Verdict.RENEW)
        if its_own and not self.aside.full:
            self.put_off(load, items)
            self._log.warning(items[0].origin.source, f"an upload failed and will be tried again: {trouble.text}")
            return
        if self.link.failed(now, trouble.epoch, trouble.text):
            record.closed += was_open
            self._log.warning("the cloud", f"uploads wait, captures continue: {trouble.text}")
        if now < self.hurried_until:
            self.link.hurry(now + self._config.retry_initial_s)
        if record.tries > 1:
            self._let_another_probe(load, items)

    def _keep_refused(self, load: Load, items: Sequence[Item], trouble: _Trouble) -> None:
        """Close the link, unless it is known that the cloud refuses only these captures, or only their stream."""
        record, stream = self._record(items[0]), items[0].stream
        # Since they were refused before, another capture has opened the link.
        others_pass = self.link.state is State.ONLINE and (record.refused or stream in self._refused)
        if trouble.alone or others_pass:
            self._keep_for_later(load, items, trouble)
            return
        self._refuse(trouble)
        if self.link.state is not State.ONLINE:
            record.refused = True
            self._refused.add(stream)
            if self.aside.full:
                # Then another stream probes next, if there is one.
                self._spool.rest(stream, self.link.wait(time.monotonic()) + self._config.retry_initial_s)
            # Already after its first try: the next probe is minutes away.
            self._let_another_probe(load, items)

    def _let_another_probe(self, load: Load, items: Sequence[Item]) -> None:
        """Hold captures back until the link works: what is itself the trouble must not be the only one to probe."""
        # An upload of an earlier epoch may fail after the link works again; then nothing would bring its captures back.
        if self.link.state is not State.ONLINE and not self.aside.full:
            self.aside.until_the_link_works(load.take(items))

    def put_off(self, load: Load, items: Sequence[Item]) -> None:
        """Hold captures back for a delay that grows with their tries."""
        record = self._record(items[0])
        # Not by its tries: a capture that probed through an outage has many, and is not the reason for them.
        record.put_off += 1
        self.aside.for_a_while(load.take(items), self._backoff.delay(record.put_off))

    def _keep_for_later(self, load: Load, items: Sequence[Item], trouble: _Trouble) -> None:
        """Hold back what cannot be read for now, or is refused; if there are many, their whole stream."""
        record = self._record(items[0])
        record.put_off += 1
        delay = self._backoff.delay(record.put_off)
        if self.unavailable.full:
            self._spool.release(load.take(items))
            self._spool.rest(items[0].stream, delay)
        else:
            self.unavailable.for_a_while(load.take(items), delay)
        self._log.warning(items[0].origin.source, f"not uploaded for now, and tried again later: {trouble.text}")

    def _penalty(self, item: Item) -> float:
        """How long a capture that waited for the link stays back: 0, unless it has closed the link more than once."""
        record = self._records.get(item.id)
        return self._backoff.delay(record.closed) if record is not None and record.closed > 1 else 0.0

    def _refuse(self, trouble: _Trouble) -> None:
        if self.link.refused(time.monotonic(), trouble.epoch, trouble.text):
            self._log.warning("the cloud", f"this machine is refused, captures wait on the disk: {trouble.text}")

    async def _reject(self, load: Load, item: Item, trouble: _Trouble) -> None:
        await self._spool.fail([item], trouble.text, self._record(item).tries)
        load.take([item])
        self._records.pop(item.id, None)
        self._waiters.rejected(item, trouble.text)
        self._log.warning(item.origin.source, f"the cloud rejected a capture, kept among the failures: {trouble.text}")
        if _is_of_its_file(item, trouble):
            return
        if self._rejections.add(item.id):
            text = f"{len(self._rejections)} captures in a row were rejected: {trouble.text}"
            self._refuse(replace(trouble, text=text))
        # Others may have been on their way to the failures when that was found.
        if self.link.state is State.REFUSED:
            await self._spool.retry(self._rejections.take())

    async def _split(self, load: Load, items: list[Item]) -> None:
        """Find one bad capture in a rejected batch; the others are delivered, or go back for another batch."""
        found = await find_bad(items, lambda half: self._attempt(load, half), self._is_rejected)
        if found is None:
            return
        suspects, trouble = found
        if self._is_rejected(trouble, suspects):
            await self._reject(load, suspects[0], trouble)
        else:
            self._postpone(load, suspects, trouble)


def _is_of_its_file(item: Item, trouble: _Trouble) -> bool:
    """Whether the trouble says nothing about other captures, because it is that of one file."""
    return item.origin.kind is Kind.FILE and trouble.alone
