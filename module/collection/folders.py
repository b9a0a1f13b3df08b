"""Folders: files that have settled → Captures that point at them.

A pattern of ``include`` or ``exclude`` without a slash is matched with the file's name, at any depth: ``*.jpg``. A
pattern with a slash is matched with the whole path relative to the folder: ``raw/*.jpg``, or ``/*.jpg`` for the top
level only. ``*``, ``?`` and ``[abc]`` match within one component. ``**`` as a component matches any number of folders,
also none. A slash at the end means everything below. Case counts. A file is taken if an ``include`` matches and no
``exclude`` does.

Links are never followed, neither to files nor to folders. Hidden and empty files are treated as all others.
"""

from __future__ import annotations

import asyncio
import fnmatch
import heapq
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from module.attributes.uploader import AfterUpload, FolderConfig
from module.capture import Capture, FileMark, Kind, Origin
from module.collection.gone_files import GoneFiles
from module.collection.kept import KeptOfFolder
from module.collection.new_files import FileSpool, NewFiles
from module.errors import CourierError, SpoolFull
from module.files import threads

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator, Sequence

_ASK_AT_ONCE = 1000
_SORT_AT_ONCE = 1000
_APPEND_AT_ONCE = 100
_REST = 20
"""A watch rests this many times as long as a scan took, so that even a huge folder costs at most 5 % of a core."""


class Glob:
    """One pattern of ``include`` or ``exclude``; the top of this file says what it matches."""

    def __init__(self, pattern: str) -> None:
        self._name_only = "/" not in pattern
        components = [part for part in pattern.split("/") if part]
        if pattern.endswith("/"):
            components.append("**")
        if not self._name_only and components[-1:] == ["**"]:
            components.append("*")  # all that is below a folder, but not a file of the folder's name
        self._components = [
            None if part == "**" and not self._name_only else re.compile(fnmatch.translate(part)) for part in components
        ]

    def matches(self, parts: Sequence[str]) -> bool:
        """Whether the pattern matches a relative path, which is passed as its components."""
        reached = self._past_spans({0})
        for part in parts[-1:] if self._name_only else parts:
            following = set()
            for at in reached:
                if at == len(self._components):
                    continue
                component = self._components[at]
                if component is None:
                    following.add(at)
                elif component.match(part):
                    following.add(at + 1)
            reached = self._past_spans(following)
        return len(self._components) in reached

    def _past_spans(self, reached: set[int]) -> set[int]:
        """Add the places after each ``**``, because it may match no folder at all."""
        for at, component in enumerate(self._components):
            if component is None and at in reached:
                reached.add(at + 1)
        return reached


@dataclass(slots=True)
class Sightings:
    """What one scan of a folder passes to the next."""

    ahead: dict[FileMark, float] = field(default_factory=dict)
    """Files dated in the future, each with the time when that was first seen, in seconds since the epoch."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Paths below the folder that could not be read, each with the reason."""
    looked_at: int = 0
    """How many entries were looked at; it does not grow while the disk does not answer."""
    abandoned: bool = False
    """Set when nobody waits for the scan any more; then it ends early."""


def scan(folder: FolderConfig, now_s: float, sightings: Sightings | None = None) -> list[FileMark]:
    """Return the settled files that the patterns match, oldest first; blocks while it reads the disk.

    A file has settled if, at ``now_s`` (seconds since the epoch), it has not been modified for ``settle_s``. A file
    dated in the future, as after a step of the clock, has settled once ``sightings`` has had it with the same size and
    date for that long. Raises ``OSError`` if the folder cannot be read. What cannot be read below it is left out and
    noted in ``sightings``.
    """
    sightings = Sightings() if sightings is None else sightings
    ahead: dict[FileMark, float] = {}
    skipped: dict[str, str] = {}
    settled = []
    for mark in _files(folder, sightings, skipped):
        if mark.modified_ns <= (now_s - folder.settle_s) * 1e9:
            settled.append(mark)
        elif mark.modified_ns > now_s * 1e9:
            # The smaller of the two: a clock that was set back must not make the file wait until it has caught up.
            ahead[mark] = min(sightings.ahead.get(mark, now_s), now_s)
            if now_s - ahead[mark] >= folder.settle_s:
                settled.append(mark)
    sightings.ahead, sightings.skipped = ahead, skipped
    return _oldest_first(settled)


