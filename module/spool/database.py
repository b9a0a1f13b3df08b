"""The spool's file: one SQLite database, and the statements of its daily work.

Invariants
----------
1. ``capture`` holds what is still to be delivered, ``failure`` what the cloud rejected; a capture is in exactly one.
2. Which captures a stream has is said by ``module.spool.listing``.
3. Ids grow with time and are never used twice: the last one given out is that of the newest row, or ``counter.last_id``
   if that is larger, which is written when the newest row goes.
4. A file is in ``sent_file`` from the transaction that deletes its capture: between the two there is no moment in
   which it could be sent again.

All of it runs on one thread, the store's. The store decides what a ``sqlite3.Error`` means. Only if a table refuses a
row, that is ``Damaged`` already here.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from module.capture import Capture, Failure, Item, Kind, Origin
from module.clock.machine_clock import Stamp
from module.errors import Damaged
from module.spool.adoption.table import AdoptionTable
from module.spool.barrier_table import BarrierTable
from module.spool.clock_table import ClockTable
from module.spool.damage.counts import correct_counts
from module.spool.damage.high_water import MARK_FILE, Mark, MarkFile, lost_with_the_end
from module.spool.damage.salvage import count_unreadable
from module.spool.free_pages import FreePages
from module.spool.listing import Listing
from module.spool.retention import Line
from module.spool.rows import (
    COLUMNS,
    Row,
    StreamRow,
    checksum,
    detail_of,
    is_whole,
    item_of,
    mark_of,
    room_of,
)
from module.spool.schema import connect
from module.spool.sent_files import SentFiles
from module.spool.sequence_table import SequenceTable
from module.spool.stream_table import StreamTable

_MOST_DAMAGED = 500
_PART_ROWS = 500
_PART_BYTES = 4_000_000
"""So much is retried or discarded in one transaction: appends wait for it, and the disk must have room for it twice."""
_NEWEST = "SELECT coalesce(max(id), 0) FROM capture"
_NEWEST_FAILURE = "SELECT coalesce(max(id), 0) FROM failure"
_FROM = "listed.stream = ? AND listed.id >= ? ORDER BY listed.id"
_LISTED = f"SELECT listed.{COLUMNS.replace(' ', ' capture.')} FROM listed LEFT JOIN capture USING (id) WHERE {_FROM}"  # noqa: S608
_NOWHERE: Mapping[int, int] = {}
_SET_LAST_ID = "UPDATE counter SET value = ? WHERE name = 'last_id'"


class Database:
    """The open file. Made, used and closed on one thread."""

    def __init__(self, path: Path) -> None:
        """Open or create the file at ``path``, private to its owner.

        Raises ``sqlite3.Error`` or ``OSError`` as they come, ``SpoolError`` for a file of a newer version.
        """
        self.path = path
        is_new = not path.exists()
        self._db = connect(path)
        try:
            self.listing = Listing(self._db)
            self.listing.read()
            correct_counts(self._db, path, self.listing)
            self._read_counts()
            self.settle()
            self._streams = StreamTable(self._db, path, self.listing)
            self.sent_files = SentFiles(self._db)
            self.free_pages = FreePages(self._db)
            self.adoptions = AdoptionTable(self._db, self)
            self.barriers = BarrierTable(self._db, self.listing)
            self.clocks = ClockTable(self._db)
            self.sequences = SequenceTable(self._db, self._streams, self.listing, self.clocks, lambda: self._last_id)
            # The last of all, so that nothing that fails leaves it open.
            self._mark_file = MarkFile(path.with_name(MARK_FILE))
            if is_new:
                self._mark_file.write(Mark())
        except BaseException:
            self._db.close()
            raise

    def _one(self, sql: str, *parameters: object) -> int:
        row = self._db.execute(sql, parameters).fetchone()
        if row is None:
            raise Damaged(f"{self.path} lacks what every spool has: {sql}")
        return int(row[0])

    def _read_counts(self) -> None:
        self._noted_id = self._one("SELECT value FROM counter WHERE name = 'last_id'")
        self._last_id = max(self._noted_id, self._one(_NEWEST), self._one(_NEWEST_FAILURE))
        failed, self._failed_bytes = self.failed()
        self._held = self.listing.total()[0] + failed

    def settle(self) -> None:
        """List all that waits, and note the last id that was given out: before the file is used or closed."""
        if self.listing.fresh_items or self._last_id > self._noted_id:
            self.begin(durable=False)
            self.listing.list_all(self._last_id)
            self._note_last_id()
            self._db.execute("COMMIT")

    @property
    def mark(self) -> Mark:
        """How far the file goes."""
        return Mark(self._last_id, self._held, self.unreadable())

    def skip_to_mark(self) -> int:
        """Use no id again that was given out; returns how many captures are lost, which are counted as unreadable."""
        mark = self._mark_file.before
        lost = lost_with_the_end(mark, self._last_id)
        if mark.last_id > self._last_id:
            self.begin(durable=True)
            self._last_id = mark.last_id
            self._note_last_id()
            count_unreadable(self._db, lost)
            self.commit()
        self._mark_file.write(self.mark)
        return lost

    def close(self) -> None:
        """Close the file; what was committed is safe."""
        self._db.close()
        self._mark_file.close()

    def begin(self, *, durable: bool) -> None:
        """Start a transaction; a ``durable`` one is on the disk once ``commit`` returns."""
        # Without it a commit is not synced: acknowledgements that a power cut takes back are only sent once more.
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """End the transaction with all of it."""
        self._streams.tidy()
        self.listing.tidy()
        if self._last_id > self._noted_id and self._one(_NEWEST) < self._last_id:
            self._note_last_id()
        self._db.execute("COMMIT")
        self._mark_file.write(self.mark)

    def rollback(self) -> None:
        """End the transaction with none of it; harmless outside of one."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        # Streams and ids made in the transaction are gone with it.
        self._streams.rolled_back()
        self.listing.read()
        self._read_counts()

    def streams(self) -> list[StreamRow]:
        """All streams that have captures waiting, or failures; forgets those that have nothing at all."""
        return self._streams.all()

    def origin(self, stream: int) -> Origin:
        """The origin of a stream."""
        return self._streams.origin(stream)

    def stream_id(self, origin: Origin) -> int:
        """The id of the origin's stream, made if it is new: something of it is to be written."""
        return self._streams.id_of(origin)

    def insert(self, captures: Sequence[Capture]) -> list[Row]:
        """Write captures; returns (id, stream, footprint) of each."""
        written: list[Row] = []
        rows: list[tuple[object, ...]] = []
        for capture in captures:
            self._last_id += 1
            stream = self.stream_id(capture.origin)
            size = capture.file.size if capture.file else len(capture.payload)
            room = room_of(capture)
            said = (self._last_id, stream, capture.requested_us, capture.received_us, size)
            detail, annotations = detail_of(capture), capture.annotations or None
            crc = checksum(said, detail, annotations, capture.payload)
            rows.append((*said, room, detail, annotations, crc, capture.payload))
            written.append((self._last_id, stream, room))
        self._db.executemany(f"INSERT INTO capture ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)  # noqa: S608
        self._held += len(written)
        self.listing.add(written)
        return written

    def _note_last_id(self) -> None:
        self._db.execute(_SET_LAST_ID, (self._last_id,))
        self._noted_id = self._last_id

    def skip_ids(self, count: int) -> int:
        """Reserve so many ids at once; returns the last id before them."""
        before = self._last_id
        self._last_id += count
        self._note_last_id()
        return before

    def bring_in(self, rows: Sequence[Row], failures: Sequence[Row]) -> None:
        """Note captures and failures, (id, stream, footprint) each, that came from another spool."""
        self.listing.add_old(rows, self._last_id)
        self._held += len(rows) + len(failures)
        self._failed_bytes += _room(failures)

    def delete(self, stream: int, ids: Sequence[int], room: int) -> int:
        """Take delivered captures of a stream, ids ascending, ``room`` their footprint, out of the spool.

        Returns the footprint of those that were there: some may have gone by themselves.
        """
        gone, freed = self.listing.delete(stream, ids, room)
        self._held -= gone
        self._streams.note_taken([stream])
        return freed

    def drop(self, ids: Iterable[int]) -> list[Row]:
        """Delete waiting captures by id; returns (id, stream, footprint) of those that were there."""
        gone = self._delete_returning("capture", ids)
        self.listing.remove(gone)
        return gone

    def drop_failures(self, ids: Iterable[int]) -> list[Row]:
        """Delete failures by id; returns (id, stream, footprint) of those that were there."""
        gone = self._delete_returning("failure", ids)
        self._failed_bytes -= _room(gone)
        return gone

    def _delete_returning(self, table: str, ids: Iterable[int]) -> list[Row]:
        sql = f"DELETE FROM {table} WHERE id = ? RETURNING id, stream, footprint"  # noqa: S608
        gone = [row for capture_id in ids for row in self._db.execute(sql, (capture_id,)).fetchall()]
        if not all(isinstance(room, int) for _, _, room in gone):
            raise Damaged(f"the footprint of a {table} in {self.path} is no number")
        self._held -= len(gone)
        self._streams.note_taken(stream for _, stream, _ in gone)
        return gone

    def select(
        self, stream: int, from_id: int, *, rows: int, size: int, without: Container[int]
    ) -> tuple[list[Item], list[int]]:
        """The oldest waiting captures of a stream from an id on, at most ``rows`` of them and ``size`` bytes.

        The first one is always included, however large it is. Also returns the ids of those that were found damaged.
        """
        items: list[Item] = []
        damaged: list[int] = []
        total = 0
        for row in self._rows(stream, from_id, without):
            if is_whole(row):
                total += len(row[-1])
                if items and total > size:
                    break
                items.append(item_of(row, self.origin(stream)))
            else:
                damaged.append(row[0])
            if len(items) == rows or len(damaged) == _MOST_DAMAGED:
                break
        return self.clocks.dated(items), damaged

    def _rows(self, stream: int, from_id: int, without: Container[int]) -> Iterator[tuple[Any, ...]]:
        for row in self._db.execute(_LISTED, (stream, from_id)):
            if row[1] != stream:
                raise Damaged(f"{self.path} lists capture {row[0]} of stream {stream}, which is not there")
            if row[0] not in without:
                yield row
        sql = f"SELECT {COLUMNS} FROM capture WHERE id = ?"  # noqa: S608
        for capture_id, _ in self.listing.fresh(stream, from_id - 1):
            if capture_id not in without:
                yield from self._db.execute(sql, (capture_id,)).fetchall()

    def present(self, ids: Iterable[int]) -> set[int]:
        """Those of the ids that are waiting captures."""
        return {i for i in ids if self._db.execute("SELECT 1 FROM capture WHERE id = ?", (i,)).fetchone() is not None}

    def lines(
        self, without: Container[int], *, thinned_to: Mapping[int, int] = _NOWHERE, newest_first: bool = False
    ) -> list[Line]:
        """Return what may be dropped, except the ids in ``without``; reads the file only as needed.

        The lines of a priority begin behind its id in ``thinned_to``, which has the lines of before too. Failures are
        dropped before waiting captures; pointers to files are never dropped.
        """
        waiting = [
            self._line(stream, origin.priority, without, thinned_to.get(origin.priority, 0), newest_first=newest_first)
            for stream, origin in ((i, self.origin(i)) for i in self.listing.streams())
            if origin.kind is not Kind.FILE
        ]
        return [Line(-1, self._failure_line()), *waiting]

    def _failure_line(self) -> Iterator[tuple[int, int]]:
        for capture_id, room, stream in self._db.execute("SELECT id, footprint, stream FROM failure ORDER BY id"):
            if self.origin(stream).kind is not Kind.FILE:
                yield capture_id, room

    def _line(self, stream: int, priority: int, without: Container[int], after_id: int, *, newest_first: bool) -> Line:
        captures = self._droppable(stream, without, after_id, newest_first=newest_first)
        if not after_id:
            return Line(priority, captures)
        all_of_them = self._droppable(stream, without, 0, newest_first=False)
        return Line(priority, captures, itertools.takewhile(lambda each: each[0] <= after_id, all_of_them))

    def _droppable(
        self, stream: int, without: Container[int], after_id: int, *, newest_first: bool
    ) -> Iterator[tuple[int, int]]:
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT listed.id, footprint FROM listed JOIN capture USING (id) WHERE {_FROM} {order}"  # noqa: S608
        listed, fresh = self._db.execute(sql, (stream, after_id + 1)), self.listing.fresh(stream, after_id)
        both = (reversed(fresh), listed) if newest_first else (listed, fresh)
        for capture_id, room in itertools.chain(*both):
            if capture_id not in without:
                yield capture_id, room

    def oldest(self) -> Stamp | None:
        """When the waiting capture that came first into this spool was received.

        Those that were adopted came when they were adopted, whatever their own time is.
        """
        row = self._db.execute("SELECT received_us, stream FROM capture ORDER BY id LIMIT 1").fetchone()
        return Stamp(row[0], self.origin(row[1]).clock) if row else None

    def fail(self, ids: Iterable[int], error: str, attempts: int, failed_us: int) -> list[Row]:
        """Move captures to the failures; returns (id, stream, footprint) of those that were there."""
        ids = list(ids)
        sql = (
            f"INSERT INTO failure ({COLUMNS}, error, attempts, failed_us) "  # noqa: S608
            f"SELECT {COLUMNS}, ?, ?, ? FROM capture WHERE id = ?"
        )
        self._copy(sql, [(error, attempts, failed_us, i) for i in ids])
        gone = self.drop(ids)
        self._failed_bytes += _room(gone)
        return gone

    def _copy(self, sql: str, parameters: Sequence[tuple[object, ...]]) -> None:
        """Copy captures from one of the two tables to the other. Raises Damaged for one that no table takes."""
        try:
            self._held += self._db.executemany(sql, parameters).rowcount
        except sqlite3.IntegrityError as error:
            raise Damaged(f"a capture in {self.path} cannot be moved: {error}") from error

    def failures(self, limit: int) -> list[Failure]:
        """The latest failures, newest first."""
        rows = self._db.execute(
            "SELECT id, stream, requested_us, size, error, attempts FROM failure ORDER BY failed_us DESC, id LIMIT ?",
            (limit,),
        ).fetchall()
        of = [(i, self.origin(stream), at_us, rest) for i, stream, at_us, *rest in rows]
        return [Failure(i, each.source, self.clocks.true_us(at_us, each.clock), *rest) for i, each, at_us, rest in of]

    def failed(self) -> tuple[int, int]:
        """How many failures there are, and their footprint in bytes."""
        row = self._db.execute("SELECT count(*), coalesce(sum(footprint), 0) FROM failure").fetchone()
        return row[0], row[1]

    def failure_parts(self, ids: Sequence[int] | None) -> list[list[int]]:
        """Those of the ids (None: all) that are failures, ascending, in parts; at least one, which may be empty."""
        wanted = None if ids is None else set(ids)
        parts, room = [list[int]()], 0
        # The length of a payload is read without the payload.
        for capture_id, size in self._db.execute("SELECT id, coalesce(length(payload), 0) FROM failure ORDER BY id"):
            if wanted is None or capture_id in wanted:
                if len(parts[-1]) == _PART_ROWS or room >= _PART_BYTES:
                    parts.append([])
                    room = 0
                parts[-1].append(capture_id)
                room += size
        return parts

    def retry(self, ids: Sequence[int]) -> list[Row]:
        """Move failures back to the waiting captures; returns (id, stream, footprint) of those that were there."""
        self._copy(f"INSERT INTO capture ({COLUMNS}) SELECT {COLUMNS} FROM failure WHERE id = ?", [(i,) for i in ids])  # noqa: S608
        back = self.drop_failures(ids)
        self.listing.add_old(back, self._last_id)
        return back

    def discard(self, ids: Sequence[int]) -> list[Row]:
        """Delete failures; returns (id, stream, footprint) of those that were there. A file is not sent again then."""
        for capture_id in ids:
            for (detail,) in self._db.execute("SELECT detail FROM failure WHERE id = ?", (capture_id,)).fetchall():
                mark = mark_of(detail)
                if mark is not None:
                    self.sent_files.discard(mark)
        return self.drop_failures(ids)

    def unreadable(self) -> int:
        """How many captures could not be read when damaged files were set aside."""
        row = self._db.execute("SELECT value FROM counter WHERE name = 'unreadable'").fetchone()
        return row[0] if row else 0

    def used_bytes(self) -> int:
        """The footprint of all captures in the file."""
        return self.listing.total()[1] + self._failed_bytes


def _room(rows: Iterable[Row]) -> int:
    return sum(room for _, _, room in rows)
