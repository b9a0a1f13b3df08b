"""Room for captures: how much a group of writes may take, and what is dropped for it. On the spool's thread."""

from __future__ import annotations

import os
import time

from module.attributes.uploader import SpoolConfig, WhenFull
from module.errors import SpoolFull
from module.spool.database import Database
from module.spool.messages import Append, Group, Outcome
from module.spool.place import Place
from module.spool.retention import drop_newest, drop_oldest, thin
from module.spool.rows import room_of
from module.spool.stream_index import Held

_LOOK_S = 1.0
"""How old the figure of free disk may be."""


class Capacity:
    """How full the spool is, and how it is kept within its limits."""

    def __init__(self, place: Place, settings: SpoolConfig, held: Held) -> None:
        self._place = place
        self._settings = settings
        self._held = held
        self._used = 0
        self._thinned_to: dict[int, int] = {}
        """By priority, the id with which the last thinning ended."""
        self._free = 0
        self._look_at = 0.0

    def measure(self, db: Database) -> None:
        """Read from the file how full it is."""
        self._used = db.used_bytes()

    def free_disk(self) -> int:
        """Bytes that are free on the spool's disk, as of the last second. Raises OSError."""
        if time.monotonic() >= self._look_at:
            disk = os.statvfs(self._place.directory)
            self._free = disk.f_bavail * disk.f_frsize
            self._look_at = time.monotonic() + _LOOK_S
        return self._free

    def write(self, db: Database, group: Group, *, disk_is_full: bool) -> Outcome:
        """Write a group in a transaction. Raises the errors of the database; then the caller must roll back."""
        outcome = Outcome()
        used = self._used
        for job in group.acknowledged:
            used -= db.delete(job.stream, job.ids, job.room)
            db.sent_files.remember(job.files)
            outcome.acknowledged.append(job)
        self._used = used
        for append in group.appends:
            self._insert(db, append, outcome, disk_is_full=disk_is_full)
        return outcome

    def _insert(self, db: Database, append: Append, outcome: Outcome, *, disk_is_full: bool) -> None:
        incoming = sum(room_of(capture) for capture in append.captures)
        need = self._used + incoming - self._settings.max_bytes
        free = 0 if disk_is_full else self.free_disk()
        if disk_is_full or free < self._settings.min_free_bytes:
            # Pages that are free within the file cost the disk nothing.
            need = max(need, incoming - db.free_pages.bytes)
        if need > 0:
            priority = min(capture.origin.priority for capture in append.captures)
            victims = self._victims(db, need, priority)
            outcome.full = self._why_full(free, disk_is_full=disk_is_full)
            if victims is None:
                outcome.refused.append((append, self._refusal(incoming, outcome.full)))
                return
            failures = db.drop_failures(victims)
            waiting = db.drop(victims)
            outcome.dropped_failures += failures
            outcome.dropped += waiting
            self._used -= sum(room for _, _, room in failures + waiting)
        outcome.appended.append((append, db.insert(append.captures)))
        self._used += incoming

    def _victims(self, db: Database, need: int, priority: int) -> list[int] | None:
        policy = self._settings.when_full
        if policy is WhenFull.DROP_NEWEST:
            return drop_newest(db.lines(self._held, newest_first=True), need, up_to_priority=priority)
        if policy is WhenFull.THIN:
            thinned = thin(db.lines(self._held, thinned_to=self._thinned_to), need, up_to_priority=priority)
            if thinned is not None:
                victims, ended = thinned
                self._thinned_to |= ended
                return victims
        return drop_oldest(db.lines(self._held), need, up_to_priority=priority)

    def _why_full(self, free: int, *, disk_is_full: bool) -> str:
        """Return which limit leaves no room, in words."""
        if disk_is_full:
            return f"the disk under {self._place.directory} is full"
        if free < self._settings.min_free_bytes:
            return (
                f"the disk under {self._place.directory} has {free} bytes free, "
                f"and spool.min_free_bytes is {self._settings.min_free_bytes}"
            )
        return f"spool.max_bytes is {self._settings.max_bytes}"

    def _refusal(self, incoming: int, why: str) -> SpoolFull:
        policy, most = self._settings.when_full, self._settings.max_bytes
        lower = "a lower" if policy is WhenFull.DROP_NEWEST else "a lower or the same"
        could_go = f"{policy} drops what has {lower} priority and is not being uploaded, and that is too little"
        reason = f"spool.max_bytes is {most}, which is less" if incoming > most else f"{why}; {could_go}"
        return SpoolFull(f"no room in the spool for {incoming} bytes: {reason}")
