"""Sequences in the spool's file: which captures belong to one, and how many of them are still to be delivered.

Invariants
----------
1. A capture belongs to a sequence if its source does and its id is in (``after_id``, ``last_id``]: it was appended
   between start and stop, whichever commit it shared. Ids grow in the order of the appends.
2. A sequence waits for its captures in ``capture`` and in ``failure``: a rejected one must still be retried or
   discarded. It does not wait for captures that were dropped or discarded.
3. Start and end are in the file as the clock showed them, each with its reading; they are read as true times.
4. A row is deleted once the cloud has made the sequence. After a crash between the two, it is made twice; it is never
   missing.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from module.clock.machine_clock import NOT_SET_TAG, Reading, Stamp
from module.sequence import CaptureSequence, SequenceSource

if TYPE_CHECKING:
    from module.spool.clock_table import ClockTable
    from module.spool.listing import Listing
    from module.spool.stream_table import StreamTable

COLUMNS = (
    "id, sources, tags, start_us, start_boot, start_offset_us, "
    "end_us, end_boot, end_offset_us, error, after_id, last_id"
)
"""All of them."""


class SequenceTable:
    """The table ``sequence``, on the thread of its connection."""

    def __init__(
        self,
        db: sqlite3.Connection,
        streams: StreamTable,
        listing: Listing,
        clocks: ClockTable,
        last_id: Callable[[], int],
    ) -> None:
        """``last_id``: the last id that was given out."""
        self._db = db
        self._streams = streams
        self._listing = listing
        self._clocks = clocks
        self._last_id = last_id

    def all(self) -> list[CaptureSequence]:
        """Every sequence, oldest first, with what is still to be delivered of those that were stopped."""
        rows = self._db.execute(
            "SELECT id, sources, tags, error, after_id, last_id, start_us, start_boot, start_offset_us, "
            "end_us, end_boot, end_offset_us FROM sequence ORDER BY rowid"
        ).fetchall()
        found: list[CaptureSequence] = []
        for sequence_id, sources, tags, error, after_id, last_id, *start, end_us, end_boot, end_offset_us in rows:
            of = tuple(SequenceSource(**source) for source in json.loads(sources))
            left = 0 if last_id is None or error is not None else self._count(of, after_id, last_id)
            began = Stamp(start[0], Reading(*start[1:]))
            true_start_us, true_end_us, more = self._dated(began, end_us, Reading(end_boot, end_offset_us))
            all_tags = (*json.loads(tags), *more)
            found.append(CaptureSequence(sequence_id, of, all_tags, true_start_us, true_end_us, left, error))
        return found

    def _dated(self, start: Stamp, end_us: int | None, end: Reading) -> tuple[int, int | None, tuple[str, ...]]:
        """Return the true times, and the tag that says that they are none."""
        start_by_us = self._clocks.shift_us(start.reading)
        start_us = start.us + (start_by_us or 0)
        if end_us is None:
            return start_us, None, ()
        end_by_us = self._clocks.shift_us(end)
        undated = start_by_us is None or end_by_us is None
        # The wall clock may have been set back between the two.
        return start_us, max(start_us, end_us + (end_by_us or 0)), (NOT_SET_TAG,) if undated else ()

    def _count(self, sources: Sequence[SequenceSource], after_id: int, last_id: int) -> int:
        # However large the payloads are, and however many streams others have.
        streams = set(self._streams.of_sources(source.id for source in sources))
        count = sum(self._listing.count(stream, after_id, last_id) for stream in streams)
        failed = self._db.execute("SELECT stream FROM failure WHERE id > ? AND id <= ?", (after_id, last_id))
        return count + sum(1 for (stream,) in failed if stream in streams)

    def start(self, sequence: CaptureSequence, reading: Reading) -> None:
        """Write a new sequence, of what is captured from now on."""
        sources = json.dumps([dataclasses.asdict(source) for source in sequence.sources])
        self._db.execute(
            "INSERT INTO sequence (id, sources, tags, start_us, start_boot, start_offset_us, after_id) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (sequence.id, sources, json.dumps(sequence.tags), sequence.start_us, *reading, self._last_id()),
        )

    def fill_in(self, methods: Mapping[str, str]) -> None:
        """Fill in, by the ids of sources, the methods that open sequences lack: their resources were not there."""
        for sequence_id, text in self._db.execute("SELECT id, sources FROM sequence WHERE end_us IS NULL").fetchall():
            sources = json.loads(text)
            filled = [of | {"method": of["method"] or methods.get(of["id"], "")} for of in sources]
            if filled != sources:
                self._db.execute("UPDATE sequence SET sources = ? WHERE id = ?", (json.dumps(filled), sequence_id))

    def stop(self, sequence_id: str, end: Stamp) -> None:
        """End a sequence that is open; its last captures are those that are in the file."""
        self._db.execute(
            "UPDATE sequence SET end_us = ?, end_boot = ?, end_offset_us = ?, last_id = ? "
            "WHERE id = ? AND end_us IS NULL",
            (end.us, *end.reading, self._last_id(), sequence_id),
        )

    def fail(self, sequence_id: str, error: str) -> None:
        """Keep a sequence that the cloud will not make, with the reason."""
        self._db.execute("UPDATE sequence SET error = ? WHERE id = ?", (error, sequence_id))

    def retry(self) -> None:
        """Let those that failed wait again."""
        self._db.execute("UPDATE sequence SET error = NULL WHERE error IS NOT NULL")

    def discard(self) -> None:
        """Delete those that failed."""
        self._db.execute("DELETE FROM sequence WHERE error IS NOT NULL")

    def remove(self, sequence_id: str) -> None:
        """Forget a sequence that the cloud has made."""
        self._db.execute("DELETE FROM sequence WHERE id = ?", (sequence_id,))
