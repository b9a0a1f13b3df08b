"""The table ``adoption``: how far each spool that is being taken over has come, and the rows as they become ours."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from module.capture import Origin
from module.spool.clock_table import ClockTable
from module.spool.damage.salvage import count_unreadable
from module.spool.rows import COLUMNS, FAILED_COLUMNS, Row, checksum, is_whole
from module.spool.schema import ADOPTION_COLUMNS, ADOPTION_TABLE, HAS_ADOPTIONS
from module.spool.sequence_table import COLUMNS as SEQUENCE_COLUMNS


@dataclass(frozen=True, slots=True)
class Adoption:
    """One row of the table."""

    directory: str
    """The old spool's directory, as the command names it."""
    place: str
    """Its directory while it is taken over."""
    shift: int
    """Added to each of its ids."""
    capture_id: int
    """Captures of it up to this id have been taken over."""
    failure_id: int
    """And failures up to this one."""
    adopted: int
    """How many they were."""
    is_done: bool
    """All has been taken over; what is left is to be deleted."""

    @property
    def has_begun(self) -> bool:
        """Whether anything of it has been taken over."""
        return self.is_done or bool(self.capture_id or self.failure_id)


@dataclass(slots=True)
class Part:
    """Some rows of an old spool, as they stand there, in the order of their ids."""

    captures: list[tuple[Any, ...]] = field(default_factory=list)
    failures: list[tuple[Any, ...]] = field(default_factory=list)
    origins: dict[int, Origin] = field(default_factory=dict)
    """Of their streams."""
    sent_files: list[tuple[Any, ...]] = field(default_factory=list)
    clocks: list[tuple[str, int]] = field(default_factory=list)
    """The readings of its boots that stood."""
    sequences: list[tuple[Any, ...]] = field(default_factory=list)
    adoptions: list[tuple[Any, ...]] = field(default_factory=list)
    """The adoptions that that spool itself had not finished."""
    unreadable: int = 0
    is_last: bool = False


@dataclass(slots=True)
class NewInStream:
    """The captures that one of our streams got from the other spool."""

    origin: Origin
    first_id: int
    items: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What a part has become."""

    adoption: Adoption
    """How far it is now."""
    streams: dict[int, NewInStream]
    failures: int


class OurSpool(Protocol):
    """What an adoption needs of our file; ``module.spool.database.Database`` says what each promises."""

    clocks: ClockTable

    def skip_ids(self, count: int) -> int:
        """Reserve so many ids at once."""

    def stream_id(self, origin: Origin) -> int:
        """The stream of an origin, made if there is none."""

    def bring_in(self, rows: Sequence[Row], failures: Sequence[Row]) -> None:
        """Note captures and failures, (id, stream, footprint) each, that came from another spool."""


class AdoptionTable:
    """On the thread of the file. The caller begins and commits."""

    def __init__(self, db: sqlite3.Connection, spool: OurSpool) -> None:
        self._db = db
        self._spool = spool

    def all(self) -> list[Adoption]:
        """Those that have begun and not ended."""
        return [_adoption_of(row) for row in rows_of(self._db)]

    def begin(self, directory: Path, place: Path, last_id: int) -> Adoption:
        """Note that a spool is being taken over, and keep as many ids for it as it has given out."""
        self._db.execute(ADOPTION_TABLE)
        new = Adoption(str(directory), str(place), self._spool.skip_ids(last_id), 0, 0, 0, is_done=False)
        self._put(new)
        return new

    def _put(self, adoption: Adoption) -> None:
        values = dataclasses.astuple(adoption)
        self._db.execute(f"INSERT OR REPLACE INTO adoption ({ADOPTION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)  # noqa: S608

    def remove(self, directory: str) -> int:
        """Forget an adoption; returns how many captures were taken over."""
        sql = "DELETE FROM adoption WHERE directory = ? RETURNING adopted"
        return next((adopted for (adopted,) in self._db.execute(sql, (directory,)).fetchall()), 0)

    def take_over(self, adoption: Adoption, part: Part) -> TakenOver:
        """Write a part, and how far the adoption is with it."""
        shift, streams = adoption.shift, dict[int, NewInStream]()
        mine = {stream: self._spool.stream_id(origin) for stream, origin in part.origins.items()}
        captures = [_shifted(row, shift, mine) for row in part.captures]
        failures = [_shifted(row, shift, mine) for row in part.failures]
        for row, old in zip(captures, part.captures, strict=True):
            new = streams.setdefault(row[1], NewInStream(part.origins[old[1]], row[0]))
            new.items += 1
            new.bytes += row[5]
        self._spool.clocks.learn(part.clocks)
        self._write(captures, failures)
        self._write_rest(part, shift)
        now = dataclasses.replace(
            adoption,
            capture_id=max((row[0] for row in part.captures), default=adoption.capture_id),
            failure_id=max((row[0] for row in part.failures), default=adoption.failure_id),
            adopted=adoption.adopted + len(captures) + len(failures),
            is_done=part.is_last,
        )
        self._put(now)
        return TakenOver(now, streams, len(failures))

    def _write(self, captures: list[tuple[Any, ...]], failures: list[tuple[Any, ...]]) -> None:
        ten, three = "?, ?, ?, ?, ?, ?, ?, ?, ?, ?", "?, ?, ?"
        self._db.executemany(f"INSERT INTO capture ({COLUMNS}) VALUES ({ten})", captures)  # noqa: S608
        failed = f"INSERT INTO failure ({COLUMNS}, {FAILED_COLUMNS}) VALUES ({ten}, {three})"  # noqa: S608
        self._db.executemany(failed, failures)
        self._spool.bring_in(*([(row[0], row[1], row[5]) for row in rows] for rows in (captures, failures)))

    def _write_rest(self, part: Part, shift: int) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO sent_file (path, size, modified_ns, inode) VALUES (?, ?, ?, ?)", part.sent_files
        )
        values = f"?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? + {shift:d}, ? + {shift:d}"
        self._db.executemany(
            f"INSERT OR IGNORE INTO sequence ({SEQUENCE_COLUMNS}) VALUES ({values})",  # noqa: S608
            part.sequences,
        )
        for theirs in map(_adoption_of, part.adoptions):
            self._put(dataclasses.replace(theirs, shift=theirs.shift + shift))
        if part.unreadable:
            count_unreadable(self._db, part.unreadable)


def _adoption_of(row: tuple[Any, ...]) -> Adoption:
    directory, place, shift, capture_id, failure_id, adopted, is_done = row
    return Adoption(directory, place, shift, capture_id, failure_id, adopted, bool(is_done))


def rows_of(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Return the rows of the table in any spool's file; none if there is no such table."""
    if db.execute(HAS_ADOPTIONS).fetchone() is None:
        return []
    return db.execute(f"SELECT {ADOPTION_COLUMNS} FROM adoption ORDER BY directory").fetchall()  # noqa: S608


def _shifted(row: tuple[Any, ...], shift: int, streams: dict[int, int]) -> tuple[Any, ...]:
    """A row with our id and stream. One whose checksum does not fit keeps it, and is found damaged by us too."""
    said = (row[0] + shift, streams[row[1]], *row[2:5])
    crc = checksum(said, row[6], row[7], row[9]) if is_whole(row) else row[8]
    return (*said, *row[5:8], crc, *row[9:])
