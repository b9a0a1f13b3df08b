"""What waits in the spool up to one capture: for who waits until all that was captured by then has left it."""

from __future__ import annotations

from module.spool.database import Database
from module.spool.messages import OnThread


class Barrier:
    """The event loop's side of it. All raise SpoolError."""

    def __init__(self, call: OnThread) -> None:
        self._call = call

    async def last(self) -> int:
        """The id of the newest capture that waits, of all that were handed over before the call; 0 without any."""

        def last(db: Database) -> int:
            return db.barriers.last()

        # As a write it comes behind what was appended before it.
        newest: int = await self._call(last, writes=True)
        return newest

    async def waiting(self, last: int) -> tuple[int, int]:
        """How many captures with ids up to ``last`` still wait, those in flight included, and their footprint."""

        def waiting(db: Database) -> tuple[int, int]:
            return db.barriers.waiting(last)

        # As a write it comes behind what was acknowledged before it.
        found: tuple[int, int] = await self._call(waiting, writes=True)
        return found
