"""Which captures a stream has: the old ones by the table ``listed``, the newest by what is in memory.

Invariants
----------
1. A waiting capture is in ``listed`` if its id is at most ``listed_to``, and in memory if it is larger. So a capture
   that is soon delivered costs the disk only its own row.
2. ``stream.items`` and ``stream.bytes`` count the listed captures exactly: they change in the same transaction.
3. When a file is opened, all that waits in it is listed. Until then its newest rows are those behind the largest id
   that is listed, never more than ``MOST_FRESH`` and one transaction's: they are found without a look at the others.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from module.errors import Damaged
from module.spool.rows import Row

MOST_FRESH = 5000
"""When more are in memory, the older half of them is listed: they are a backlog."""
_FEW = 4
"""Up to so many rows are deleted one by one as soon as together."""
_LAST_LISTED = "SELECT coalesce(max((SELECT max(id) FROM listed WHERE stream = stream.id)), 0) FROM stream"
"""By the index of each stream: a look at all of a long backlog takes as long as the rest of a start."""
_ADD = "UPDATE stream SET items = items + ?, bytes = bytes + ? WHERE id = ?"


class Listing:
    """On the thread of the file. The caller begins and commits."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._fresh: dict[int, dict[int, int]] = {}
        """The footprints of the newest captures, by stream and id; the ids of a stream ascend."""
        self._listed_to = 0
        self.fresh_items = 0
        self.fresh_bytes = 0

    def read(self) -> None:
        """Read from the file which captures are listed, and which are new."""
        self._listed_to = self._one(_LAST_LISTED)
        self._fresh, self.fresh_items, self.fresh_bytes = {}, 0, 0
        newest = "SELECT id, stream, footprint FROM capture WHERE id > ? ORDER BY id"
        self.add(self._db.execute(newest, (self._listed_to,)))

    # ------------------------------------------------------------------ what comes and goes

    def add(self, rows: Iterable[Row]) -> None:
        """Note new captures, (id, stream, footprint) each, whose ids ascend."""
        for capture_id, stream, room in rows:
            self._fresh.setdefault(stream, {})[capture_id] = room
            self.fresh_items += 1
            self.fresh_bytes += room

    def add_old(self, rows: Iterable[Row], last_id: int) -> None:
        """List captures that come back, or from elsewhere, with ids of at most ``last_id``, the last given out."""
        self.list_all(last_id)
        self._list(rows)

    def remove(self, rows: Iterable[Row]) -> None:
        """Note captures, (id, stream, footprint) each, as gone."""
        listed: list[Row] = []
        for row in rows:
            if row[0] > self._listed_to:
                self._forget(row[1], row[0])
            else:
                listed.append(row)
        self._db.executemany("DELETE FROM listed WHERE stream = ? AND id = ?", [(row[1], row[0]) for row in listed])
        self._count(listed, -1)

    def delete(self, stream: int, ids: Sequence[int], room: int) -> tuple[int, int]:
        """Delete delivered captures of a stream, ids ascending, ``room`` their footprint, from ``capture`` too.

        Returns how many there were, and their footprint: some may have gone by themselves.
        """
        fresh = [capture_id for capture_id in ids if capture_id > self._listed_to]
        fresh_room = sum(self._forget(stream, capture_id) for capture_id in fresh)
        gone = self._db.executemany("DELETE FROM capture WHERE id = ?", [(i,) for i in fresh]).rowcount if fresh else 0
        listed = ids[: len(ids) - len(fresh)]
        if not listed:
            return gone, fresh_room
        gone_listed, room_listed = self._delete_listed(stream, listed, room - fresh_room)
        return gone + gone_listed, fresh_room + room_listed

    def _delete_listed(self, stream: int, ids: Sequence[int], room: int) -> tuple[int, int]:
        ends = (stream, ids[0], ids[-1])
        between = "FROM listed WHERE stream = ? AND id BETWEEN ? AND ?"
        # Nearly always they are all that there is between the first and the last of them.
        if len(ids) > _FEW and self._one(f"SELECT count(*) {between}", *ends) == len(ids):
            gone = self._db.execute(f"DELETE FROM capture WHERE id IN (SELECT id {between})", ends).rowcount  # noqa: S608
            self._db.execute(f"DELETE {between}", ends)
        else:
            gone = self._db.executemany("DELETE FROM capture WHERE id = ?", [(i,) for i in ids]).rowcount
            self._db.executemany("DELETE FROM listed WHERE stream = ? AND id = ?", [(stream, i) for i in ids])
        if gone == len(ids):
            self._db.execute(_ADD, (-gone, -room, stream))
            return gone, room
        if not gone:
            # A damaged file may have taken the stream itself with it.
            return 0, 0
        before = self._one("SELECT bytes FROM stream WHERE id = ?", stream)
        recount(self._db, [stream])
        return gone, before - self._one("SELECT bytes FROM stream WHERE id = ?", stream)

    def _forget(self, stream: int, capture_id: int) -> int:
        of_stream = self._fresh.get(stream, {})
        room = of_stream.pop(capture_id, None)
        if room is None:
            return 0
        if not of_stream:
            del self._fresh[stream]
        self.fresh_items -= 1
        self.fresh_bytes -= room
        return room

    # ------------------------------------------------------------------ what is listed

    def tidy(self) -> None:
        """List the older half of what is in memory, if it is much; at the end of a transaction."""
        if self.fresh_items > MOST_FRESH:
            self._list_to(sorted(itertools.chain.from_iterable(self._fresh.values()))[self.fresh_items // 2])

    def list_all(self, last_id: int) -> None:
        """List all captures; ``last_id``: the last id that was given out."""
        if last_id > self._listed_to:
            self._list_to(last_id)

    def _list_to(self, last_id: int) -> None:
        old = [
            (capture_id, stream, room)
            for stream, of_stream in self._fresh.items()
            for capture_id, room in itertools.takewhile(lambda each: each[0] <= last_id, of_stream.items())
        ]
        for capture_id, stream, _ in old:
            self._forget(stream, capture_id)
        self._list(old)
        self._listed_to = last_id

    def _list(self, rows: Iterable[Row]) -> None:
        rows = list(rows)
        try:
            self._db.executemany("INSERT INTO listed VALUES (?, ?)", [(stream, i) for i, stream, _ in rows])
        except sqlite3.IntegrityError as error:
            raise Damaged("captures are listed that were thought to be new: the list lacks a part") from error
        self._count(rows, 1)

    def _count(self, rows: Iterable[Row], sign: int) -> None:
        totals: dict[int, list[int]] = {}
        for _, stream, room in rows:
            total = totals.setdefault(stream, [0, 0])
            total[0] += sign
            total[1] += sign * room
        self._db.executemany(_ADD, [(items, size, stream) for stream, (items, size) in totals.items()])

    # ------------------------------------------------------------------ what a stream has

    def fresh(self, stream: int, after_id: int = 0) -> list[tuple[int, int]]:
        """Id and footprint of those in memory with larger ids, the oldest first."""
        return [each for each in self._fresh.get(stream, {}).items() if each[0] > after_id]

    def fresh_streams(self) -> set[int]:
        """Streams of which any are in memory."""
        return set(self._fresh)

    def streams(self) -> Iterator[int]:
        """Every stream that has captures."""
        listed = {stream for (stream,) in self._db.execute("SELECT id FROM stream WHERE items > 0")}
        yield from listed.union(self._fresh)

    def count(self, stream: int, after_id: int, last_id: int) -> int:
        """How many captures of a stream have ids above ``after_id`` and up to ``last_id``."""
        sql = "SELECT count(*) FROM listed WHERE stream = ? AND id > ? AND id <= ?"
        return self._one(sql, stream, after_id, last_id) + sum(
            1 for capture_id, _ in self.fresh(stream, after_id) if capture_id <= last_id
        )

    def total(self) -> tuple[int, int]:
        """How many captures wait, and their footprint."""
        items, size = self._db.execute("SELECT coalesce(sum(items), 0), coalesce(sum(bytes), 0) FROM stream").fetchone()
        return items + self.fresh_items, size + self.fresh_bytes

    def _one(self, sql: str, *parameters: object) -> int:
        return int(self._db.execute(sql, parameters).fetchone()[0])


def recount(db: sqlite3.Connection, streams: Iterable[int]) -> None:
    """Count the listed captures of streams again."""
    db.executemany(
        "UPDATE stream SET (items, bytes) = (SELECT count(*), coalesce(sum(footprint), 0) "
        "FROM listed JOIN capture USING (id) WHERE listed.stream = stream.id) WHERE id = ?",
        [(stream,) for stream in streams],
    )
