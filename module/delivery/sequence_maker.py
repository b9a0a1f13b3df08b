"""Makes sequences in the cloud: each once everything captured in it has been delivered, and not before.

A sequence that the cloud rejects is kept with its error, and delays nothing. One that fails for now has its own delay,
and another one is tried at the next look. While the connection has trouble, this waits, and lets the uploads find out
when the cloud is back. The call is ``create_sequence`` of ``viam.app.data_client.DataClient``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from viam.proto.app.data import SequenceResourceFilter

from module.attributes.uploader import UploadConfig
from module.delivery.attempts import UNSURE_TRIES
from module.delivery.backoff import Backoff
from module.delivery.outcome import Verdict, judge, say
from module.delivery.wire.cloud import Cloud, NotAdmitted
from module.errors import SpoolError
from module.sequence import CaptureSequence, SequenceState
from module.throttled_log import ThrottledLog

LOOK_S = 0.5
"""Seconds between two looks whether the last capture of a sequence has been delivered."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Book(Protocol):
    """What delivery needs to know about sequences; ``module.spool.sequence_book.SequenceBook`` has the promises."""

    stopped: asyncio.Event

    async def look(self) -> Sequence[CaptureSequence]:
        """Read all of them."""

    async def created(self, sequence_id: str) -> None:
        """Forget a sequence that the cloud has made."""

    async def failed(self, sequence_id: str, error: str) -> None:
        """Keep a sequence that the cloud will not make, with its error."""


class SequenceMaker:
    """The task that makes sequences. ``run`` until cancelled."""

    def __init__(
        self, book: Book, cloud: Cloud, config: UploadConfig, logger: logging.Logger, *, clear: Callable[[], bool]
    ) -> None:
        """``clear`` returns whether anything may be sent now."""
        self._book = book
        self._cloud = cloud
        self._timeout_s = config.timeout_s
        self._logger = logger
        self._log = ThrottledLog(logger)
        self._clear = clear
        self._backoff = Backoff(config.retry_initial_s, config.retry_max_s)
        self._attempts: dict[str, int] = {}
        self._due: dict[str, float] = {}
        """When a sequence may be tried again, in monotonic seconds, by its id."""
        self._unsure: dict[str, int] = {}
        self.trouble: dict[str, str] = {}
        """Why the last try of a sequence failed, by its id."""

    async def run(self) -> None:
        """Make sequences until cancelled."""
        while True:
            self._book.stopped.clear()
            try:
                waiting = [each for each in await self._book.look() if each.state is SequenceState.WAITING]
                await self._make_those_complete(waiting)
            except SpoolError as error:
                self._log.warning("sequences", str(error))
                await asyncio.sleep(LOOK_S)
                continue
            if not waiting:
                await self._book.stopped.wait()
            else:
                await asyncio.sleep(LOOK_S)

    async def _make_those_complete(self, waiting: Sequence[CaptureSequence]) -> None:
        # Those that were never tried come first, so that one whose delays are short does not take every look.
        for sequence in sorted(waiting, key=lambda each: self._due.get(each.id, 0.0)):
            if not self._clear():
                # The uploads find out when the cloud is back; then this continues at once.
                self._attempts.clear()
                self._due.clear()
                return
            if sequence.waiting_for or time.monotonic() < self._due.get(sequence.id, 0.0):
                continue
            await self._make(sequence)
            if sequence.id in self._due:
                # The trouble may be that of all: one call that fails is enough for this look.
                return

    async def _make(self, sequence: CaptureSequence) -> None:
        session = None
        # What never had a method has captured nothing. A request without resources might mean all of them.
        sources = [of for of in sequence.sources if of.method] or sequence.sources
        try:
            async with self._cloud.session() as session:
                # Not by the call's own deadline: the cloud would keep it too, and answer a hang of its own as an error.
                async with asyncio.timeout(self._timeout_s):
                    made = await session.client.create_sequence(
                        self._cloud.part_id,
                        [SequenceResourceFilter(resource_name=of.resource, method_name=of.method) for of in sources],
                        _EPOCH + timedelta(microseconds=sequence.start_us),
                        _EPOCH + timedelta(microseconds=sequence.end_us or sequence.start_us),
                        list(sequence.tags),
                    )
        except NotAdmitted as error:
            self._postpone(sequence, str(error))
        except Exception as error:  # noqa: BLE001, what it means is judged in one place
            verdict, text = judge(error), self._cloud.redact(say(error))
            if session is not None and (verdict is Verdict.RENEW or isinstance(error, OSError)):
                self._cloud.retire(session, token=verdict is Verdict.RENEW)
            if verdict is Verdict.UNSURE:
                self._unsure[sequence.id] = self._unsure.get(sequence.id, 0) + 1
            if verdict in (Verdict.REJECTED, Verdict.TOO_LARGE) or self._unsure.get(sequence.id, 0) >= UNSURE_TRIES:
                self._forget(sequence)
                self._logger.warning("the cloud will not make sequence %s, which is kept: %s", sequence.id, text)
                await self._book.failed(sequence.id, text)
            else:
                self._postpone(sequence, text)
        else:
            self._forget(sequence)
            self._logger.info("the cloud has made sequence %s; its id there is %s", sequence.id, made)
            await self._book.created(sequence.id)

    def _postpone(self, sequence: CaptureSequence, text: str) -> None:
        attempt = self._attempts.get(sequence.id, 0)
        self._attempts[sequence.id] = attempt + 1
        self._due[sequence.id] = time.monotonic() + self._backoff.delay(attempt)
        self.trouble[sequence.id] = text
        self._log.warning("sequences", f"{sequence.id} could not be made, and will be tried again: {text}")

    def _forget(self, sequence: CaptureSequence) -> None:
        for each in (self._attempts, self._due, self._unsure, self.trouble):
            each.pop(sequence.id, None)
