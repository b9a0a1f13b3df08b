"""A spool that is being taken over, read part by part; all of it on threads that may wait for its disk."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from module.errors import Damaged, SpoolError
from module.spool.adoption.table import Adoption, Part, rows_of
from module.spool.damage.opening import open_spool
from module.spool.lock import LockFile
from module.spool.place import LOCK_FILE, SPOOL_FILE, is_evidence, is_own, sync_directory
from module.spool.rows import COLUMNS, FAILED_COLUMNS, is_row, whole_origin
from module.spool.schema import lenient_text
from module.spool.sequence_table import COLUMNS as SEQUENCE_COLUMNS

_PART_ROWS = 500
_PART_BYTES = 4_000_000
_PART_FILES = 5_000
_FAILED = f"{COLUMNS}, {FAILED_COLUMNS}"


class OldSpool:
    """The file, whole and in this version's schema, and its lock."""

    def __init__(self, db: sqlite3.Connection, lock: LockFile) -> None:
        self._db = db
        self._lock = lock
        # Reading may still be under way when the service closes.
        self._reading = threading.Lock()
        self._files_after: str | None = ""
        self.last_id: int = db.execute("SELECT value FROM counter WHERE name = 'last_id'").fetchone()[0]
        """The last id that it has given out."""
        waiting = db.execute("SELECT coalesce(sum(bytes), 0) FROM stream").fetchone()[0]
        self.bytes: int = waiting + db.execute("SELECT coalesce(sum(footprint), 0) FROM failure").fetchone()[0]
        """The footprint of all that is in it."""

    @classmethod
    def open(cls, directory: Path, logger: logging.Logger, damage: Exception | None = None) -> Self:
        """Open it; a damaged one is set aside there, and what can be read of it is taken over.

        ``damage``: what was found in it since it was opened before. Raises SpoolError, OSError and ``sqlite3.Error``.
        """
        lock = LockFile(directory / LOCK_FILE)
        lock.open()
        try:
            _take(lock, directory)
            path = directory / SPOOL_FILE
            # It becomes what a start of its own would make of it, and is only read from then on.
            open_spool(path, logger, damage).db.close()
            db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, check_same_thread=False)
            db.text_factory = lenient_text
            try:
                return cls(db, lock)
            except BaseException:
                db.close()
                raise
        except BaseException:
            lock.close()
            raise

    def close(self) -> None:
        """Close the file, and release its lock."""
        with self._reading:
            self._db.close()
            self._lock.close()

    def next_part(self, adoption: Adoption) -> Part:
        """Read the next part of an adoption: first the files that were sent, then captures, failures, and the rest."""
        with self._reading:
            return self._read(adoption)

    def _read(self, adoption: Adoption) -> Part:
        part = Part()
        if self._files_after is not None:
            sql = "SELECT path, size, modified_ns, inode FROM sent_file WHERE path > ? ORDER BY path LIMIT ?"
            part.sent_files = self._db.execute(sql, (self._files_after, _PART_FILES)).fetchall()
            self._files_after = part.sent_files[-1][0] if part.sent_files else None
            # Before the captures that they date.
            part.clocks = self._db.execute("SELECT boot, offset_us FROM clock WHERE stood ORDER BY id").fetchall()
        if not part.sent_files:
            part.captures = list(self._rows("capture", COLUMNS, adoption.capture_id))
        if not part.sent_files and not part.captures:
            part.failures = list(self._rows("failure", _FAILED, adoption.failure_id))
        if not part.sent_files and not part.captures and not part.failures:
            self._read_rest(part)
        for stream in {row[1] for row in (*part.captures, *part.failures)}:
            text, crc = self._db.execute("SELECT origin, crc FROM stream WHERE id = ?", (stream,)).fetchone() or ("", 1)
            origin = whole_origin(text, crc)
            if origin is None:
                raise Damaged(f"the description of stream {stream} in an adopted spool is damaged")
            part.origins[stream] = origin
        return part

    def _rows(self, table: str, names: str, after_id: int) -> Iterator[tuple[Any, ...]]:
        size = 0
        sql = f"SELECT {names} FROM {table} WHERE id > ? ORDER BY id LIMIT {_PART_ROWS}"  # noqa: S608
        with closing(self._db.execute(sql, (after_id,))) as rows:
            for row in rows:
                # Our own file would refuse it, each time again; from a salvaged one it is missing.
                if not is_row(row):
                    raise Damaged(f"a {table} in an adopted spool lacks what each has")
                yield row
                size += len(row[9])
                if size > _PART_BYTES:
                    return

    def _read_rest(self, part: Part) -> None:
        part.sequences = self._db.execute(f"SELECT {SEQUENCE_COLUMNS} FROM sequence ORDER BY rowid").fetchall()  # noqa: S608
        part.adoptions = rows_of(self._db)
        unreadable = self._db.execute("SELECT value FROM counter WHERE name = 'unreadable'").fetchone()
        part.unreadable = unreadable[0] if unreadable else 0
        part.is_last = True


def _take(lock: LockFile, directory: Path) -> None:
    if not lock.take():
        raise SpoolError(f"the spool at {directory} is held by another process, and is no orphan")


def delete_spool(place: Path, directory: Path) -> None:
    """Delete a spool's own files, and its directory if there are no others in it. Raises OSError.

    Does nothing if it is gone. A damaged file that was set aside stays, in the spool's former ``directory`` if that is
    free.
    """
    if not place.is_dir():
        return
    for path in list(place.iterdir()):
        if is_own(path.name) and not is_evidence(path.name):
            path.unlink()
    if not any(place.iterdir()):
        place.rmdir()
    elif not directory.exists():
        with contextlib.suppress(OSError):
            place.rename(directory)
    sync_directory(place.parent)
