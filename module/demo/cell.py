"""A work cell as a function of time: a belt brings parts to a gripper, which lifts them off. Now and then one jams.

The cameras draw it and the sensors measure it, so that what they say of one moment agrees. Times are seconds since the
epoch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PITCH_M = 0.40
"""From one part on the belt to the next."""
JAM_S = 3.0
_STAND_S = 1.6
"""How long the belt stands while the gripper takes a part."""
_MOVE_S = 1.4
_CYCLE_S = _STAND_S + _MOVE_S
_CYCLES = 9
"""From one jam to the next."""
_PERIOD_S = JAM_S + _CYCLES * _CYCLE_S
_AHEAD = 4
"""Parts on the belt that have not reached the gripper."""
_GRIP_N = 18.0
_JAM_N = 41.0
_OPEN_MM = 84.0
_PART_MM = 52.0

# Parts of the time that the belt stands.
_DOWN, _GRIPPED, _LIFTED, _RELEASED = 0.25, 0.45, 0.75, 0.92


@dataclass(frozen=True, slots=True)
class Part:
    """One part on the belt, or in the gripper."""

    number: int
    """Counted from the first jam's part on; those before it have negative numbers."""
    offset_m: float
    """How far it is past the gripper's place along the belt; negative before it."""
    lift: float
    """0 on the belt, 1 out of the camera's view."""
    tilt: float
    """0 upright, 1 askew."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The cell at one time."""

    belt_m: float
    """How far the belt has gone since the first jam; negative before it."""
    belt_speed_m_s: float
    parts: tuple[Part, ...]
    reach: float
    """The gripper: 0 all the way up, 1 down at the belt."""
    opening_mm: float
    """Between its fingers."""
    force_n: float
    """Of its fingers."""
    motor_current_a: float
    """Of the belt's motor."""
    jam: bool

    @property
    def part_present(self) -> bool:
        """Whether a part stands at the gripper's place, as a light barrier there sees it."""
        return any(abs(part.offset_m) < PITCH_M / 8 and part.lift < 0.2 for part in self.parts)  # noqa: PLR2004


class Cell:
    """One work cell. Its first jam begins at ``first_jam_at``, or as ``jam_first`` says once it is known."""

    def __init__(self, first_jam_at: float = 0.0) -> None:
        self._first_jam_at = first_jam_at

    def jam_first(self, at_s: float) -> None:
        """Let the first jam begin then."""
        self._first_jam_at = at_s

    def since_jam(self, at_s: float) -> float:
        """Seconds since the last jam began."""
        return (at_s - self._first_jam_at) % _PERIOD_S

    def moment(self, at_s: float) -> Moment:
        """The cell at that time; two calls with the same time return the same."""
        rounds, since = divmod(at_s - self._first_jam_at, _PERIOD_S)
        first = round(rounds) * _CYCLES
        if since < JAM_S:
            return _jammed(first, since)
        cycle, within = divmod(since - JAM_S, _CYCLE_S)
        number = first + int(cycle)
        return _standing(number, within / _STAND_S) if within < _STAND_S else _moving(number, within - _STAND_S)


def _jammed(number: int, since: float) -> Moment:
    """The gripper pushes on a part that stands askew, lets go, and sets it upright."""
    left = 1 - since / JAM_S
    pushing = min(1.0, since / 0.3, max(0.0, left - 0.3) / 0.1)
    tremble = math.sin(31 * since) * pushing
    return Moment(
        belt_m=number * PITCH_M,
        belt_speed_m_s=0.0,
        parts=_parts(number, 0.0, tilt=min(1.0, left / 0.2)),
        reach=0.15 + 0.72 * pushing + 0.012 * tremble,
        opening_mm=_OPEN_MM - (_OPEN_MM - _PART_MM - 14) * pushing,
        force_n=_JAM_N * pushing + 2.5 * tremble,
        motor_current_a=4.6 * min(1.0, left / 0.3) + 0.4 * tremble,
        jam=True,
    )


def _standing(number: int, done: float) -> Moment:
    """The gripper comes down, grips, and lifts the part out of the view."""
    lift = _eased((done - _GRIPPED) / (_LIFTED - _GRIPPED))
    grip = _eased((done - _DOWN) / (_GRIPPED - _DOWN)) - _eased((done - _RELEASED) / (1 - _RELEASED))
    return Moment(
        belt_m=number * PITCH_M,
        belt_speed_m_s=0.0,
        parts=_parts(number, 0.0, lift=lift),
        reach=_eased(done / _DOWN) - lift,
        opening_mm=_OPEN_MM - (_OPEN_MM - _PART_MM) * min(1.0, 2 * grip),
        force_n=_GRIP_N * max(0.0, 2 * grip - 1),
        motor_current_a=0.3,
        jam=False,
    )


def _moving(number: int, since: float) -> Moment:
    """The belt brings the next part."""
    done = since / _MOVE_S
    gone = _eased(done)
    speed = PITCH_M / _MOVE_S * 6 * done * (1 - done)
    return Moment(
        belt_m=(number + gone) * PITCH_M,
        belt_speed_m_s=speed,
        parts=_parts(number, gone, lift=1.0),
        reach=0.0,
        opening_mm=_OPEN_MM,
        force_n=0.0,
        motor_current_a=0.3 + 2.4 * speed,
        jam=False,
    )


def _parts(number: int, gone: float, *, lift: float = 0.0, tilt: float = 0.0) -> tuple[Part, ...]:
    """The part whose turn it is, unless it is out of view, and those that follow it."""
    turn = [Part(number, 0.0, lift, tilt)] if lift < 1 else []
    return (*turn, *(Part(number + ahead, (gone - ahead) * PITCH_M, 0.0, 0.0) for ahead in range(1, _AHEAD + 1)))


def _eased(done: float) -> float:
    """From 0 to 1 without a jerk at either end; the same before and after."""
    done = min(1.0, max(0.0, done))
    return done * done * (3 - 2 * done)
