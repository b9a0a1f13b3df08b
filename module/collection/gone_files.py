"""Makes the spool forget delivered files that have been missing from their folder for long enough.

Otherwise their list would grow for ever. A file does not count as missing if the folder cannot be listed, or if the
folder is empty: then it may be the mount point of a share that is not mounted.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from module.collection.new_files import FileSpool
    from module.files.threads import LongWork

MISSING_DAYS = 30
"""Days (UTC) on which a file must have been found missing. If the clock is set to a later day, that counts as one."""
_DAY_S = 86_400
_AT_ONCE = 1000


class GoneFiles:
    """Looks through the delivered files of one folder once a day, a part with each call."""

    def __init__(self, spool: FileSpool, work: LongWork, wall_clock: Callable[[], float]) -> None:
        self._spool = spool
        self._work = work
        self._wall_clock = wall_clock
        self._day: int | None = None
        """The last day on which all of them were looked through."""
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
            there = await self._work.do(_there, root, self._work.steps(path for path, _ in some))
            if there is not None:
                missing = [path for (path, _), is_there in zip(some, there, strict=True) if is_there is False]
                back = [path for (path, days), is_there in zip(some, there, strict=True) if is_there and days]
                if missing or back:
                    await self._spool.note_missing(missing, back, day, MISSING_DAYS)
        if len(some) == _AT_ONCE:
            self._after = some[-1][0]
        else:
            self._after, self._day = "", day


def _there(root: str, paths: Iterable[str]) -> list[bool | None] | None:
    """Whether each file is there, or None if that is not known. Returns None if the folder is empty."""
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
