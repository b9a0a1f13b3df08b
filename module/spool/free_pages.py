"""Free pages of the spool's file, and how the file shrinks.

New captures use free pages first, so the file shrinks only if there are many. There are two ways. SQLite removes the
last page of a file after it has searched the list of all free pages for it: with gigabytes of them, one page takes
milliseconds. So this is done for a short time only. A file with few used pages is written again instead: that takes as
long as the used pages need.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time

from module.spool.schema import page_bytes

KEEP_BYTES = 8 * 1024 * 1024
"""So much free room stays in the file for new captures."""
STEP_BYTES = 2 * 1024 * 1024
"""The most bytes by which the file shrinks at once, page by page."""
STEP_S = 0.02
"""The longest that this takes, in seconds."""
REST = 20
"""After a step that was too long, the next one waits for so many times its length."""
REWRITE_S = 60.0
"""A file is not written again more often than this, in seconds."""
_LITTLE_BYTES = 4 * 1024 * 1024
_MOST_BYTES = 16 * 1024 * 1024
_SHARE = 8
"""A file is written again if at most 4 MiB of it are used, or an eighth of the free bytes, up to 16 MiB: all of it
passes through memory."""


class FreePages:
    """On the thread of the file, outside of its transactions. All raise sqlite3.Error."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._rewritten_at = float("-inf")

    @property
    def bytes(self) -> int:
        """How many bytes of the file are free."""
        return self._pages("freelist_count") * page_bytes(self._db)

    def _pages(self, pragma: str) -> int:
        return int(self._db.execute(f"PRAGMA {pragma}").fetchone()[0])

    def shrink(self) -> float:
        """Shrink the file a little, if more than ``KEEP_BYTES`` of it are free.

        Returns the seconds until the next call has something to do; 0 if nothing is left to do.
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
        """Shrink the journal and the file, for a disk that is full."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._step()
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _step(self) -> float:
        """Remove free pages from the file's end; returns the seconds that it took if that was too long, otherwise 0."""
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
