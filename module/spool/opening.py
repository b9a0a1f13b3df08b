"""How the spool's file is opened: a damaged one is set aside, never deleted, and a new one begins."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from module.spool.database import Damaged, Database
from module.spool.rows import StreamRow

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True, slots=True)
class Opened:
    """A spool that can be read, and what stands in it."""

    db: Database
    streams: list[StreamRow]
    failed: int
    damaged: str | None
    """Where a damaged file was set aside."""


def open_spool(path: Path, logger: logging.Logger) -> Opened:
    """Open the file at ``path``, made if it is not there, and read what stands in it.

    Raises what ``Database`` raises, but for damage.
    """
    damaged: str | None = None
    try:
        db, streams, failed = _open(path)
    except (sqlite3.DatabaseError, Damaged) as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) not in _DAMAGED:
            raise
        damaged = _set_aside(path)
        logger.error(  # noqa: TRY400, the cause is in the line
            "the spool at %s is damaged (%s): set aside as %s, a new one begins", path, error, damaged
        )
        db, streams, failed = _open(path)
    _sync(path.parent)
    for directory in path.parent.parents:
        # A file that a power cut unnames is lost with all that was synced into it: the folders above count too, of
        # which some may be made just now, and some not ours to open.
        with contextlib.suppress(OSError):
            _sync(directory)
    return Opened(db, streams, failed, damaged)


def _open(path: Path) -> tuple[Database, list[StreamRow], int]:
    db = Database(path)
    try:
        return db, db.streams(), db.failed()[0]
    except BaseException:
        db.close()
        raise


def _set_aside(path: Path) -> str:
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    for suffix in ("", "-wal", "-shm"):
        part = Path(f"{path}{suffix}")
        if part.exists():
            part.rename(f"{path}.damaged-{stamp}{suffix}")
    return f"{path}.damaged-{stamp}"


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
