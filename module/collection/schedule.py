"""Computes when a source is polled, and when it rests. It neither sleeps nor reads a clock.

Intervals use the monotonic clock, so a step of the wall clock does not move them. Cron and active hours use the wall
clock of their time zone, also across both changes of summer time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from cronsim import CronSim

from module.attributes.timetable import Window, check_cron, parse_timezone, parse_windows

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)

_LOOK = timedelta(days=3)
"""Changes of a zone's offset are further apart than this, and smaller."""

_WITH_SECONDS = 6

_WINDOW_HORIZON_DAYS = 16
"""Windows recur weekly. Two weeks, because a change of summer time can skip one window completely."""


class Periodic:
    """Ticks at ``k * period_s + offset_s`` for every whole k, in monotonic seconds: errors do not accumulate.

    So sources whose periods are equal or multiples tick together, whenever they began.
    """

    def __init__(self, period_s: float, offset_s: float = 0.0) -> None:
        self.period_s = period_s
        self._offset_s = offset_s

    def next_after(self, now: float) -> float:
        """Return the first tick strictly after ``now``."""
        return self._tick(self._latest(now) + 1)

    def after(self, tick: float, now: float) -> tuple[float, int]:
        """Return the tick to take next, and how many after ``tick`` it skips; ``tick`` is the one that was taken last.

        If a tick passed less than half a period ago, it is taken late. So a poll that takes a little longer than the
        period costs no tick.
        """
        taken = self._latest(tick)
        passed = max(taken, self._latest(now - self.period_s / 2))
        return self._tick(passed + 1), passed - taken

    def _tick(self, index: int) -> float:
        return index * self.period_s + self._offset_s

    def _latest(self, now: float) -> int:
        """Return the number of the last tick that is not after ``now``, computed exactly as ``_tick`` does."""
        index = math.floor((now - self._offset_s) / self.period_s)
        while self._tick(index) > now:
            index -= 1
        while self._tick(index + 1) <= now:
            index += 1
        return index


class Cron:
    """A cron expression of 5 fields, or 6 with seconds first, on the wall clock of a time zone.

    As in Debian's cron, an expression with fixed hours and minutes follows the wall clock. A time that is skipped when
    summer time begins fires once, right after the change. A time that comes twice when it ends fires only the first
    time. If the hour or minute field begins with ``*``, the expression is a fixed interval and ignores both changes.
    """

    def __init__(self, expression: str, timezone: str) -> None:
        """Read the expression; raises ValueError if it or the time zone cannot be read, or if no date ever matches."""
        check_cron(expression, timezone)
        fields = expression.split()
        minute, hour = fields[1:3] if len(fields) == _WITH_SECONDS else fields[:2]
        self._expression = expression
        self._zone = parse_timezone(timezone)
        self._is_pace = minute.startswith("*") or hour.startswith("*")

    def next_after(self, now: datetime) -> datetime:
        """Return the first time to fire strictly after ``now``, which is aware; the answer is in UTC.

        Raises ValueError if there is none within fifty years.
        """
        now = now.astimezone(UTC)
        return self._next_of_pace(now) if self._is_pace else self._next_of_readings(now)

    def _next_of_readings(self, now: datetime) -> datetime:
        """Return the next instant of an expression that follows the wall clock: one for each matching time."""
        for wall in self._walls(_wall(now, self._zone)):
            instant = _first_instant(wall, self._zone)
            if instant > now:
                return instant
        raise self._exhausted()

    def _next_of_pace(self, now: datetime) -> datetime:
        """Return the next instant of a fixed interval. Between two changes of the offset, it is the same in UTC."""
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
    """Windows of the wall clock in a time zone; without windows it is always open.

    A window that ends before it starts crosses midnight and belongs to the day on which it starts. A window is open
    while the clock shows a time in it. So an hour that comes twice is open twice, and a skipped hour is never open.
    """

    def __init__(self, windows: Sequence[str], timezone: str) -> None:
        """Read the windows; raises ValueError for the first one, or the time zone, that cannot be read."""
        self._windows = parse_windows(windows)
        self._zone = parse_timezone(timezone)

    def open_at(self, now: datetime) -> bool:
        """Return whether ``now`` (aware) is in a window, which begins with ``start`` and ends just before ``end``."""
        wall = _wall(now, self._zone)
        return not self._windows or any(_holds(window, wall) for window in self._windows)

    def next_change(self, now: datetime) -> datetime | None:
        """Return when ``open_at`` next changes its answer, in UTC; None if it never does."""
        now = now.astimezone(UTC)
        is_open = self.open_at(now)
        changes = (edge for edge in self._edges(now) if edge > now and self.open_at(edge) != is_open)
        return min(changes, default=None)

    def _edges(self, now: datetime) -> Iterator[datetime]:
        """Yield every instant of the coming weeks at which a window may open or close, in no order."""
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
    """Return a schedule in words: "10 Hz", "every 5 s", "cron */5 * * * * UTC", or "on demand" if there is none."""
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
    """Return the zone's local time, naive."""
    return instant.astimezone(zone).replace(tzinfo=None)


def _offset(instant: datetime, zone: tzinfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def _first_instant(wall: datetime, zone: tzinfo) -> datetime:
    """Return when the zone's clock first shows ``wall``; if it skips that time, when it first shows a later one.

    PEP 495: for a skipped time, fold 0 takes the offset from before the change, and the result is after it.
    """
    early, late = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    if late <= early:
        return late
    return _next_change(early, late, zone) or late


def _next_change(start: datetime, end: datetime, zone: tzinfo) -> datetime | None:
    """Return the first instant after ``start``, up to ``end``, at which the zone has another offset; None: no change.

    There may be at most one change between them, on a whole second.
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
