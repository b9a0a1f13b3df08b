"""Opens the spool's file. A damaged file is set aside, never deleted, and a new one gets all that can be read."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from module.errors import Damaged
from module.spool.damage.salvage import Salvaged, salvage
from module.spool.database import Database
from module.spool.rows import StreamRow

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_CUT_SHORT = 522
"""SQLITE_IOERR_SHORT_READ: the file is shorter than it says. (The name came with Python 3.12.)"""


_NAMED: set[Path] = set()
"""Files whose names, and those of the folders above, this process has made sure of: once is enough."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A spool that can be read, and what stands in it."""

    db: Database
    streams: list[StreamRow]
    failed: int
    damaged: str | None
    """The newest damaged file that was set aside, now or earlier, and is still there."""
    unreadable: int
    """How many captures could not be read when files were set aside."""


def is_damage(error: Exception) -> bool:
    """Whether an error says that the file itself is at fault."""
    if isinstance(error, Damaged):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.Error) and code is not None and (code & 0xFF in _DAMAGED or code == _CUT_SHORT)


def open_spool(path: Path, logger: logging.Logger, damage: Exception | None = None) -> Opened:
    """Open the file at ``path``, made if it is not there, and read what stands in it.

    ``damage`` is the error that was found in it, if it was open before; then it is set aside at once. Raises the errors
    of ``Database``, except damage.
    """
    is_named = path in _NAMED and path.exists() and damage is None and not _salvaged(path).exists()
    if _salvaged(path).exists():
        # A crash came between an earlier salvage and the end of its renames.
        _set_aside(path)
    if damage is not None:
        _rescue(path, damage, logger)
    try:
        opened = _open(path, logger)
    except Exception as error:
        if not is_damage(error):
            raise
        _rescue(path, error, logger)
        opened, is_named = _open(path, logger), False
    if not is_named:
        _sync_names(path)
        _NAMED.add(path)
    return opened


def close_spool(db: Database, *, keep_journal: bool) -> None:
    """Close the file; what was committed is safe.

    What stands in the journal is first written into the file itself, which takes two syncs more, unless
    ``keep_journal``: then the next to open the file reads it.
    """
    with contextlib.ExitStack() as stack:
        if keep_journal:
            # The last to close writes it, unless it may only read (SQLite, "Write-Ahead Logging").
            reader = sqlite3.connect(f"file:{quote(str(db.path))}?mode=ro", uri=True)
            stack.callback(reader.close)
            stack.callback(db.close)
            reader.execute("PRAGMA schema_version").fetchone()
        else:
            db.close()


def _sync_names(path: Path) -> None:
    _sync(path.parent)
    for directory in path.parent.parents:
        # A file that a power cut unnames is lost with all that was synced into it: the folders above count too, of
        # which some may be made just now, and some not ours to open.
        with contextlib.suppress(OSError):
            _sync(directory)


def _open(path: Path, logger: logging.Logger) -> Opened:
    """Open the file, and count what is lost of its captures."""
    db = Database(path)
    try:
        lost = db.skip_to_mark()
        if lost:
            text = "the spool at %s lacks %d of its last captures, at most: its journal is damaged or was cut short"
            logger.error(text, path, lost)
        return Opened(db, db.streams(), db.failed()[0], _set_aside_before(path), db.unreadable())
    except BaseException:
        db.close()
        raise


def _set_aside_before(path: Path) -> str | None:
    found = [each for each in path.parent.glob(f"{path.name}.damaged-*") if not each.name.endswith(("-wal", "-shm"))]
    return str(max(found)) if found else None


def _salvaged(path: Path) -> Path:
    """A new spool under this name is complete, and takes the old one's place as soon as that is set aside."""
    return path.with_name(f"{path.name}.salvaged")


def _rescue(path: Path, error: Exception, logger: logging.Logger) -> None:
    fresh = path.with_name(f"{path.name}.salvaging")
    _remove(fresh)
    try:
        done = salvage(path, fresh)
    except BaseException:
        _remove(fresh)
        raise
    fresh.rename(_salvaged(path))
    aside = _set_aside(path)
    logger.error("the spool at %s is damaged (%s): set aside as %s; %s", path, error, aside, _said(done))


def _set_aside(path: Path) -> str:
    aside = f"{path}.damaged-{datetime.now(UTC).strftime('%Y-%m-%dT%H-%M-%S-%fZ')}"
    _sync(path.parent)
    for suffix in ("", "-wal", "-shm"):
        part = Path(f"{path}{suffix}")
        if part.exists():
            part.rename(f"{aside}{suffix}")
    # The old journal must never come to stand beside the new file.
    _sync(path.parent)
    _salvaged(path).rename(path)
    return aside


def _said(done: Salvaged) -> str:
    text = f"a new one has the {done.saved} captures that could be read"
    if done.full:
        return f"{text} and for which the disk has room; {done.unreadable} are only in that file"
    return f"{text}, {done.unreadable} could not" if done.unreadable else text


def _remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
