"""Which files of watched folders were delivered, so that none is sent twice in the same state.

A file is the one that was sent if path, size and date match, or inode, size and date: then it has been renamed. What
waits to be sent is known by both, too, from its row's ``detail``.

A file that was rejected, and whose failure was discarded, is not sent again under its path either. But it was not
delivered, so it must stay in its folder. Its row has ``_discarded_size`` of its size, which is negative.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from module.capture import FileMark
from module.spool.rows import file_detail_before_4, file_details_like, mark_of

COLUMNS = ("path", "size", "modified_ns", "inode", "missing", "missing_day")


class SentFiles:
    """The table ``sent_file``, on the thread of its connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def unknown(self, marks: Sequence[FileMark]) -> list[FileMark]:
        """Those files that are neither sent, discarded, waiting, nor failed by this path and in the marked state."""
        return [
            mark for mark in marks if not self._has(mark, mark.size, _discarded_size(mark)) and not self._held(mark)
        ]

    def _has(self, mark: FileMark, *sizes: int) -> bool:
        rows = self._db.execute(
            "SELECT size FROM sent_file WHERE path = ? AND modified_ns = ?", (mark.path, mark.modified_ns)
        )
        return any(size in sizes for (size,) in rows)

    def _held(self, mark: FileMark) -> bool:
        before_4 = file_detail_before_4(mark)
        for table in ("capture", "failure"):
            if self._db.execute(f"SELECT 1 FROM {table} WHERE detail = ?", (before_4,)).fetchone():  # noqa: S608
                return True
            if any(each.path == mark.path for each in self._alike(table, mark)):
                return True
        return False

    def _alike(self, table: str, mark: FileMark) -> list[FileMark]:
        """All files that are held in a table with this size and date; those whose rows are damaged are not known."""
        rows = self._db.execute(
            f"SELECT detail FROM {table} WHERE detail >= ? AND detail < ?",  # noqa: S608
            file_details_like(mark),
        ).fetchall()
        return [each for (detail,) in rows if (each := mark_of(detail)) is not None]

    def former_names(self, marks: Sequence[FileMark]) -> list[tuple[FileMark, str, bool]]:
        """Those files that are sent, or wait, under another path, with that path, and whether they are sent."""
        found = ((mark, self._former_name(mark)) for mark in marks if mark.inode)
        return [(mark, *former) for mark, former in found if former is not None]

    def _former_name(self, mark: FileMark) -> tuple[str, bool] | None:
        sql = "SELECT path FROM sent_file WHERE inode = ? AND inode <> 0 AND size = ? AND modified_ns = ? LIMIT 1"
        row = self._db.execute(sql, (mark.inode, mark.size, mark.modified_ns)).fetchone()
        if row is not None:
            return row[0], True
        waiting = (each.path for each in self._alike("capture", mark) if each.inode == mark.inode)
        path = next(waiting, None)
        return None if path is None else (path, False)

    def among(self, marks: Sequence[FileMark]) -> list[FileMark]:
        """Those files that were delivered in the very state that is marked."""
        return [mark for mark in marks if self._has(mark, mark.size)]

    def forget(self, marks: Iterable[FileMark]) -> None:
        """Forget delivered files that are there no longer."""
        self._db.executemany(
            "DELETE FROM sent_file WHERE path = ? AND size = ? AND modified_ns = ?",
            [(m.path, m.size, m.modified_ns) for m in marks],
        )

    def remember(self, marks: Iterable[FileMark]) -> None:
        """Note that these files were sent, so that they are not sent again in that state."""
        self._put((mark.path, mark.size, mark.modified_ns, mark.inode) for mark in marks)

    def discard(self, mark: FileMark) -> None:
        """Note that a file is not to be sent in that state, though it was not delivered."""
        self._put([(mark.path, _discarded_size(mark), mark.modified_ns, mark.inode)])

    def _put(self, rows: Iterable[tuple[object, ...]]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO sent_file (path, size, modified_ns, inode) VALUES (?, ?, ?, ?)", rows
        )

    def below(self, folder: str, after: str, most: int) -> list[tuple[str, int]]:
        """Files below a folder by path, from a path on, with the number of days on which they were missing."""
        prefix = folder.rstrip("/")
        # "0" is the character behind "/".
        return self._db.execute(
            "SELECT path, missing FROM sent_file WHERE path > ? AND path < ? ORDER BY path LIMIT ?",
            (max(f"{prefix}/", after), f"{prefix}0", most),
        ).fetchall()

    def note_missing(self, missing: Iterable[str], back: Iterable[str], day: int, forget_after: int) -> None:
        """Note files as missing on a day, and others as there; forget those missing on more days than so many."""
        for path in missing:
            self._db.execute(
                "UPDATE sent_file SET missing = missing + 1, missing_day = ? WHERE path = ? AND missing_day <> ?",
                (day, path, day),
            )
            self._db.execute("DELETE FROM sent_file WHERE path = ? AND missing > ?", (path, forget_after))
        self._db.executemany("UPDATE sent_file SET missing = 0 WHERE path = ?", [(path,) for path in back])


def _discarded_size(mark: FileMark) -> int:
    return -1 - mark.size
