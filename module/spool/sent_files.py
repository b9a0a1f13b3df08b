"""Which files of watched folders were delivered, so that none is sent twice in the same state."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from module.capture import FileMark
from module.spool.rows import file_detail


class SentFiles:
    """The table ``sent_file``, on the thread of its connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def unknown(self, marks: Sequence[FileMark]) -> list[FileMark]:
        """Those files that are neither sent, waiting, nor failed in the very state that is marked."""
        return [mark for mark in marks if not self._knows(mark)]

    def _knows(self, mark: FileMark) -> bool:
        detail = file_detail(mark)
        held = "SELECT 1 FROM capture WHERE detail = ? UNION ALL SELECT 1 FROM failure WHERE detail = ?"
        return self._sent(mark) or self._db.execute(held, (detail, detail)).fetchone() is not None

    def _sent(self, mark: FileMark) -> bool:
        sent = "SELECT 1 FROM sent_file WHERE path = ? AND size = ? AND modified_ns = ?"
        return self._db.execute(sent, (mark.path, mark.size, mark.modified_ns)).fetchone() is not None

    def among(self, marks: Sequence[FileMark]) -> list[FileMark]:
        """Those files that were delivered in the very state that is marked."""
        return [mark for mark in marks if self._sent(mark)]

    def forget(self, marks: Iterable[FileMark]) -> None:
        """Forget delivered files that are there no longer."""
        self._db.executemany(
            "DELETE FROM sent_file WHERE path = ? AND size = ? AND modified_ns = ?",
            [(m.path, m.size, m.modified_ns) for m in marks],
        )

    def remember(self, marks: Iterable[FileMark]) -> None:
        """Note that these files were sent, so that they are not sent again in that state."""
        self._db.executemany(
            "INSERT OR REPLACE INTO sent_file VALUES (?, ?, ?)", [(m.path, m.size, m.modified_ns) for m in marks]
        )
