"""How the spool's file is opened: a damaged one is set aside, never deleted, and a new one begins."""

from __future__ import annotations

import logging
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from module.spool.database import Database

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def open_spool(path: Path, logger: logging.Logger) -> tuple[Database, str | None]:
    """Open the file at ``path``, made if it is not there; gives where a damaged one was set aside, if it was.

    Raises what ``Database`` raises, but for damage.
    """
    damaged: str | None = None
    try:
        db = Database(path)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode not in _DAMAGED:
            raise
        damaged = _set_aside(path)
        logger.error(  # noqa: TRY400, the cause is in the line
            "the spool at %s is damaged (%s): set aside as %s, a new one begins", path, error, damaged
        )
        db = Database(path)
    # A file that a power cut unnames is lost with all that was synced into it.
    for directory in (path.parent, path.parent.parent):
        _sync(directory)
    return db, damaged


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
