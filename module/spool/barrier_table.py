"""How much waits in the spool up to one capture, counted on the thread of its file."""

from __future__ import annotations

import sqlite3

from module.spool.listing import Listing


class BarrierTable:
    """On the table ``capture``, on the thread of its connection; quick, however much waits."""

    def __init__(self, db: sqlite3.Connection, listing: Listing) -> None:
        self._db = db
        self._listing = listing

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
        items, size = self._listing.total()
        newer = "SELECT count(*), coalesce(sum(footprint), 0) FROM capture WHERE id > ?"
        newer_items, newer_size = self._db.execute(newer, (last,)).fetchone()
        return items - newer_items, size - newer_size
