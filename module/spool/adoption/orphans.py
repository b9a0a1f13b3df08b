"""Spools that nobody opens any more: their service was renamed or removed, or an earlier version had them elsewhere.

Such a spool is beside our own, no process has had its lock for ``PATIENCE_S``, and no service of this process has its
name. It is named in the log and in the status, and stays unchanged until ``adopt`` or a person removes it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from module.errors import CommandError, CourierError
from module.files import threads
from module.spool.lock import LockFile
from module.spool.place import LOCK_FILE, SPOOL_FILE, Place, holds_spool

PATIENCE_S = 600.0
"""A spool counts as one that nobody opens any more if no look in so many seconds has found it open."""
ADOPTING = "adopting-"
"""How the directories of spools begin that are being adopted."""
_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Orphan:
    """A spool that nobody opens any more."""

    directory: Path
    items: int
    """Captures that wait in it, failures among them."""
    bytes: int
    """Their footprint."""
    oldest_us: int | None
    """When the oldest of them was received; None without any."""


class Neighbours:
    """What this process knows of the spools around its own; used on the event loop, and read by looks."""

    def __init__(self) -> None:
        self.in_use: Counter[Path] = Counter()
        """The directories that services of this process have, or will have once they are free."""
        self.free_since: dict[Path, float] = {}
        """Since when every look has found that no process has the lock, in monotonic seconds."""
        self.read: dict[Path, Orphan] = {}
        """Those that were named in the log."""

    def add(self, places: Iterable[Path]) -> None:
        """Note the directories of a service."""
        self.in_use.update(places)

    def remove(self, places: Iterable[Path]) -> None:
        """Forget them."""
        self.in_use.subtract(places)
        self.in_use = +self.in_use


OF_THIS_PROCESS = Neighbours()


class OrphanWatch:
    """Looks for orphans beside one spool."""

    def __init__(
        self,
        place: Place,
        logger: logging.Logger,
        neighbours: Neighbours = OF_THIS_PROCESS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = place
        self._logger = logger
        self._neighbours = neighbours
        self._clock = clock
        self._begun = False
        self.found: list[Orphan] = []
        """The orphans, as of the last look."""

    def begin(self) -> None:
        """Note that a service of this process has this spool; may be called more than once."""
        if not self._begun:
            self._begun = True
            self._neighbours.add([self._place.wanted])

    def end(self) -> None:
        """Note that it has it no longer."""
        if self._begun:
            self._begun = False
            self._neighbours.remove([self._place.wanted])

    async def run(self) -> None:
        """Look now and then, for ever; ends by cancellation only."""
        while True:
            await self.look()
            await asyncio.sleep(_EVERY_S)

    async def look(self) -> None:
        """Look once. A directory that cannot be read has no orphans."""
        try:
            self.found = await threads.start(str(self._place.directory), self._look)
        except (OSError, CourierError) as error:
            self._logger.debug("orphans beside %s cannot be looked for: %s", self._place.directory, error)

    def _look(self) -> list[Orphan]:
        now, known = self._clock(), self._neighbours
        orphans = []
        for directory in self._candidates():
            if self._is_had(directory) or not _is_free(directory):
                known.free_since.pop(directory, None)
                known.read.pop(directory, None)
            elif now - known.free_since.setdefault(directory, now) >= PATIENCE_S:
                orphans.append(self._named(directory))
        return orphans

    def _candidates(self) -> Iterator[Path]:
        for parent in self._place.parents:
            with os.scandir(parent) as entries:
                names = sorted(each.name for each in entries if each.is_dir(follow_symlinks=False))
            for directory in (parent / name for name in names if not name.startswith(ADOPTING)):
                if _may_hold_spool(directory):
                    yield directory

    def _is_had(self, directory: Path) -> bool:
        return directory == self._place.directory or directory in self._neighbours.in_use

    def _named(self, directory: Path) -> Orphan:
        known = self._neighbours.read.get(directory)
        if known is None:
            known = self._neighbours.read[directory] = _read(directory)
            self._logger.warning(
                "nobody opens the spool at %s any more: %d captures wait in it (%d bytes, the oldest of %s); "
                'the command {"command": "adopt", "directory": "%s"} takes them over',
                directory,
                known.items,
                known.bytes,
                "no time" if known.oldest_us is None else datetime.fromtimestamp(known.oldest_us / 1e6, UTC),
                directory,
            )
        return known

    def find(self, given: str) -> Path:
        """Return the directory of a spool beside our own that ``adopt`` may take. Raises CommandError.

        Links are not followed. A spool that a service of this process uses is refused.
        """
        directory = Path(os.path.normpath(given)) if given.startswith("/") else None
        if directory is None or not any(_is_same(directory.parent, parent) for parent in self._place.parents):
            raise CommandError(self._refusal(given, "it does not lie beside this spool"))
        parent = next(each for each in self._place.parents if _is_same(directory.parent, each))
        directory = parent / directory.name
        if directory.name.startswith(ADOPTING):
            text = (
                "another spool beside it has already taken over a part of it: adopt that spool. If that spool is gone, "
                "rename this directory first; what was taken over before is then delivered twice"
            )
            raise CommandError(self._refusal(given, text))
        if directory.is_symlink() or not holds_spool(directory):
            raise CommandError(self._refusal(given, "no spool lies there, or it is a link"))
        if self._is_had(directory):
            raise CommandError(self._refusal(given, "a service of this module has it"))
        return directory

    def _refusal(self, given: str, why: str) -> str:
        parents = " or ".join(str(parent) for parent in self._place.parents)
        return (
            f"adopt.directory: {given!r} given, and {why}; allowed is the directory of a spool that lies in {parents}"
        )


def _may_hold_spool(directory: Path) -> bool:
    try:
        return holds_spool(directory)
    except OSError:
        # Others have directories here too, and not all may be looked into.
        return False


def _is_free(directory: Path) -> bool:
    """Whether no process has the lock of the spool in a directory; a lock that cannot be looked at is somebody's."""
    lock = LockFile(directory / LOCK_FILE)
    try:
        lock.open(make=False)
        return lock.take()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    finally:
        lock.close()


_HAS_LIST = "SELECT 1 FROM sqlite_master WHERE name = 'listed'"
_NEWEST = (
    "SELECT count(*), coalesce(sum(footprint), 0) FROM capture WHERE id > (SELECT coalesce(max(id), 0) FROM listed)"
)
"""What a crash left that no list has yet (``module.spool.listing``)."""


def _read(directory: Path) -> Orphan:
    """Count what waits in a spool, of this or an earlier version; nothing if its file cannot be read."""
    uri = f"file:{quote(str(directory / SPOOL_FILE))}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as db:
            waiting = db.execute("SELECT coalesce(sum(items), 0), coalesce(sum(bytes), 0) FROM stream").fetchone()
            newest = db.execute(_NEWEST).fetchone() if db.execute(_HAS_LIST).fetchone() else (0, 0)
            failed = db.execute("SELECT count(*), coalesce(sum(footprint), 0) FROM failure").fetchone()
            first = "SELECT received_us FROM {} ORDER BY id LIMIT 1"
            oldest = [db.execute(first.format(table)).fetchone() for table in ("capture", "failure")]
    except sqlite3.Error:
        return Orphan(directory, 0, 0, None)
    times = [row[0] for row in oldest if row is not None]
    items, size = (sum(counts) for counts in zip(waiting, newest, failed, strict=True))
    return Orphan(directory, items, size, min(times, default=None))


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
