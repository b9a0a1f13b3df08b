"""When a source is polled, and when it rests: time maths that neither sleeps nor reads a clock.

Intervals live on the monotonic clock, so that no step of the wall clock moves them. Cron and active hours live on the
wall clock of their time zone, through both changes of its summer time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from cronsim import CronSim

from module.attributes.timetable import Window, parse_cron, parse_timezone, parse_windows

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)

_LOOK = timedelta(days=3)
"""Changes of a zone's offset lie further apart, and are smaller."""

_WITH_SECONDS = 6

_WINDOW_HORIZON_DAYS = 16
"""Windows recur weekly; two weeks, as a change of summer time can swallow one of them whole."""


class Periodic:
    """Ticks at ``k * period_s + offset_s`` for every whole k, in monotonic seconds: nothing accumulates or drifts.

    So periods that are equal or multiples tick together, whenever they began.
    """

    def __init__(self, period_s: float, offset_s: float = 0.0) -> None:
        self._period_s = period_s
        self._offset_s = offset_s

    def next_after(self, now: float) -> float:
        """Return the first tick strictly after ``now``."""
        return self._tick(self._latest(now) + 1)

    def skipped(self, deadline: float, now: float) -> int:
        """Count the ticks after ``deadline``, itself a tick, up to and with ``now``; 0 where ``now`` is before it."""
        return max(0, self._latest(now) - self._latest(deadline))

    def _tick(self, index: int) -> float:
        return index * self._period_s + self._offset_s

    def _latest(self, now: float) -> int:
        """Return the number of the last tick that is not after ``now``, by the very sums that ``_tick`` does."""
        index = math.floor((now - self._offset_s) / self._period_s)
        while self._tick(index) > now:
            index -= 1
        while self._tick(index + 1) <= now:
            index += 1
        return index


class Cron:
    """A cron expression of 5 fields, or 6 with seconds first, on the wall clock of a time zone.

    As in Debian's cron, an expression that names its hours and minutes goes by the wall clock's readings: one that is
    left out when the clock is put forward fires once, right after, and one that comes twice when it is put back fires
    the first time only. One whose hour or minute field begins with ``*`` means a pace: it goes on through both changes.
    """

    def __init__(self, expression: str, timezone: str) -> None:
        """Read the expression; raises ValueError where it or the time zone cannot be read, or no date ever matches."""
        parse_cron(expression, timezone)
        fields = expression.split()
        minute, hour = fields[1:3] if len(fields) == _WITH_SECONDS else fields[:2]
        self._expression = expression
        self._zone = parse_timezone(timezone)
        self._is_pace = minute.startswith("*") or hour.startswith("*")

    def next_after(self, now: datetime) -> datetime:
        """Return the first time to fire strictly after ``now``, which is aware; the answer is in UTC.

        Raises ValueError where none comes within fifty years.
        """
        now = now.astimezone(UTC)
        return self._next_of_pace(now) if self._is_pace else self._next_of_readings(now)

    def _next_of_readings(self, now: datetime) -> datetime:
        """Map each matching reading of the wall clock to one instant; the instants never decrease."""
        for wall in self._walls(_wall(now, self._zone)):
            instant = _first_instant(wall, self._zone)
            if instant > now:
                return instant
        raise self._exhausted()

    def _next_of_pace(self, now: datetime) -> datetime:
        """Walk from one change of the zone's offset to the next; between two, wall clock and UTC go alike."""
        wall = _wall(now, self._zone)
        while True:
            match = next(self._walls(wall), None)
            if match is None:
                raise self._exhausted()
            instant = (match - _offset(now, self._zone)).replace(tzinfo=UTC)
            change = _next_change(now, now + _LOOK, self._zone)
            if change is not None and instant >= change:
                # The clock is set before it gets there: look on from the first reading that it shows then.
                now, wall = change, _wall(change, self._zone) - _SECOND
            elif instant <= now + _LOOK:
                return instant
            else:
                # Nothing matches for days: go near, so that the changes on the way need not be walked.
                now = _first_instant(match - 2 * _DAY, self._zone)
                wall = _wall(now, self._zone)

    def _walls(self, wall: datetime) -> Iterator[datetime]:
        # Naive, so that cronsim's own handling of zones, which leaves six fields and half hours out, has no part in it.
        yield from CronSim(self._expression, wall)

    def _exhausted(self) -> ValueError:
        return ValueError(f"cron {self._expression!r} never fires in the next fifty years")


