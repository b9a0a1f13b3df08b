"""How captures are taken out of the spool for uploads; on the event loop.

Invariants
----------
1. A claimed capture is in the file until it is acknowledged or moved to the failures. It is not claimed twice.
2. Captures of a file that was set aside while it was read are not claimed: the new file may lack them.
3. Bytes that have changed on the disk are never returned. Their captures are moved to the failures.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

from module.attributes.uploader import UploadConfig
from module.capture import Item
from module.errors import SpoolError
from module.spool.database import Database
from module.spool.messages import OnThread
from module.spool.stream_index import Queues

BATCH_BYTES = 1_000_000
"""The most bytes of rows in one upload: a quarter of the message that a gRPC receiver takes by default."""
_STREAMS_AT_ONCE = 8
_DAMAGED = "damaged in the spool: its bytes are not those that were captured"

_Found = dict[int, tuple[list[Item], list[int]]]
"""By stream: captures, and the ids of damaged ones."""


class Claims:
    """Takes captures for uploads. All calls come from one event loop."""

    def __init__(
        self,
        queues: Queues,
        upload: UploadConfig,
        call: OnThread,
        logger: logging.Logger,
        *,
        fail: Callable[[list[int], str, int], Awaitable[None]],
    ) -> None:
        """``fail`` moves captures to the failures, with an error and the number of tries; raises SpoolError."""
        self._queues = queues
        self._upload = upload
        self._call = call
        self._logger = logger
        self._fail = fail

    async def take(self, stream: int, most: int) -> list[list[Item]]:
        """Take captures of a stream for at most so many uploads; as ``module.spool.store.Store.claim``."""
        gathers = self._queues[stream].gathers
        rows = self._upload.batch_rows if gathers else most
        loads, put_by = list[list[Item]](), True
        while put_by and not loads and stream in self._queues:
            streams = self._queues.streams_to_claim(stream, min(most, _STREAMS_AT_ONCE))
            found = await self._read({each: self._queues.read_from(each) for each in streams}, rows)
            put_by = False
            for each, (_, damaged) in found.items():
                put_by |= bool(damaged) and await self._put_by(each, damaged)
            loads = [items for items, _ in found.values() if items]
        return loads if gathers else [[item] for items in loads for item in items]

    async def _read(self, heads: dict[int, int], rows: int) -> _Found:
        """Read streams, each from its id on, and note what is returned as claimed."""
        held, life = self._queues.held, self._queues.life
        found: _Found = {}

        def read(db: Database) -> _Found:
            got = {i: db.select(i, h, rows=rows, size=BATCH_BYTES, without=held.in_flight) for i, h in heads.items()}
            held.note_read(capture_id for each in got.values() for capture_id in _ids(each))
            return got

        held.begin_reading()
        try:
            found = await self._call(read, writes=False)
        finally:
            is_stale = self._queues.life != life
            if is_stale:
                found = {}
            now = time.monotonic()
            for each, head in heads.items():
                ids = _ids(found[each]) if each in found else []
                self._queues.read_to(each, 0 if is_stale else max(ids, default=head - 1) + 1)
                if ids:
                    self._queues.mark_claimed(each, ids, now)
            held.end_reading()
        return found

    async def _put_by(self, stream: int, damaged: list[int]) -> bool:
        source = self._queues[stream].origin.source
        self._logger.error("%d captures of %s are damaged in the spool, kept among the failures", len(damaged), source)
        try:
            await self._fail(damaged, _DAMAGED, 0)
        except SpoolError:
            # Then they are found again.
            for capture_id in damaged:
                self._queues.release(stream, capture_id)
            return False
        return True


def _ids(found: tuple[list[Item], list[int]]) -> list[int]:
    return found[1] + [item.id for item in found[0]]
