"""Counts what waits in the spool up to one capture, for callers that wait until all of it has left."""

from __future__ import annotations

from module.spool.database import Database
from module.spool.messages import OnThread


class Barrier:
    """The event loop's side of it. All raise SpoolError."""

    def __init__(self, call: OnThread) -> None:
        self._call = call

    async def last(self) -> int:
        """Return the id of the newest waiting capture, of those appended before the call; 0 if there is none."""

        def last(db: Database) -> int:
            return db.barriers.last()

        # As a write it comes behind what was appended before it.
        newest: int = await self._call(last, writes=True)
        return newest

    async def waiting(self, last: int) -> tuple[int, int]:
        """Return how many captures with ids up to ``last`` still wait (or are in flight), and their footprint."""

        def waiting(db: Database) -> tuple[int, int]:
            return db.barriers.waiting(last)

        # As a write it comes behind what was acknowledged before it.
        found: tuple[int, int] = await self._call(waiting, writes=True)
        return found
