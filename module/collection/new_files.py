"""Chooses those settled files of a folder that are captured: new ones that nobody is writing to.

A renamed file is not new. If a file is to be deleted or moved, the kernel says whether somebody is still writing to it.
A file with ``keep`` may be sent while it is being written, and is sent again once it has changed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from module.attributes.uploader import AfterUpload, FolderConfig
from module.capture import Capture, FileMark
from module.errors import OutsideFolder
from module.files import lease
from module.files.folder_paths import open_inside
from module.files.lease import Standing

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Sequence

    from module.files.threads import LongWork


@dataclass(frozen=True, slots=True)
class Renamed:
    """A file that the spool seems to know by another name, because the inode is the same."""

    mark: FileMark
    former: str
    """The path that the spool has."""
    is_sent: bool
    """Whether it has been delivered; otherwise it waits."""


class FileSpool(Protocol):
    """What a watch of a folder needs from the spool."""

    async def unknown_files(self, marks: Sequence[FileMark]) -> list[FileMark]:
        """Return those that the spool has never had by this path, in the same order."""

    async def former_names(self, marks: Sequence[FileMark]) -> list[tuple[FileMark, str, bool]]:
        """Return those that the spool has by another path, with that path and whether they were delivered."""

    async def note_sent(self, marks: Sequence[FileMark]) -> None:
        """Note files as delivered."""

    async def sent_files(self, marks: Sequence[FileMark]) -> list[FileMark]:
        """Return those that were delivered in exactly the marked state."""

    async def forget_files(self, marks: Sequence[FileMark]) -> None:
        """Forget delivered files that are no longer in their folder."""

    async def sent_below(self, folder: str, after: str, most: int) -> list[tuple[str, int]]:
        """Return delivered files below a folder, in order, after a path, each with the days it was found missing."""

    async def note_missing(self, missing: Sequence[str], back: Sequence[str], day: int, forget_after: int) -> None:
        """Note files as missing on a day, and others as present; forget those missing on more than ``forget_after``."""

    async def append(self, captures: Sequence[Capture]) -> object:
        """Return once all of these are safe on the disk; raises ``SpoolFull`` if there is no room."""


class NewFiles:
    """Chooses the new files among those that have settled in one folder."""

    def __init__(self, config: FolderConfig, spool: FileSpool, work: LongWork, logger: logging.Logger) -> None:
        self._config = config
        self._spool = spool
        self._work = work
        self._logger = logger
        self._has_logged = False

    async def among(self, marks: Sequence[FileMark]) -> list[FileMark]:
        """Return the files to capture, in the same order. Raises CourierError."""
        new = await self._spool.unknown_files(marks)
        if new:
            new = await self._without_renamed(new)
        if new and self._config.after_upload is not AfterUpload.KEEP:
            new = await self._without_written(new)
        return new

    async def _without_renamed(self, marks: list[FileMark]) -> list[FileMark]:
        known = [Renamed(*each) for each in await self._spool.former_names(marks)]
        if not known:
            return marks
        renamed = await self._work.do(_renamed_of, self._work.steps(known))
        await self._spool.note_sent([each.mark for each in renamed if each.is_sent])
        paths = {each.mark.path for each in renamed}
        return [mark for mark in marks if mark.path not in paths]

    async def _without_written(self, marks: list[FileMark]) -> list[FileMark]:
        found = await self._work.do(_standing_of, self._config.path, self._work.steps(marks))
        reason = next((asked.reason for asked in found if asked.standing is Standing.UNKNOWN), None)
        if reason is not None and not self._has_logged:
            self._has_logged = True
            self._logger.warning(
                "folder %s: whether a file is still being written cannot be seen here (%s); settle_s decides",
                self._config.path,
                reason,
            )
        return [asked.mark for asked in found if asked.standing is not Standing.WRITTEN]


@dataclass(frozen=True, slots=True)
class _Asked:
    mark: FileMark
    standing: Standing
    reason: str


def _standing_of(folder: str, marks: Iterable[FileMark]) -> list[_Asked]:
    return [_Asked(mark, *_ask(folder, mark)) for mark in marks]


def _ask(folder: str, mark: FileMark) -> tuple[Standing, str]:
    try:
        descriptor = open_inside(folder, mark.path)
    except (OSError, OutsideFolder):
        # The upload will report what is wrong.
        return Standing.FREE, ""
    try:
        with lease.held(descriptor) as asked:
            return asked.standing, asked.reason
    finally:
        os.close(descriptor)


def _renamed_of(known: Iterable[Renamed]) -> list[Renamed]:
    """Return those whose former path is no longer that file; otherwise the disk has reused the inode."""
    return [each for each in known if not _is_there(each)]


def _is_there(known: Renamed) -> bool:
    try:
        return FileMark.of(known.former, os.lstat(known.former)) == FileMark(
            known.former, known.mark.size, known.mark.modified_ns
        )
    except FileNotFoundError:
        return False
    except OSError:
        # It is better to send a file twice than never.
        return True
