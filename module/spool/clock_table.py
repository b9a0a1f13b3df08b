"""The readings of the machine's clock that the spool has seen, and the true times of captures by them.

A stream's origin has the reading of its captures' times (``machine_clock.Reading``), so each capture keeps its exact
reading, even if it waited in memory before it was written. This table has the true reading of each boot. A capture's
times are corrected by the difference when it is claimed, never in the file. So nothing is rewritten, however large the
backlog is, and the checksum stays valid. A later step corrects the time from the capture's own reading again, so no
correction is lost in a crash or applied twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace

from module.capture import Item, Kind
from module.clock.machine_clock import NOT_SET_TAG, Reading, Stand, shift_us
from module.clock.stamps import redated_line, redated_row

COLUMNS = "boot, offset_us, stood"
_MOST_ROWS = 10_000


class ClockTable:
    """The table ``clock``, on the thread of its connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._true_now: Callable[[], Reading | None] = lambda: None
        rows = db.execute("SELECT boot, offset_us FROM clock WHERE stood ORDER BY id")
        self._true = {boot: Reading(boot, offset_us) for boot, offset_us in rows}

    def follow(self, true_now: Callable[[], Reading | None]) -> None:
        """Use this function for the true reading of this boot, also before the file has it; None: not known."""
        self._true_now = true_now

    def of_boot(self, boot: str) -> list[Stand]:
        """Return the readings of a boot, the oldest first."""
        rows = self._db.execute("SELECT offset_us, stood FROM clock WHERE boot = ? ORDER BY id", (boot,))
        return [Stand(Reading(boot, offset_us), bool(stood)) for offset_us, stood in rows]

    def keep(self, stand: Stand) -> None:
        """Write a reading, or note that the last one of its boot is the true one."""
        reading, known = stand.reading, self.of_boot(stand.reading.boot)
        if known and known[-1].reading == reading:
            last = "(SELECT max(id) FROM clock WHERE boot = ?)"
            self._db.execute(f"UPDATE clock SET stood = ? WHERE id = {last}", (stand.stood, reading.boot))  # noqa: S608
        else:
            self._db.execute(f"INSERT INTO clock ({COLUMNS}) VALUES (?, ?, ?)", (*reading, stand.stood))  # noqa: S608
        self._db.execute("DELETE FROM clock WHERE id <= (SELECT max(id) FROM clock) - ?", (_MOST_ROWS,))
        if stand.stood:
            self._true[reading.boot] = reading

    def learn(self, stood: Iterable[tuple[str, int]]) -> None:
        """Write true readings of another spool, (boot, offset) each, of boots that this spool cannot date."""
        for boot, offset_us in dict(stood).items():
            if boot not in self._true:
                self.keep(Stand(Reading(boot, offset_us), stood=True))

    def shift_us(self, reading: Reading) -> int | None:
        """Return the correction for times of a reading; None: their true time is not known."""
        now = self._true_now()
        return shift_us(reading, now if now and now.boot == reading.boot else self._true.get(reading.boot))

    def true_us(self, us: int, reading: Reading) -> int:
        """Return the true time of a time with this reading; unchanged if the true time is not known."""
        return us + (self.shift_us(reading) or 0)

    def dated(self, items: list[Item]) -> list[Item]:
        """Return captures of one origin with their true times; tagged if these are not known."""
        if not items:
            return items
        origin = items[0].origin
        by_us = self.shift_us(origin.clock)
        if by_us is None:
            tagged = replace(origin, tags=(*origin.tags, NOT_SET_TAG))
            return [item._replace(origin=tagged) for item in items]
        return [_moved(item, by_us) for item in items] if by_us else items


def _moved(item: Item, by_us: int) -> Item:
    requested_us, received_us = item.requested_us + by_us, item.received_us + by_us
    payload = item.payload
    if item.origin.kind is Kind.ROW:
        payload = redated_row(payload, requested_us, received_us)
    elif item.origin.kind is Kind.LINE:
        payload = redated_line(payload, requested_us, received_us)
    return item._replace(requested_us=requested_us, received_us=received_us, payload=payload)
