"""The directory of one spool: makes it, locks it, and moves a spool there from the place of earlier versions.

Invariants
----------
1. Other files are left as they are: in a directory that others use too, only the names below are touched.
2. A new spool begins only in an empty directory. A directory with a spool is opened, even if other files are in it.
3. A spool is moved by one rename, while its lock is held; so it is in one of the two places, and never in both.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import stat
from pathlib import Path

from module.attributes.uploader import SpoolConfig
from module.errors import SpoolError
from module.spool.lock import LockFile

SPOOL_FILE = "spool.sqlite3"
LOCK_FILE = "lock"
PAUSED_FILE = "paused.json"
"""What commands have paused (``module.courier.pause_record``)."""
_OWN = re.compile(
    r"lock|reserve|last-id|paused\.json(?:\.new)?"
    r"|spool\.sqlite3(?:\.salvaging|\.salvaged|\.torn-log|\.damaged-[0-9TZ:.-]+)?(?:-wal|-shm|-journal)?"
)
_BESIDE = "lost+found"
"""Is at the top of each file system."""
_SHOWN = 3


def is_own(name: str) -> bool:
    """Whether a file of this name in a spool's directory is the spool's."""
    return _OWN.fullmatch(name) is not None


def is_evidence(name: str) -> bool:
    """Whether a file of this name is a damaged one that was set aside."""
    return is_own(name) and ".damaged-" in name


def holds_spool(directory: Path) -> bool:
    """Whether there is a spool in the directory; a link is none."""
    return any(_is_file(directory / name) for name in (SPOOL_FILE, f"{SPOOL_FILE}.salvaged"))


def place_of(settings: SpoolConfig, logger: logging.Logger) -> Place:
    """Return the place that the attributes name; logs a warning if viam-server may delete it."""
    if settings.is_at_risk:
        text = "viam-server deletes the spool at %s when the module does not run; set spool.directory to another place"
        logger.warning(text, settings.directory)
    former = None if settings.former is None else Path(settings.former)
    return Place(Path(settings.directory), former, logger)


class Place:
    """The place of a spool. ``take`` and ``let_go`` are called on the thread that owns its file."""

    def __init__(self, directory: Path, former: Path | None, logger: logging.Logger) -> None:
        """``former``: a spool in this directory is moved to ``directory``, if that has none."""
        self.directory = directory
        """The spool's directory: the wanted one, or the one that ``take`` found."""
        self._wanted = directory
        self._former = former
        self._logger = logger
        self._lock: LockFile | None = None

    @property
    def file(self) -> Path:
        """The spool's file."""
        return self.directory / SPOOL_FILE

    @property
    def wanted(self) -> Path:
        """The directory that the spool should have."""
        return self._wanted

    @property
    def parents(self) -> list[Path]:
        """The directories in which spools of this machine lie, or lay: those of the spool's two places."""
        places = (self._wanted, self._former)
        return list(dict.fromkeys(each.parent for each in places if each is not None and each.parent.is_dir()))

    def take(self) -> bool:
        """Make the directory, and take its lock; False if another instance has it, and may be called again then.

        Raises OSError, and SpoolError for a directory that others use and that holds no spool.
        """
        try:
            return self._take()
        except FileNotFoundError:
            # Another instance has moved the directory between two looks at it.
            return self._take()

    def _take(self) -> bool:
        here = self._where()
        _prepare(here)
        lock = LockFile(here / LOCK_FILE)
        lock.open()
        try:
            # Another instance may have moved or removed the directory while the lock was its own.
            if not lock.take() or not lock.is_in_place():
                return False
            moved = here if here == self._wanted else self._move(here)
            if moved is None:
                return False
            self.directory, self._lock = moved, lock
            return True
        finally:
            if self._lock is not lock:
                lock.close()

    def let_go(self) -> None:
        """Release the lock. May be called more than once."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _where(self) -> Path:
        if self._former is not None and _is_absent(self._wanted) and holds_spool(self._former):
            return self._former
        return self._wanted

    def _move(self, former: Path) -> Path | None:
        """Move the spool to the wanted place; returns its place then, or None if there is another spool by now."""
        try:
            _make_parents(self._wanted)
            former.rename(self._wanted)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return None
            text = (
                "the spool stays at %s, which viam-server deletes when the module does not run: it cannot be renamed "
                "to %s (%s); stop viam-server and move it there, or set spool.directory to another place"
            )
            self._logger.warning(text, former, self._wanted, error.strerror)
            return former
        for parent in (former.parent, self._wanted.parent):
            sync_directory(parent)
        self._logger.info("the spool at %s was moved to %s, where viam-server deletes nothing", former, self._wanted)
        return self._wanted


def _is_absent(directory: Path) -> bool:
    try:
        return not any(directory.iterdir())
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        return False


def _prepare(directory: Path) -> None:
    """Make the directory and keep it private, as far as it is the spool's. Raises OSError and SpoolError."""
    _make_parents(directory)
    directory.mkdir(mode=0o700, exist_ok=True)
    names = os.listdir(directory)  # noqa: PTH208, names alone
    others = sorted(name for name in names if not is_own(name) and name != _BESIDE)
    if others and not holds_spool(directory):
        raise SpoolError(_refusal(directory, others))
    if not others:
        directory.chmod(0o700)
    for own in (directory / name for name in names if is_own(name)):
        # Whoever could write here: a link must not make another file the spool's.
        if own.is_symlink():
            own.unlink()
        elif own.is_file():
            own.chmod(0o600)


def _refusal(directory: Path, others: list[str]) -> str:
    shown = ", ".join(repr(name) for name in others[:_SHOWN])
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return (
        f"{directory} holds files that are no spool's ({shown}{more}); "
        "allowed in spool.directory is a directory that is empty, missing, or holds a spool"
    )


def _make_parents(directory: Path) -> None:
    # The mode of ``mkdir`` is for the last of them only.
    for missing in reversed([each for each in directory.parents if not each.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def sync_directory(directory: Path) -> None:
    """Make the names in a directory survive a power cut, if it may be read; otherwise they do so a little later."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
