"""Pages of the spool's file that hold nothing, and how the disk gets them back.

Captures to come take them first, so they are given back only once they are many. There are two ways. SQLite takes the
last page off a file by searching the list of all free pages for it: with gigabytes of them one page takes milliseconds.
So that is done for a short time only. What is left of a file in which little is used is written afresh instead, which
takes as long as that is large.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time

from module.spool.schema import page_bytes

KEEP_BYTES = 8 * 1024 * 1024
"""So much stays in the file for captures to come."""
STEP_BYTES = 2 * 1024 * 1024
"""The most that is given back at once, page by page."""
STEP_S = 0.02
"""And the longest that this takes."""
REST = 20
"""After a step that was cut short, the next one comes so many times later than that took."""
REWRITE_S = 60.0
"""A file is not written afresh more often."""
_LITTLE_BYTES = 4 * 1024 * 1024
_MOST_BYTES = 16 * 1024 * 1024
_SHARE = 8
"""Little is used of a file: 4 MiB, or an eighth of what is free, and 16 MiB at most. It passes through memory."""


class FreePages:
    """On the thread of the file, outside of its transactions. All raise sqlite3.Error."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._rewritten_at = float("-inf")

    @property
    def bytes(self) -> int:
        """How much there is in the file."""
        return self._pages("freelist_count") * page_bytes(self._db)

    def _pages(self, pragma: str) -> int:
        return int(self._db.execute(f"PRAGMA {pragma}").fetchone()[0])

    def give_back(self) -> float:
        """Give some of what is more than ``KEEP_BYTES`` back to the disk.

        Returns in how many seconds there is more to give back, and 0 if there is not.
        """
        free = self.bytes
        if free <= KEEP_BYTES:
            return 0.0
        used = self._pages("page_count") * page_bytes(self._db) - free
        if used > min(max(_LITTLE_BYTES, free // _SHARE), _MOST_BYTES):
            return max(STEP_S, REST * self._step())
        wait = self._rewritten_at + REWRITE_S - time.monotonic()
        if wait > 0:
            return wait
        self._rewritten_at = time.monotonic()
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA temp_store = MEMORY")
        self._db.execute("VACUUM")
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return 0.0

    def make_way(self) -> None:
        """Give the journal and some free pages back to a disk that is full."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._step()
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _step(self) -> float:
        """Take free pages off the end of the file; returns the seconds that a step took which was cut short, or 0."""
        begun = time.monotonic()
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for _ in range(min(STEP_BYTES // page_bytes(self._db), self._pages("freelist_count"))):
                # Each call frees one page.
                self._db.execute("PRAGMA incremental_vacuum(1)")
                if time.monotonic() - begun > STEP_S:
                    break
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        took = time.monotonic() - begun
        return took if took > STEP_S else 0.0
