"""The tables of the spool's file, and how a file of an older version becomes one of this.

Version 1 had no checksums, version 2 knew nothing of the machine's clock: their rows and times are taken as they are.
Version 3 knew delivered files by their paths only. Up to version 4 an index had every capture.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from module.errors import SpoolError

PAGE_BYTES = 1024
"""The page size of the file. A commit writes whole pages, and most of it is a few rows."""

_CACHE_KIB = 4096
_CAPTURE = """
    id INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    requested_us INTEGER NOT NULL,
    received_us INTEGER NOT NULL,
    size INTEGER NOT NULL,
    footprint INTEGER NOT NULL,
    detail TEXT,
    annotations BLOB,
    crc INTEGER,
    payload BLOB NOT NULL"""

_SENT_FILE = """
CREATE TABLE sent_file (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL
) WITHOUT ROWID;
"""
"""As it was up to version 3."""
_SENT_FILE_FROM_3 = """
ALTER TABLE sent_file ADD COLUMN inode INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sent_file ADD COLUMN missing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sent_file ADD COLUMN missing_day INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sent_file_by_inode ON sent_file (inode) WHERE inode <> 0;
"""
"""What it is known by under another name; on how many days it was missing, and the last of them."""
_SEQUENCE = """
CREATE TABLE sequence (
    id TEXT PRIMARY KEY,
    sources TEXT NOT NULL,
    tags TEXT NOT NULL,
    start_us INTEGER NOT NULL,
    after_id INTEGER NOT NULL,
    end_us INTEGER,
    last_id INTEGER,
    error TEXT
);
"""
_SEQUENCE_FROM_2 = """
ALTER TABLE sequence ADD COLUMN start_boot TEXT NOT NULL DEFAULT '';
ALTER TABLE sequence ADD COLUMN start_offset_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sequence ADD COLUMN end_boot TEXT NOT NULL DEFAULT '';
ALTER TABLE sequence ADD COLUMN end_offset_us INTEGER NOT NULL DEFAULT 0;
"""
"""Of which readings of the machine's clock start and end are."""

_TABLES = f"""
CREATE TABLE stream (
    id INTEGER PRIMARY KEY,
    origin TEXT NOT NULL UNIQUE,
    items INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    crc INTEGER
);
CREATE TABLE capture ({_CAPTURE}
);
CREATE INDEX capture_by_detail ON capture (detail) WHERE detail IS NOT NULL;
CREATE TABLE failure ({_CAPTURE},
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    failed_us INTEGER NOT NULL
);
CREATE INDEX failure_by_stream ON failure (stream);
CREATE INDEX failure_by_detail ON failure (detail) WHERE detail IS NOT NULL;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counter VALUES ('last_id', 0);
{_SENT_FILE}{_SEQUENCE}"""  # noqa: S608

_CLOCK = """
CREATE TABLE clock (
    id INTEGER PRIMARY KEY,
    boot TEXT NOT NULL,
    offset_us INTEGER NOT NULL,
    stood INTEGER NOT NULL
);
"""

_FROM_1 = """
ALTER TABLE stream ADD COLUMN crc INTEGER;
ALTER TABLE capture ADD COLUMN crc INTEGER;
ALTER TABLE failure ADD COLUMN crc INTEGER;
"""
_LISTED = """
CREATE TABLE listed (stream INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (stream, id)) WITHOUT ROWID;
INSERT INTO listed SELECT stream, id FROM capture ORDER BY stream, id;
DROP INDEX IF EXISTS capture_by_stream;
"""
"""Version 5. Up to version 4 an index had all captures, and each of them touched a page of it twice."""
_STEPS = ("", _FROM_1, _CLOCK + _SEQUENCE_FROM_2, _SENT_FILE_FROM_3, _LISTED)
"""From each version to the next; the tables that are made are those of version 2."""
SCHEMA_VERSION = len(_STEPS)
_JOURNAL_BYTES = 16 * 1024 * 1024
_LITTLE_BYTES = 4 * 1024 * 1024


ADOPTION_COLUMNS = "directory, place, shift, capture_id, failure_id, adopted, is_done"
ADOPTION_TABLE = """
CREATE TABLE IF NOT EXISTS adoption (
    directory TEXT PRIMARY KEY,
    place TEXT NOT NULL,
    shift INTEGER NOT NULL,
    capture_id INTEGER NOT NULL,
    failure_id INTEGER NOT NULL,
    adopted INTEGER NOT NULL,
    is_done INTEGER NOT NULL
) WITHOUT ROWID
"""
"""Made when the first spool is adopted; a version that does not know it can read all other tables."""
HAS_ADOPTIONS = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'adoption'"


def connect(path: Path) -> sqlite3.Connection:
    """Open or create the file at ``path``, private to its owner, with this version's tables in it.

    Raises ``sqlite3.Error`` or ``OSError`` as they come, ``SpoolError`` for a file of a newer version.
    """
    # SQLite gives its -wal and -shm files the permissions of the main one.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=True, cached_statements=64)
    try:
        _prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.text_factory = lenient_text
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == 0:
        # They only take effect before the first table exists, and cost a sync of the disk all the same.
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    # Debian builds SQLite with it on: each delete would rewrite every page of a payload with zeros.
    db.execute("PRAGMA secure_delete = OFF")
    # Streams share their pages: with SQLite's own 2 MB a claim from eight of them reads most of these twice.
    db.execute(f"PRAGMA cache_size = {-_CACHE_KIB}")
    # Keeps the journal's blocks allocated, so that a full disk still has room for the deletes that free it.
    db.execute(f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}")
    db.execute(f"PRAGMA wal_autocheckpoint = {_JOURNAL_BYTES // page_bytes(db)}")
    db.execute("PRAGMA synchronous = FULL")
    # The fsync of macOS leaves the data in the drive's cache. Elsewhere this changes nothing.
    db.execute("PRAGMA fullfsync = ON")
    if version > SCHEMA_VERSION:
        raise SpoolError(f"{path} was written by a newer version (schema {version}, this one knows {SCHEMA_VERSION})")
    if version < SCHEMA_VERSION:
        work = "".join(_STEPS[version:]) if version else _TABLES + "".join(_STEPS[2:])
        db.executescript(f"BEGIN IMMEDIATE;{work}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")
    if page_bytes(db) != PAGE_BYTES:
        _fit_pages(db)


def page_bytes(db: sqlite3.Connection) -> int:
    """The size of a page: ``PAGE_BYTES``, unless an older version has made the file."""
    return int(db.execute("PRAGMA page_size").fetchone()[0])


def _fit_pages(db: sqlite3.Connection) -> None:
    """Change the pages of an older version's file to today's size, if it has so little in it that this is quick.

    SQLite writes the whole file, or nothing. A file with a backlog keeps its pages until a start finds it delivered.
    """
    pages, free = (int(db.execute(f"PRAGMA {each}").fetchone()[0]) for each in ("page_count", "freelist_count"))
    if (pages - free) * page_bytes(db) > _LITTLE_BYTES:
        return
    # Whoever else looks into the file, or a disk without room for it, is no reason not to go on.
    with contextlib.suppress(sqlite3.OperationalError):
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        db.execute("VACUUM")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA wal_autocheckpoint = {_JOURNAL_BYTES // page_bytes(db)}")


def lenient_text(data: bytes) -> str:
    """Return a text from the file without an error; if it is damaged, its checksum shows that."""
    return data.decode(errors="replace")
