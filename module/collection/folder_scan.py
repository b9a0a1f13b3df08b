"""The files of a folder that have settled: which ones a folder's patterns match, and what their paths say.

A pattern of ``include`` or ``exclude`` without a slash is matched with the file's name, at any depth: ``*.jpg``. A
pattern with a slash is matched with the whole path relative to the folder: ``raw/*.jpg``, or ``/*.jpg`` for the top
level only. ``*``, ``?`` and ``[abc]`` match within one component. ``**`` as a component matches any number of folders,
also none. A slash at the end means everything below. Case counts. A file is taken if an ``include`` matches and no
``exclude`` does.

Links are never followed, neither to files nor to folders. Hidden and empty files are treated as all others.
"""

from __future__ import annotations

import fnmatch
import heapq
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from module.attributes.uploader import FolderConfig
from module.capture import FileMark

_SORT_AT_ONCE = 1000


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
    step: Callable[[], None] = lambda: None
    """Called for each entry that was looked at, so not while the disk does not answer."""
    abandoned: bool = False
    """Set when nobody waits for the scan any more; then it ends early."""

    def begin(self) -> None:
        """Let scans run to their ends again."""
        self.abandoned = False

    def abandon(self) -> None:
        """End the scan that runs: nobody waits for it any more."""
        self.abandoned = True


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
                sightings.step()
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

    return list(heapq.merge(*(sorted(some, key=age) for some in groups(marks, _SORT_AT_ONCE)), key=age))


def groups(marks: Sequence[FileMark], size: int) -> Iterator[Sequence[FileMark]]:
    """Yield the marks in groups of at most ``size``."""
    return (marks[at : at + size] for at in range(0, len(marks), size))
