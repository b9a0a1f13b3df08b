"""Delivered files that are there no longer: forgotten once they have been missing from their folder for long enough.

Else the spool would know of them for ever. What cannot be looked at is not missing: neither if the folder cannot be
listed, nor if it is quite empty, as the mount point of a share is that is not there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from module.files import threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from module.collection.new_files import FileSpool

MISSING_DAYS = 30
"""On so many days, by the calendar in UTC, a file must have been found missing; a clock that is set counts as one."""
_DAY_S = 86_400
_AT_ONCE = 1000


class GoneFiles:
    """Looks through what was delivered of one folder, a part with each call, once a day."""

    def __init__(self, folder: str, spool: FileSpool, wall_clock: Callable[[], float]) -> None:
        self._folder = folder
        self._spool = spool
        self._wall_clock = wall_clock
        self._day: int | None = None
        """The last one on which all of it was looked through."""
        self._after = ""

    async def look(self, root: str) -> None:
        """Look through the next part, if there is one today; ``root`` is the folder's real path.

        Raises CourierError, and OSError if the folder cannot be listed.
        """
        day = int(self._wall_clock() // _DAY_S)
        if day == self._day:
            return
        some = await self._spool.sent_below(root, self._after, _AT_ONCE)
        if some:
            there = await threads.start(self._folder, _there, root, [path for path, _ in some])
            if there is not None:
                missing = [path for (path, _), is_there in zip(some, there, strict=True) if is_there is False]
                back = [path for (path, days), is_there in zip(some, there, strict=True) if is_there and days]
                if missing or back:
                    await self._spool.note_missing(missing, back, day, MISSING_DAYS)
        if len(some) == _AT_ONCE:
            self._after = some[-1][0]
        else:
            self._after, self._day = "", day


def _there(root: str, paths: Sequence[str]) -> list[bool | None] | None:
    """Whether each file is there, None where nobody can tell; None for all if the folder has nothing in it."""
    with os.scandir(root) as entries:
        if next(entries, None) is None:
            return None
    return [_is_there(path) for path in paths]


def _is_there(path: str) -> bool | None:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
    return True
