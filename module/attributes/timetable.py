"""Reads and checks texts about time: cron expressions, windows of active hours, time zones. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""The names of the days, in the order of ``datetime.weekday()``."""

_HOUR = 60
_MIDNIGHT = 24 * _HOUR

_TIME = r"\d{1,2}:\d{2}"
_WINDOW = re.compile(rf"(?:(?P<days>[a-z,-]+)\s+)?(?P<start>{_TIME})\s*-\s*(?P<end>{_TIME})", re.ASCII)
_TIMES = re.compile(rf"{_TIME}\s*-\s*{_TIME}\s*$", re.ASCII)

_WINDOW_ALLOWED = 'e.g. "08:00-18:00", "mon-fri 08:00-18:00" or "22:00-02:00"'
_TIMEZONE_ALLOWED = 'an IANA name, e.g. "UTC" or "Europe/Berlin"'
_FIELDS_ALLOWED = "5 fields (minute, hour, day of month, month, day of week) or 6 (second first), e.g. */5 * * * *"
_CRON_FIELDS = (
    ("second", "0-59"),
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of month", "1-31, L (the last) or LW (the last weekday)"),
    ("month", "1-12 or JAN-DEC"),
    ("day of week", "0-7 or SUN-SAT, also 5L (the last Friday) or MON#2 (the second Monday)"),
)
_LONGEST_CRON = 1000
# Any instant would do: whether an expression ever fires doesn't depend on it, as the search spans fifty years.
_SEARCHED_FROM = datetime(2024, 1, 1, tzinfo=UTC)


class BadTimeText(ValueError):
    """A text that is not valid; ``allowed`` says what is, for messages that name the text themselves."""

    def __init__(self, text: str, problem: str, allowed: str) -> None:
        """The message has the text, cut to 80 characters, and its problem."""
        super().__init__(f"{text[:80]!r} {problem}; allowed is {allowed}")
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of local time that recurs on some days of the week."""

    days: frozenset[int]
    """The days on which it starts, as ``datetime.weekday()`` numbers them: 0 is Monday."""
    start: int
    """Minutes after midnight, 0-1439; the first one inside."""
    end: int
    """Minutes after midnight, 0-1440, not ``start``; the first one outside. If below ``start``: on the next day."""


def parse_windows(texts: Sequence[str]) -> tuple[Window, ...]:
    """Return the windows of the texts, in their order, e.g. of ``"mon-fri 08:00-18:00"``.

    Days are a name, a range that may cross Sunday, or a list of both (``"fri-mon,wed"``). Without days, every day is
    meant. Raises BadTimeText, a ValueError, for the first text that is no window.
    """
    return tuple(_window(text) for text in texts)


def parse_timezone(text: str) -> ZoneInfo:
    """Return the zone of an IANA name; raises BadTimeText, a ValueError, if there is none of that name."""
    try:
        return ZoneInfo(text)
    # Beside its KeyError, zoneinfo lets through what the file system says of odd names ("Europe" is a directory).
    except (KeyError, ValueError, OSError) as error:
        raise BadTimeText(text, "is no time zone", _TIMEZONE_ALLOWED) from error


def check_cron(text: str, timezone: str) -> None:
    """Check a cron expression of 5 fields, or of 6 with seconds first, and its time zone.

    Raises BadTimeText, a ValueError. It names the field that cannot be read, or says that no date ever matches.
    """
    parse_timezone(timezone)
    fields = text.split()
    if len(fields) not in (5, 6) or len(text) > _LONGEST_CRON:
        raise BadTimeText(text, f"has {len(fields)} fields", _FIELDS_ALLOWED)
    for (name, allowed), field in zip(_CRON_FIELDS[-len(fields) :], fields, strict=True):
        alone = ["*"] * 6
        alone[[known for known, _ in _CRON_FIELDS].index(name)] = field
        if not _ever_fires(" ".join(alone)):
            allowed_here = f"for the {name} {allowed}, with lists (1,2), ranges (1-5) and steps (*/5)"
            raise BadTimeText(text, f"has {field[:20]!r} for the {name}", allowed_here)
    if not _ever_fires(text):
        raise BadTimeText(text, "never fires", "an expression that some date matches")


def _ever_fires(expression: str) -> bool:
    try:
        next(CronSim(expression, _SEARCHED_FROM))
    except (CronSimError, StopIteration):
        return False
    return True


def _window(text: str) -> Window:
    found = _WINDOW.fullmatch(text.strip().lower())
    if found is None:
        times = _TIMES.search(text)
        raise _no_window(text, f"{text[: times.start()].strip()[:40]!r} is no list of days" if times else None)
    days = _days(text, found["days"])
    start, end = (_minute(text, found[part]) for part in ("start", "end"))
    if start == end:
        raise _no_window(text, "it ends when it starts")
    if start == _MIDNIGHT:
        raise _no_window(text, "a day's last start is 23:59")
    return Window(days, start, end)


def _no_window(text: str, wrong: str | None) -> BadTimeText:
    allowed = f"{_WINDOW_ALLOWED}; {wrong}" if wrong else _WINDOW_ALLOWED
    return BadTimeText(text, "is no window", allowed)


def _minute(text: str, time: str) -> int:
    """Return the minutes after midnight of ``08:00``, up to ``24:00``. Raises BadTimeText."""
    hours, minutes = map(int, time.split(":"))
    if minutes >= _HOUR or hours * _HOUR + minutes > _MIDNIGHT:
        raise _no_window(text, f"{time!r} is no time of day")
    return hours * _HOUR + minutes


def _days(text: str, given: str | None) -> frozenset[int]:
    """Return the days in a text; all of them for None. Raises BadTimeText."""
    if given is None:
        return frozenset(range(7))
    days: set[int] = set()
    for part in given.split(","):
        first, dash, last = part.partition("-")
        for name in (first, last) if dash else (first,):
            if name not in DAYS:
                raise _no_window(text, f"{name[:40]!r} is no day, which are {', '.join(DAYS)}")
        start, end = DAYS.index(first), DAYS.index(last or first)
        days.update((start + step) % 7 for step in range((end - start) % 7 + 1))
    return frozenset(days)
