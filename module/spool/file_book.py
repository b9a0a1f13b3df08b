"""What the spool knows of the files of folders, as their watches ask for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from module.capture import Capture, FileMark
from module.spool.messages import OnThread


class FileBook:
    """Each call is one look into the file, or one transaction."""

    def __init__(self, call: OnThread, append: Callable[[Sequence[Capture]], Awaitable[list[int]]]) -> None:
        self._call = call
        self._append = append

    async def append(self, captures: Sequence[Capture]) -> list[int]:
        """As ``Store.append``."""
        return await self._append(captures)

    async def unknown_files(self, marks: Sequence[FileMark]) -> list[FileMark]:
        """Those files that are neither sent, waiting, nor failed in the very state that is marked."""
        unknown: list[FileMark] = await self._call(lambda db: db.sent_files.unknown(marks), writes=False)
        return unknown

    async def sent_files(self, marks: Sequence[FileMark]) -> list[FileMark]:
        """Those files that were delivered in the very state that is marked."""
        sent: list[FileMark] = await self._call(lambda db: db.sent_files.among(marks), writes=False)
        return sent

    async def former_names(self, marks: Sequence[FileMark]) -> list[tuple[FileMark, str, bool]]:
        """Those files that are sent, or wait, under another path, with that path, and whether they are sent."""
        found: list[tuple[FileMark, str, bool]] = await self._call(
            lambda db: db.sent_files.former_names(marks), writes=False
        )
        return found

    async def note_sent(self, marks: Sequence[FileMark]) -> None:
        """Note files as delivered."""
        if marks:
            await self._call(lambda db: db.sent_files.remember(marks), writes=True)

    async def sent_below(self, folder: str, after: str, most: int) -> list[tuple[str, int]]:
        """Delivered files below a folder by path, from a path on, with the days that they were missing."""
        found: list[tuple[str, int]] = await self._call(
            lambda db: db.sent_files.below(folder, after, most), writes=False
        )
        return found

    async def note_missing(self, missing: Sequence[str], back: Sequence[str], day: int, forget_after: int) -> None:
        """Note files as missing on a day, and others as there; forget those missing on more days than so many."""
        await self._call(lambda db: db.sent_files.note_missing(missing, back, day, forget_after), writes=True)

    async def forget_files(self, marks: Sequence[FileMark]) -> None:
        """Forget delivered files that have left their folder."""
        await self._call(lambda db: db.sent_files.forget(marks), writes=True)
