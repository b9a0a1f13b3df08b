"""Decides whether uploads may run now, and if not, why; pure, both clocks are arguments.

The reason is the first of these that blocks uploads: ``upload.disabled``, the command ``pause``, a clock that is not
set, ``upload.active_hours``, ``upload.only_when``. Nothing here ends an upload that is under way.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from module.attributes.allowed import shown
from module.attributes.condition import Condition, Test
from module.attributes.uploader import UploadConfig

STALE_S = 3.0
"""Three polls. If a sensor fails for longer, its last answer is no longer valid."""
_CLOCK_LOOK_S = 1.0
_LOOK_S = 30.0
"""Seconds between two looks at a window, because the wall clock may be set."""


class Standing(enum.StrEnum):
    """Whether uploads may run."""

    FREE = "free"
    """They run as captures come."""
    PAUSED = "paused"
    """Somebody stopped them, by command or in the configuration."""
    RESTING = "resting"
    """They wait for the machine's clock, for their hours, or for a sensor."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """The decision for one moment."""

    standing: Standing
    reason: str | None
    """Why uploads don't run, in one sentence; None: they may."""
    look_again_s: float
    """Seconds after which it may have changed without any event; inf: it takes an event."""


class Hours(Protocol):
    """Windows of time (``module.collection.schedule.ActiveHours``)."""

    def open_at(self, now: datetime) -> bool:
        """Return whether the moment is in a window."""

    def next_change(self, now: datetime) -> datetime | None:
        """Return when that next changes, in UTC; None: never."""


class Watched(Protocol):
    """A sensor that is asked once a second (``module.collection.condition_watch.ConditionWatch``)."""

    @property
    def holds(self) -> bool | None:
        """Whether the condition held at the last answer; None: there is none yet."""

    @property
    def problem(self) -> str | None:
        """Why it does not answer now."""

    @property
    def answered_s(self) -> float | None:
        """The monotonic time of its last answer."""


_FREE = Ruling(Standing.FREE, None, math.inf)


class Permit:
    """The rules of one configuration about when uploads run."""

    def __init__(
        self,
        config: UploadConfig,
        hours: Hours | None = None,
        sensor: Watched | None = None,
        clock: Callable[[float], str | None] = lambda _monotonic_s: None,
    ) -> None:
        """``hours`` are those of ``upload.active_hours`` (None: always), ``sensor`` that of ``upload.only_when``.

        ``clock`` returns, for a monotonic time, why uploads must wait for the machine's clock; None: they need not.
        """
        self._clock = clock
        self._disabled = config.disabled
        self._hours = hours
        self._hours_text = f"{', '.join(config.active_hours)} {config.timezone}"
        self._only_when = config.only_when
        self._sensor = sensor
        # From when until when a window is known to be closed: finding that out costs milliseconds.
        self._closed: tuple[datetime, datetime | None] | None = None

    def ruling(self, now: datetime, monotonic_s: float, *, paused: bool) -> Ruling:
        """Decide for a moment, by the wall clock (aware) and the monotonic clock."""
        if self._disabled:
            return Ruling(Standing.PAUSED, "upload.disabled is true", math.inf)
        if paused:
            return Ruling(
                Standing.PAUSED, "the command pause stopped uploads; the command resume starts them again", math.inf
            )
        waits = self._clock(monotonic_s)
        if waits is not None:
            return Ruling(Standing.RESTING, waits, _CLOCK_LOOK_S)
        if self._hours is not None and not self._hours.open_at(now):
            return self._outside(self._hours, now)
        problem = self._sensor_forbids(monotonic_s)
        if problem is not None:
            return Ruling(Standing.RESTING, f"upload.only_when: {problem}", math.inf)
        return _FREE

    def _outside(self, hours: Hours, now: datetime) -> Ruling:
        since, opens = self._closed or (now, None)
        if self._closed is None or now < since or (opens is not None and now >= opens):
            self._closed = since, opens = now, hours.next_change(now)
        reason = f"outside upload.active_hours {self._hours_text}"
        if opens is None:
            return Ruling(Standing.RESTING, reason, _LOOK_S)
        left = max(0.0, (opens - now).total_seconds())
        at = opens.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return Ruling(Standing.RESTING, f"{reason}, opens at {at}", min(left, _LOOK_S))

    def _sensor_forbids(self, monotonic_s: float) -> str | None:
        if self._only_when is None or self._sensor is None or self._only_when.condition is None:
            return None
        sensor, name = self._sensor, self._only_when.sensor
        if sensor.holds is None or sensor.answered_s is None:
            return sensor.problem or f"{name} has not answered yet"
        if sensor.problem is not None and monotonic_s - sensor.answered_s > STALE_S:
            return sensor.problem
        return None if sensor.holds else f"{name}.{_unmet(self._only_when.condition)}"


def _unmet(condition: Condition) -> str:
    """Return the words for a condition that does not hold: ``level is not above 5``."""
    operand = shown(condition.operand)
    words = {
        Test.TRUE: "is not true",
        Test.EQUALS: f"is not {operand}",
        Test.NOT_EQUALS: f"is {operand}",
        Test.ABOVE: f"is not above {operand}",
        Test.BELOW: f"is not below {operand}",
    }
    return f"{condition.key} {words[condition.test]}"
