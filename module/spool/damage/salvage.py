"""Copies all that can be read of a damaged spool into a new file.

SQLite cannot read a table any further once one of its pages is broken. So captures are read by ranges of their ids,
which are halved around unreadable places. Captures that no tree leads to any more are read from the pages. Each must
match its checksum, so only captures as they were written are copied. Ids and streams stay the same, so uploads under
way are not affected.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from module.spool.damage.high_water import MARK_FILE, Mark, lost_in_a_rescue, read_mark
from module.spool.damage.pages import Pages
from module.spool.rows import COLUMNS, FAILED_COLUMNS, is_row, is_whole, origin_checksum, whole_origin
from module.spool.schema import ADOPTION_COLUMNS, ADOPTION_TABLE, HAS_ADOPTIONS, connect, lenient_text
from module.spool.sent_files import COLUMNS as SENT_FILE

_FAILED = FAILED_COLUMNS
_LAST_ID = "SELECT value FROM counter WHERE name = 'last_id' AND typeof(value) = 'integer'"
_UNREADABLE = "SELECT value FROM counter WHERE name = 'unreadable' AND typeof(value) = 'integer'"
_STREAM_COLUMNS = 5
_MOST_ITEMS = 10**9
"""What a stream says of more is damaged."""
_BATCH_BYTES = 8_000_000
_BATCH_ROWS = 1000
_PATIENCE = 20_000
"""So many ranges are tried that cannot be read, before the ranges that are given up at once become larger."""
_UNKNOWN_IDS = 1_000_000
"""Ids to skip if the last one is not known, so that none is used twice."""


@dataclass(slots=True)
class Salvaged:
    """The result of a salvage."""

    saved: int = 0
    """Captures, failures among them."""
    unreadable: int = 0
    """Captures that were there, by the file and its mark, and could not be read; an upper bound."""
    full: bool = False
    """The disk had no room for all of them."""


def salvage(damaged: Path, into: Path) -> Salvaged:
    """Write what can be read of the spool at ``damaged`` into a new one, closed and on the disk when this returns.

    The damaged file stays as it is. Raises what ``connect`` raises.
    """
    done = Salvaged()
    mark = read_mark(damaged.with_name(MARK_FILE))
    with closing(connect(into)) as new:
        try:
            with closing(_open(damaged)) as old, Pages(damaged, Path(f"{damaged}-wal")) as pages:
                _Copy(old, pages, new, done, mark).run()
        except (sqlite3.Error, OSError) as error:
            if not is_full(error):
                raise
            done.full = True
            if new.in_transaction:
                new.execute("ROLLBACK")
        # At once: a crash may come before anybody else counts them.
        count_unreadable(new, done.unreadable)
        new.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return done


def count_unreadable(db: sqlite3.Connection, captures: int) -> None:
    """Add to the captures of a spool that could not be read."""
    db.execute("INSERT OR IGNORE INTO counter VALUES ('unreadable', 0)")
    db.execute("UPDATE counter SET value = value + ? WHERE name = 'unreadable'", (captures,))


def is_full(error: Exception | None) -> bool:
    """Whether an error says that the disk has no room."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _open(damaged: Path) -> sqlite3.Connection:
    # Read only: nothing may change what is the evidence, not even the journal's way into the file.
    db = sqlite3.connect(f"file:{quote(str(damaged))}?mode=ro", uri=True, isolation_level=None)
    try:
        db.text_factory = lenient_text
        db.execute("PRAGMA cell_size_check = ON")
        # Lets a file be read that is shorter than it says.
        db.execute("PRAGMA writable_schema = ON")
    except BaseException:
        db.close()
        raise
    return db


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that captures stand in."""

    name: str
    names: str
    other: str

    @property
    def columns(self) -> int:
        return self.names.count(",") + 1

    @property
    def insert(self) -> str:
        marks = ", ".join(f"?{number}" for number in range(1, self.columns + 1))
        # A capture is in exactly one of the two tables.
        return (
            f"INSERT OR IGNORE INTO {self.name} ({self.names}) SELECT {marks} "  # noqa: S608
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.other} WHERE id = ?1)"
        )


_CAPTURE = _Table("capture", COLUMNS, "failure")
_FAILURE = _Table("failure", f"{COLUMNS}, {_FAILED}", "capture")


class _Copy:
    """One file's way into another."""

    def __init__(
        self, old: sqlite3.Connection, pages: Pages, new: sqlite3.Connection, done: Salvaged, mark: Mark
    ) -> None:
        self._old = old
        self._pages = pages
        self._new = new
        self._done = done
        self._mark = mark
        self._streams: set[int] = set()
        self._hindered = False
        self._newest = 0
        """The largest id that was read."""

    def run(self) -> None:
        expected = self._copy_streams() + sum(count for (count,) in self._all("SELECT count(*) FROM failure"))
        readable_id = self._readable_last_id()
        self._copy_rest(readable_id)
        columns = COLUMNS if self._has_checksums() else COLUMNS.replace("crc", "NULL")
        last = max(readable_id, self._mark.last_id)
        try:
            for table, names in ((_CAPTURE, columns), (_FAILURE, f"{columns}, {_FAILED}")):
                self._copy(table, self._rows(table.name, names, last))
            # Those whose streams are not known are on readable pages, too.
            if self._hindered or self._lost(readable_id, expected):
                for table in (_CAPTURE, _FAILURE):
                    self._copy(table, self._off_pages(table))
        finally:
            self._done.unreadable = self._lost(readable_id, expected)

    def _lost(self, readable_id: int, expected: int) -> int:
        return lost_in_a_rescue(self._mark, readable_id or self._newest, expected, self._done.saved)

    def _readable_last_id(self) -> int:
        """How far the file goes by what SQLite can read of it; 0 if that is nothing."""
        counted: list[int] = [value for (value,) in self._all(_LAST_ID)]
        return max(self._last_id("capture"), self._last_id("failure"), *counted, 0)

    def _off_pages(self, table: _Table) -> Iterator[tuple[Any, ...]]:
        # Without a checksum nothing tells a row from what only looks like one.
        return (row for row in self._pages.rows(table.columns) if row[8] is not None)

    def _has_checksums(self) -> bool:
        names = self._all("SELECT name FROM pragma_table_info('capture')")
        return ("crc",) in names or not names

    def _all(self, sql: str) -> list[tuple[Any, ...]]:
        """As many rows as come before the first that cannot be read."""
        rows: list[tuple[Any, ...]] = []
        try:
            rows.extend(self._old.execute(sql))
        except sqlite3.Error:
            self._hindered = True
        return rows

    def _copy_streams(self) -> int:
        """Copy the streams; returns how many captures there should be."""
        crc = "crc" if ("crc",) in self._all("SELECT name FROM pragma_table_info('stream')") else "NULL"
        sql = f"SELECT id, origin, items, 0, {crc} FROM stream ORDER BY id "  # noqa: S608
        rows: Iterable[tuple[Any, ...]] = self._all(f"{sql} ASC")
        if self._hindered:
            rows = [*rows, *(row for row in self._pages.rows(_STREAM_COLUMNS) if row[4] is not None)]
        found: dict[int, tuple[str, int]] = {}
        for stream, text, items, _, check in rows:
            if isinstance(stream, int) and isinstance(text, str) and whole_origin(text, check) is not None:
                there = items if isinstance(items, int) and 0 <= items < _MOST_ITEMS else 0
                found[stream] = text, max(there, found.get(stream, ("", 0))[1])
        if self._hindered:
            found = self._in_index() | found
        # An older page may hold a stream that has gone since, and was made again: the newer one has the captures.
        newest = {text: stream for stream, (text, _) in sorted(found.items())}
        found = {stream: found[stream] for stream in newest.values()}
        self._new.executemany(
            "INSERT OR IGNORE INTO stream (id, origin, crc) VALUES (?, ?, ?)",
            [(stream, text, origin_checksum(text)) for stream, (text, _) in found.items()],
        )
        self._streams = set(found)
        return sum(items for _, items in found.values())

    def _in_index(self) -> dict[int, tuple[str, int]]:
        """Streams by the index of what they share, which has separate pages and no counts."""
        sql = "SELECT id, origin FROM stream INDEXED BY sqlite_autoindex_stream_1 ORDER BY origin"
        rows = [row for order in ("ASC", "DESC") for row in self._all(f"{sql} {order}")]
        return {stream: (text, 0) for stream, text in rows if isinstance(text, str) and whole_origin(text, None)}

    def _copy(self, table: _Table, rows: Iterable[tuple[Any, ...]]) -> None:
        size, batch = 0, list[tuple[Any, ...]]()
        for row in rows:
            if not self._makes_sense(row):
                continue
            batch.append(row)
            size += len(row[9])
            if size > _BATCH_BYTES or len(batch) >= _BATCH_ROWS:
                self._write(table, batch)
                size, batch = 0, []
        self._write(table, batch)

    def _makes_sense(self, row: tuple[Any, ...]) -> bool:
        return is_row(row) and row[1] in self._streams and is_whole(row[:10])

    def _write(self, table: _Table, batch: list[tuple[Any, ...]]) -> None:
        self._new.execute("BEGIN")
        # One by one, as some may be there already: a trigger would cost all other times.
        new = [row for row in batch if self._new.execute(table.insert, row).rowcount == 1]
        if table is _CAPTURE:
            self._new.executemany("INSERT INTO listed VALUES (?, ?)", [(row[1], row[0]) for row in new])
            sql = "UPDATE stream SET items = items + 1, bytes = bytes + ? WHERE id = ?"
            self._new.executemany(sql, [(row[5], row[1]) for row in new])
        self._newest = max([self._newest, *(row[0] for row in new)])
        self._new.execute("UPDATE counter SET value = max(value, ?) WHERE name = 'last_id'", (self._newest,))
        self._new.execute("COMMIT")
        self._done.saved += len(new)

    def _last_id(self, table: str) -> int:
        return max((row[0] for row in self._all(f"SELECT max(id) FROM {table}") if row[0]), default=0)  # noqa: S608

    def _rows(self, table: str, columns: str, last: int) -> Iterator[tuple[Any, ...]]:
        ranges, patience, least = [(0, last)], _PATIENCE, 1
        sql = f"SELECT {columns} FROM {table} WHERE id > ? AND id <= ? ORDER BY id"  # noqa: S608
        while ranges:
            low, high = ranges.pop()
            try:
                for row in self._old.execute(sql, (low, high)):
                    # A page in the wrong place gives ids of other ranges: these must never grow.
                    low = max(low, min(row[0], high))
                    yield row
            except sqlite3.DatabaseError:
                self._hindered = True
                patience -= 1
                if patience == 0:
                    patience, least = _PATIENCE, least * 16
                if high - low > least:
                    middle = (low + high) // 2
                    ranges += [(middle, high), (low, middle)]

    def _copy_rest(self, readable_id: int) -> None:
        # Those that a file of an older version has, too.
        there = {name for (name,) in self._all("SELECT name FROM pragma_table_info('sent_file')")}
        columns = [name for name in SENT_FILE if name in there] or SENT_FILE[:3]
        names = ", ".join(columns)
        for order in ("ASC", "DESC"):
            self._new.executemany(
                f"INSERT OR IGNORE INTO sent_file ({names}) VALUES ({', '.join('?' * len(columns))})",  # noqa: S608
                self._all(f"SELECT {names} FROM sent_file ORDER BY path {order}"),  # noqa: S608
            )
        # Those columns that a file of an older version has, too.
        for table in ("sequence", "clock"):
            names = ", ".join(name for (name,) in self._all(f"SELECT name FROM pragma_table_info('{table}')"))  # noqa: S608
            if names:
                marks = ", ".join("?" * (names.count(",") + 1))
                self._new.executemany(
                    f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})",  # noqa: S608
                    self._all(f"SELECT {names} FROM {table}"),  # noqa: S608
                )
        if self._all(HAS_ADOPTIONS):
            self._new.execute(ADOPTION_TABLE)
            self._new.executemany(
                f"INSERT OR IGNORE INTO adoption ({ADOPTION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                self._all(f"SELECT {ADOPTION_COLUMNS} FROM adoption"),  # noqa: S608
            )
        last_id = max(readable_id, self._mark.last_id) + (0 if self._mark.last_id else _UNKNOWN_IDS)
        self._new.execute("UPDATE counter SET value = ? WHERE name = 'last_id'", (last_id,))
        earlier: list[int] = [value for (value,) in self._all(_UNREADABLE)]
        count_unreadable(self._new, max([self._mark.unreadable, *earlier]))
