"""Changes many failures, a part of them in each transaction, so that appends continue between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from module.capture import Origin
from module.errors import SpoolClosed, SpoolError
from module.spool.database import Database
from module.spool.messages import OnThread
from module.spool.rows import Row


class Changed(NamedTuple):
    """What became of one part."""

    rows: list[Row]
    """Those that were there."""
    origins: dict[int, Origin]
    """Of their streams, if these may be new to the event loop."""


Work = Callable[[Database, list[int]], Changed]
"""Changes the failures of these ids, on the thread of the file."""


class FailureParts:
    """All calls come from one event loop."""

    def __init__(self, call: OnThread) -> None:
        self._call = call
        self._tasks: set[asyncio.Task[int]] = set()

    async def change(self, ids: Sequence[int] | None, work: Work, then: Callable[[Changed], None]) -> int:
        """Change failures (None: all that there are now); returns how many there were.

        ``then`` is called on the event loop for each part. To cancel it stops nothing. If a part fails, what was done
        before stays done, and SpoolError says how many those were.
        """
        task = asyncio.create_task(self._each(ids, work, then), name="parts of the failures")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _each(self, ids: Sequence[int] | None, work: Work, then: Callable[[Changed], None]) -> int:
        count, left = 0, None
        while left is None or left:
            try:
                changed, left = await self._call(_next(ids, left, work), writes=True, then=lambda done: then(done[0]))
            except SpoolError as error:
                if not count or isinstance(error, SpoolClosed):
                    raise
                raise SpoolError(f"{error}; {count} failures were done before") from error
            count += len(changed.rows)
        return count

    async def end(self) -> None:
        """Return once nothing is under way; the spool is closed by now."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _next(
    ids: Sequence[int] | None, left: list[list[int]] | None, work: Work
) -> Callable[[Database], tuple[Changed, list[list[int]]]]:
    def change(db: Database) -> tuple[Changed, list[list[int]]]:
        # The first part is done at once: what shares its transaction, such as new failures, comes before it.
        part, *rest = db.failure_parts(ids) if left is None else left
        return work(db, part), rest

    return change