def inferred(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the tags and the dataset ids in a file's absolute path, outermost first.

    A folder ``tag=x`` is a tag, ``dataset=y`` a dataset; white space around both is ignored. The file's name is not
    used. viam-server does the same: ``inferTagsAndDatasetIDsFromPath`` in
    ``services/datamanager/builtin/sync/upload_arbitrary_file.go``.
    """
    found: dict[str, dict[str, None]] = {"tag": {}, "dataset": {}}
    for part in PurePosixPath(path).parent.parts:
        key, _, value = part.strip().partition("=")
        if key in found and value.strip():
            found[key][value.strip()] = None
    return tuple(found["tag"]), tuple(found["dataset"])


class FolderWatch:
    """Puts each settled file of one folder into the spool, once for each state that it settles in.

    ``run`` is for one task. A failure (the folder is missing, the spool is full) is counted, shown in ``last_error``,
    logged when it begins and when it ends, and tried again at the next scan.
    """

    def __init__(
        self,
        config: FolderConfig,
        service_tags: Sequence[str],
        service_dataset_ids: Sequence[str],
        spool: FileSpool,
        *,
        put_away: Callable[[Origin, FileMark], bool],
        logger: logging.Logger,
        wall_clock: Callable[[], float] = time.time,
        period_s: float | None = None,
        kept: KeptOfFolder | None = None,
    ) -> None:
        """``put_away``: deletes or moves a delivered file, in a thread; False: not now. Raises OSError.

        ``kept``: the counts, which continue.
        """
        self.kept = KeptOfFolder() if kept is None else kept
        self.last_error: str | None = None
        """The present problem; None once a scan has succeeded."""
        self._config = config
        self._tags = (*service_tags, *config.tags)
        self._dataset_ids = (*service_dataset_ids, *config.dataset_ids)
        self._spool = spool
        self._new_files = NewFiles(config, spool, logger)
        self._gone_files = GoneFiles(config.path, spool, wall_clock)
        self._put_away = put_away
        self._logger = logger
        self._wall_clock = wall_clock
        # Half the time to settle: a file goes soon after it has settled, and a large settle_s costs few scans.
        self._period_s = min(max(config.settle_s / 2, 0.5), 5.0) if period_s is None else period_s
        self._sightings = Sightings()
        self._resumed = asyncio.Event()
        self._resumed.set()

    @property
    def paused(self) -> bool:
        """Whether ``pause`` was called last."""
        return not self._resumed.is_set()

    def pause(self) -> None:
        """Append nothing until ``resume``, except the group that is being appended now."""
        self._resumed.clear()

    def resume(self) -> None:
        """Scan again, within one period."""
        self._resumed.set()

    async def run(self) -> None:
        """Scan and append for ever; only cancellation ends it."""
        clock = asyncio.get_running_loop().time
        self._sightings.abandoned = False
        try:
            while True:
                await self._resumed.wait()
                began = clock()
                self._tell(await self._round())
                await asyncio.sleep(max(self._period_s, _REST * (clock() - began)))
        finally:
            self._sightings.abandoned = True

    async def _round(self) -> str | None:
        """Do one scan and append new files; returns the problem, or None."""
        stuck: dict[str, str] = {}
        try:
            root, marks = await self._scan()
            for some in _groups(marks, _ASK_AT_ONCE):
                for group in _groups(await self._new_files.among(some), _APPEND_AT_ONCE):
                    if self.paused:
                        return self.last_error
                    await self._append(root, group)
                # Last, because a file that it forgets would look new.
                stuck |= await self._finish(root, some)
            await self._gone_files.look(root)
        except SpoolFull:
            return "the spool is full; the files wait where they are"
        except CourierError as error:
            return str(error)
        except OSError as error:
            return _told(error.filename or self._config.path, error.strerror or str(error))
        troubles = self._sightings.skipped | stuck
        if troubles:
            path, reason = min(troubles.items())
            more = len(troubles) - 1
            return _told(path, reason) + (f" (and {more} more)" if more else "")
        return None

    async def _scan(self) -> tuple[str, list[FileMark]]:
        """Scan the folder, and report if it does not answer."""
        looking = threads.start(self._config.path, self._look)
        while not looking.done():
            before = self._sightings.looked_at
            await asyncio.wait({looking}, timeout=threads.ANSWER_S)
            if not looking.done() and self._sightings.looked_at == before:
                self._tell(_told(self._config.path, "it does not answer"))
        return looking.result()

    async def _finish(self, root: str, marks: Sequence[FileMark]) -> dict[str, str]:
        """Put away delivered files that are still here; returns those that could not be, with the reason."""
        stuck: dict[str, str] = {}
        if self._config.after_upload is AfterUpload.KEEP:
            return stuck
        for mark in await self._spool.sent_files(marks):
            try:
                origin = self._origin(self._configured(root, mark))
                is_done = await threads.start(self._config.path, self._put_away, origin, mark)
            except OSError as error:
                # A file that cannot be moved must not delay those after it.
                stuck[error.filename or mark.path] = error.strerror or str(error)
            else:
                # A file that is being written again is sent again once it has changed, and is put away then.
                if is_done:
                    await self._spool.forget_files([mark])
        return stuck

    def _configured(self, root: str, mark: FileMark) -> str:
        # The path as it was configured, as viam-server takes it: a link's name says more than where it leads.
        return f"{self._config.path}/{mark.path[len(root) :]}"

    def _look(self) -> tuple[str, list[FileMark]]:
        return os.path.realpath(self._config.path), scan(self._config, self._wall_clock(), self._sightings)

    async def _append(self, root: str, marks: Sequence[FileMark]) -> None:
        now_us = round(self._wall_clock() * 1e6)
        origins: dict[str, Origin] = {}
        captures = []
        for mark in marks:
            path = self._configured(root, mark)
            directory = path.rpartition("/")[0]
            if directory not in origins:
                origins[directory] = self._origin(path)
            captures.append(Capture(origin=origins[directory], requested_us=now_us, received_us=now_us, file=mark))
        await self._spool.append(captures)
        self.kept.captured += len(captures)
        self.kept.last_capture_us = now_us

    def _origin(self, path: str) -> Origin:
        tags, dataset_ids = inferred(path)
        return Origin(
            source=self._config.path,
            kind=Kind.FILE,
            priority=self._config.priority,
            tags=tuple(dict.fromkeys((*self._tags, *tags))),
            dataset_ids=tuple(dict.fromkeys((*self._dataset_ids, *dataset_ids))),
            after_upload=self._config.after_upload.value,
            move_to=self._config.move_to or "",
            folder=self._config.path,
        )

    def _tell(self, trouble: str | None) -> None:
        self.kept.errors += trouble is not None
        if trouble != self.last_error:
            if trouble is None:
                self._logger.info("folder %s: the trouble is over", self._config.path)
            else:
                self._logger.warning("folder %s: %s", self._config.path, trouble)
        self.last_error = trouble


def _files(folder: FolderConfig, sightings: Sightings, skipped: dict[str, str]) -> Iterator[FileMark]:
    """Yield the regular files below the folder that the patterns match, in no order."""
    include = [Glob(pattern) for pattern in folder.include]
    exclude = [Glob(pattern) for pattern in folder.exclude]
    root = os.path.realpath(folder.path)
    unread = [root]
    while unread and not sightings.abandoned:
        directory = unread.pop()
        try:
            for entry in _entries(directory, skipped):
                sightings.looked_at += 1
                if sightings.abandoned:
                    return
                if entry.is_dir(follow_symlinks=False):
                    if folder.recursive:
                        unread.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    parts = entry.path[len(root) :].lstrip("/").split("/")
                    if _any(include, parts) and not _any(exclude, parts):
                        yield from _mark(entry, skipped)
        except OSError as error:
            if directory == root:
                raise
            _skip(skipped, directory, error)


def _entries(directory: str, skipped: dict[str, str]) -> Iterator[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                entry.name.encode()
            except UnicodeEncodeError:
                # Neither the spool nor an upload's metadata can hold such a name.
                skipped[entry.path] = "the name is not UTF-8; rename it"
            else:
                yield entry


def _mark(entry: os.DirEntry[str], skipped: dict[str, str]) -> Iterator[FileMark]:
    try:
        info = entry.stat(follow_symlinks=False)
    except OSError as error:
        _skip(skipped, entry.path, error)
    else:
        yield FileMark.of(entry.path, info)


def _skip(skipped: dict[str, str], path: str, error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # removed since it was listed
        skipped[path] = error.strerror or str(error)


def _any(globs: Iterable[Glob], parts: Sequence[str]) -> bool:
    return any(glob.matches(parts) for glob in globs)


def _oldest_first(marks: Sequence[FileMark]) -> list[FileMark]:
    # In pieces: to sort a huge list is one step of C, through which no other thread, the event loop's included, runs.
    def age(mark: FileMark) -> tuple[int, str]:
        return mark.modified_ns, mark.path

    return list(heapq.merge(*(sorted(some, key=age) for some in _groups(marks, _SORT_AT_ONCE)), key=age))


def _groups(marks: Sequence[FileMark], size: int) -> Iterator[Sequence[FileMark]]:
    return (marks[at : at + size] for at in range(0, len(marks), size))


def _told(path: str, reason: str) -> str:
    return f"{path!r}: {reason}"
