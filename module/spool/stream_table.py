"""The streams of the spool's file: what captures share, written once for all of them.

Invariants
----------
1. A stream without captures and failures may be deleted at any time. At most ``MOST_IDLE`` of them stay for a while. So
   a source whose captures are delivered one by one does not need a new stream for each.
2. An id is never used twice. So an old page that names an id means the stream that has it now, or a deleted one. If two
   streams have one origin, the one with the larger id is newer, and the other was empty when it was made.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from module.capture import Origin
from module.errors import Damaged
from module.spool.listing import Listing
from module.spool.rows import StreamRow, encode_origin, origin_checksum, whole_origin

MOST_IDLE = 200
"""How many streams without captures and failures may stay in the file."""
_MANY = 10_000
_LARGEST_ID = 1 << 62
"""A larger one is damaged."""
_LAST = (
    f"SELECT coalesce(max(id), 0) FROM (SELECT id FROM stream WHERE id < {_LARGEST_ID} UNION ALL "  # noqa: S608
    f"SELECT value FROM counter WHERE name = 'last_stream' AND typeof(value) = 'integer' AND value < {_LARGEST_ID})"
)
_HAS_NOTHING = "items = 0 AND NOT EXISTS (SELECT 1 FROM failure WHERE stream = stream.id)"


class StreamTable:
    """The table ``stream``, on the thread of its connection."""

    def __init__(self, db: sqlite3.Connection, path: Path, listing: Listing) -> None:
        """Raises sqlite3.Error as it comes."""
        self._db = db
        self._listing = listing
        self._path = path
        self._last = int(db.execute(_LAST).fetchone()[0])
        self._ids: dict[Origin, int] = {}
        self._origins: dict[int, Origin] = {}
        self._of_source: dict[str, set[int]] = {}
        """All streams of a source, and some that are no more."""
        self._idle: dict[int, None] = {}
        """Those that something was taken from since something came, longest ago first: they may have nothing left."""

    def all(self) -> list[StreamRow]:
        """All streams that have captures waiting, or failures; deletes the others.

        Call it after a file was opened and all its waiting captures were listed.
        """
        self._db.execute(f"DELETE FROM stream WHERE {_HAS_NOTHING}")  # noqa: S608
        rows = self._db.execute(
            "SELECT id, origin, crc, items, bytes, (SELECT min(id) FROM listed WHERE stream = stream.id) FROM stream"
        ).fetchall()
        found = [
            StreamRow(i, self._decoded(i, text, crc), items, size, head or 0)
            for i, text, crc, items, size, head in rows
        ]
        self._of_source = {}
        for row in found:
            self._of_source.setdefault(row.origin.source, set()).add(row.id)
        return found

    def _decoded(self, stream: int, text: str, crc: int | None) -> Origin:
        origin = whole_origin(text, crc)
        if origin is None:
            raise Damaged(f"{self._path}: the description of stream {stream} is damaged")
        return origin

    def id_of(self, origin: Origin) -> int:
        """The id of the origin's stream, which is made if it is new. Call it only to write something of this origin."""
        found = self._ids.get(origin)
        if found is None:
            if len(self._ids) >= _MANY:
                # Tags that differ with each call make a stream each.
                self._ids.clear()
            self._ids[origin] = found = self._made(origin)
            self._of_source.setdefault(origin.source, set()).add(found)
        self._idle.pop(found, None)
        return found

    def _made(self, origin: Origin) -> int:
        text = encode_origin(origin)
        row = self._db.execute("SELECT id FROM stream WHERE origin = ?", (text,)).fetchone()
        if row is not None:
            return int(row[0])
        self._last += 1
        self._db.execute(
            "INSERT INTO stream (id, origin, crc) VALUES (?, ?, ?)", (self._last, text, origin_checksum(text))
        )
        self._db.execute("INSERT OR REPLACE INTO counter VALUES ('last_stream', ?)", (self._last,))
        return self._last

    def origin(self, stream: int) -> Origin:
        """The origin of a stream. Raises Damaged if there is none that can be read."""
        found = self._origins.get(stream)
        if found is None:
            row = self._db.execute("SELECT origin, crc FROM stream WHERE id = ?", (stream,)).fetchone()
            if row is None:
                raise Damaged(f"{self._path} lacks stream {stream}, which captures belong to")
            if len(self._origins) >= _MANY:
                self._origins.clear()
            found = self._origins[stream] = self._decoded(stream, *row)
        return found

    def of_sources(self, sources: Iterable[str]) -> list[int]:
        """The ids of all streams of these sources, and of some that are deleted."""
        return [stream for source in set(sources) for stream in self._of_source.get(source, ())]

    def note_taken(self, streams: Iterable[int]) -> None:
        """Note that captures or failures of these streams are gone."""
        for stream in streams:
            self._idle.pop(stream, None)
            self._idle[stream] = None

    def tidy(self) -> None:
        """Forget streams that have nothing left, if they are many; at the end of a transaction, once all is counted."""
        if len(self._idle) > MOST_IDLE:
            self._forget([*itertools.islice(self._idle, MOST_IDLE // 2)])

    def _forget(self, streams: list[int]) -> None:
        fresh = self._listing.fresh_streams()
        for stream in streams:
            del self._idle[stream]
            if stream in fresh:
                continue
            sql = f"DELETE FROM stream WHERE id = ? AND {_HAS_NOTHING} RETURNING origin, crc"  # noqa: S608
            for text, crc in self._db.execute(sql, (stream,)).fetchall():
                self._origins.pop(stream, None)
                origin = whole_origin(text, crc)
                if origin is not None:
                    self._ids.pop(origin, None)
                    self._drop_from_source(origin.source, stream)

    def _drop_from_source(self, source: str, stream: int) -> None:
        streams = self._of_source.get(source, set())
        streams.discard(stream)
        if not streams:
            self._of_source.pop(source, None)

    def rolled_back(self) -> None:
        """Note that a transaction was taken back: what it made is gone, what it forgot is there again."""
        self._ids.clear()
        self._origins.clear()
        self._idle = {stream: None for (stream,) in self._db.execute("SELECT id FROM stream WHERE items = 0")}