class ActiveHours:
    """Windows of the wall clock in a time zone; none at all means always.

    A window that ends before it starts runs over midnight and belongs to the day that it starts on. A window stays open
    while the clock reads what lies in it: for twice an hour that comes twice, and not at all in one that is left out.
    """

    def __init__(self, windows: Sequence[str], timezone: str) -> None:
        """Read the windows; raises ValueError on the first that cannot be read, and on the time zone."""
        self._windows = parse_windows(windows)
        self._zone = parse_timezone(timezone)

    def open_at(self, now: datetime) -> bool:
        """Tell whether ``now``, which is aware, lies in a window; its first minute does, its last does not."""
        wall = _wall(now, self._zone)
        return not self._windows or any(_holds(window, wall) for window in self._windows)

    def next_change(self, now: datetime) -> datetime | None:
        """Return when ``open_at`` next gives another answer than for ``now``, in UTC; None where it never will."""
        now = now.astimezone(UTC)
        is_open = self.open_at(now)
        changes = (edge for edge in self._edges(now) if edge > now and self.open_at(edge) != is_open)
        return min(changes, default=None)

    def _edges(self, now: datetime) -> Iterator[datetime]:
        """Give every instant of the coming weeks at which a window may open or close, in no order."""
        minutes = {minute for window in self._windows for minute in (window.start, window.end)}
        today = _wall(now, self._zone).date()
        for day in (today + step * _DAY for step in range(-1, _WINDOW_HORIZON_DAYS)):
            midnight = _midnight(day)
            for minute in minutes:
                wall = midnight + timedelta(minutes=minute)
                # Both times that the clock reads it.
                yield from (wall.replace(fold=fold, tzinfo=self._zone).astimezone(UTC) for fold in (0, 1))
            start = _first_instant(midnight, self._zone)
            change = _next_change(start, start + 2 * _DAY, self._zone)
            if change is not None:
                yield change


def describe(
    *,
    capture_frequency_hz: float | None = None,
    interval_s: float | None = None,
    cron: str | None = None,
    timezone: str = "UTC",
) -> str:
    """Return a schedule in words: "10 Hz", "every 5 s", "cron */5 * * * * UTC", and "on demand" where there is none."""
    if capture_frequency_hz is not None:
        return f"{capture_frequency_hz:.12g} Hz"
    if interval_s is not None:
        return f"every {interval_s:.12g} s"
    if cron is not None:
        return f"cron {cron} {timezone}"
    return "on demand"


def _holds(window: Window, wall: datetime) -> bool:
    minute = wall.hour * 60 + wall.minute
    if window.start < window.end:
        return wall.weekday() in window.days and window.start <= minute < window.end
    if minute >= window.start:
        return wall.weekday() in window.days
    return minute < window.end and (wall.weekday() - 1) % 7 in window.days


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def _wall(instant: datetime, zone: tzinfo) -> datetime:
    """Return what the zone's clock reads, naive."""
    return instant.astimezone(zone).replace(tzinfo=None)


def _offset(instant: datetime, zone: tzinfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def _first_instant(wall: datetime, zone: tzinfo) -> datetime:
    """Return when the zone's clock first reads ``wall``, or where it never does, when it first reads something later.

    PEP 495: for a reading that is left out, fold 0 takes the offset from before the change and comes out after it.
    """
    early, late = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    if late <= early:
        return late
    return _next_change(early, late, zone) or late


def _next_change(start: datetime, end: datetime, zone: tzinfo) -> datetime | None:
    """Return the first instant after ``start``, up to ``end``, at which the zone has another offset; None: no change.

    At most one change may lie between them, on a whole second.
    """
    before = _offset(start, zone)
    if _offset(end, zone) == before:
        return None
    start = start.replace(microsecond=0)
    seconds = math.ceil((end - start).total_seconds())
    unchanged = 0
    while seconds - unchanged > 1:
        middle = (unchanged + seconds) // 2
        if _offset(start + middle * _SECOND, zone) == before:
            unchanged = middle
        else:
            seconds = middle
    return start + seconds * _SECOND
