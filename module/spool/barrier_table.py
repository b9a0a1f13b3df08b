"""How much waits in the spool up to one capture, counted on the thread of its file."""

from __future__ import annotations

import sqlite3


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
