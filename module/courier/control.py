"""What commands can do with a running service. They know the Courier and its parts only through this file.

Methods that need the spool wait until it is open, and raise Unavailable if that takes long or the service is closing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from module.attributes.uploader import Config
from module.capture import Capture, Failure
from module.clock.machine_clock import Stamp
from module.collection.collector import Collector
from module.courier.courier import Courier
from module.courier.pause_record import What
from module.courier.status import status_of
from module.errors import CLOSING, SpoolClosed, Unavailable
from module.sequence import CaptureSequence, SequenceSource
from module.spool.store import Store


class Control:
    """Controls one Courier."""

    def __init__(self, courier: Courier) -> None:
        """``courier`` must have been started."""
        self._courier = courier

    @property
    def config(self) -> Config:
        """The attributes that it runs with."""
        return self._courier.config

    @property
    def sources(self) -> Mapping[str, Collector]:
        """Its sources by their ids."""
        return self._courier.collectors

    def status(self) -> dict[str, Any]:
        """The state of every part; never waits."""
        return status_of(self._courier)

    def now(self) -> Stamp:
        """The time of a capture that is made now."""
        return self._courier.clock.stamp()

    # ------------------------------------------------------------------ the spool

    async def opened(self) -> None:
        """Return once the spool is open."""
        await self._courier.opened()

    @contextlib.asynccontextmanager
    async def _store(self) -> AsyncIterator[Store]:
        await self._courier.opened()
        try:
            yield self._courier.store
        except SpoolClosed as error:
            raise Unavailable(CLOSING) from error

    async def spool(self, captures: Sequence[Capture]) -> list[int]:
        """Put captures into the spool, all or none. Returns their ids once they are durable."""
        async with self._store() as store:
            return await store.append(captures)

    def recent(self, source: str, limit: int) -> list[dict[str, Any]]:
        """The last captures of a source and what became of each, newest first."""
        return self._courier.carried.recent.last(source, limit, self._courier.clock.shown_us)

    # ------------------------------------------------------------------ uploads

    def wait_for(self, capture_id: int) -> asyncio.Future[str]:
        """Return a future of the cloud's id for a capture; it raises Rejected. Call this right after ``spool``."""
        return self._courier.uploader.wait_for(capture_id)

    @property
    def obstacle(self) -> str | None:
        """Why waiting captures are not delivered now; None: they should be, soon."""
        return self._courier.uploader.obstacle

    async def flush(self, timeout_s: float) -> tuple[int, int]:
        """Upload now what was captured before; returns how many of these captures remain, and their bytes."""
        async with self._store():
            return await self._courier.uploader.flush(timeout_s)

    # ------------------------------------------------------------------ what is paused

    async def pause(self, *, captures: bool, uploads: bool, sources: Sequence[str] | None) -> str | None:
        """Stop captures (of all sources and folders, or of these sources), uploads, or both; polls under way end first.

        Returns why it could not be written down, if so: it then holds until a restart.
        """
        for what, names in _parts(captures=captures, uploads=uploads, sources=sources):
            self._courier.switch.pause(what, names)
        chosen = (self.sources if sources is None else sources) if captures else ()
        # Also if whoever asked goes before the polls have ended.
        return await asyncio.shield(self._keep_pause([self.sources[source] for source in chosen]))

    async def _keep_pause(self, paused: Sequence[Collector]) -> str | None:
        await asyncio.gather(*(collector.settled() for collector in paused))
        return await self._courier.switch.keep()

    async def resume(self, *, captures: bool, uploads: bool, sources: Sequence[str] | None) -> str | None:
        """Resume what ``pause`` with the same arguments stops; returns as ``pause`` does."""
        for what, names in _parts(captures=captures, uploads=uploads, sources=sources):
            self._courier.switch.resume(what, names)
        return await self._courier.switch.keep()

    @property
    def paused(self) -> list[str]:
        """The ids of the sources that are paused, and ``upload`` if uploads are."""
        return self._courier.switch.paused

    # ------------------------------------------------------------------ failures

    async def failures(self, limit: int) -> tuple[list[Failure], int]:
        """The latest captures that the cloud rejected, newest first, and how many there are in all."""
        async with self._store() as store:
            return await store.failures(limit), store.failed

    async def retry(self, ids: Sequence[int] | None) -> int:
        """Put failures back, to be uploaded again; None: all of them, and the sequences. Returns how many."""
        async with self._store() as store:
            sequences = await store.sequences.retry() if ids is None else 0
            return sequences + await store.retry(ids)

    async def discard(self, ids: Sequence[int] | None) -> int:
        """Delete failures for good; None: all of them, and the sequences. Returns how many."""
        async with self._store() as store:
            sequences = await store.sequences.discard() if ids is None else 0
            return sequences + await store.discard(ids)

    # ------------------------------------------------------------------ sequences

    async def start_sequence(self, sources: Sequence[str], tags: Sequence[str]) -> CaptureSequence:
        """Open a sequence of these sources."""
        async with self._store() as store:
            chosen = [(source, self.sources[source].source) for source in sources]
            of = [SequenceSource(source, polled.config.name, polled.method) for source, polled in chosen]
            return await store.sequences.start(of, tags)

    async def stop_sequence(self, sequence_id: str) -> CaptureSequence | None:
        """End a sequence; None if it is not open."""
        async with self._store() as store:
            return await store.sequences.stop(sequence_id)

    async def open_sequences(self) -> list[str]:
        """The ids of the sequences that have not been stopped."""
        async with self._store() as store:
            await store.sequences.look()
            return store.sequences.open_ids()

    # ------------------------------------------------------------------ other spools

    @property
    def orphans(self) -> list[Path]:
        """The directories of spools that nobody opens any more, as far as they are known."""
        return [orphan.directory for orphan in self._courier.store.orphans.found]

    async def adopt(self, directory: str) -> int:
        """Take over the captures of one of them; returns how many. Raises CommandError, and SpoolError."""
        async with self._store() as store:
            return await store.adopter.adopt(directory)


def _parts(
    *, captures: bool, uploads: bool, sources: Sequence[str] | None
) -> Iterator[tuple[What, Sequence[str] | None]]:
    """What ``pause`` means, by kind and names; None: all of the kind. Folders have no source."""
    if captures:
        yield What.SOURCE, sources
    if captures and sources is None:
        yield What.FOLDER, None
    if uploads:
        yield What.UPLOAD, None
