"""What waits in the spool up to one capture: for who waits until all that was captured by then has left it."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from module.spool.database import Database


class BarrierTable:
    """On the tables ``capture`` and ``stream``, on the thread of their connection; quick, however much waits."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def last(self) -> int:
        """The id of the newest capture that waits; 0 without any."""
        (newest,) = self._db.execute("SELECT max(id) FROM capture").fetchone()
        return newest or 0

    def waiting(self, last: int) -> tuple[int, int]:
        """How many captures with ids up to ``last`` wait, and their footprint in bytes."""
        (oldest,) = self._db.execute("SELECT min(id) FROM capture").fetchone()
        if oldest is None or oldest > last:
            return 0, 0
        # What came since is little; what was there may be millions.
        totals = "SELECT coalesce(sum(items), 0), coalesce(sum(bytes), 0) FROM stream"
        items, size = self._db.execute(totals).fetchone()
        newer = "SELECT count(*), coalesce(sum(footprint), 0) FROM capture WHERE id > ?"
        newer_items, newer_size = self._db.execute(newer, (last,)).fetchone()
        return items - newer_items, size - newer_size


class Barrier:
    """The event loop's side of it. All raise SpoolError."""

    def __init__(self, call: Callable[..., Awaitable[Any]]) -> None:
        """``call(work, writes=…)`` does work on the spool's thread and returns its result."""
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

        found: tuple[int, int] = await self._call(waiting, writes=False)
        return found
