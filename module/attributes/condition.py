"""A condition on a dict of readings, such as "temperature above 5"; gates and ``upload.only_when`` ask it. Pure."""

from __future__ import annotations

import enum
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Test(enum.StrEnum):
    """How the value under the key is compared with the operand."""

    TRUE = "true"
    """The value counts as true; there is no operand."""

    EQUALS = "equals"
    """The value equals the operand; a bool never equals a number."""

    NOT_EQUALS = "not_equals"
    """The value does not equal the operand, or there is no value."""

    ABOVE = "above"
    """The value is a number, and greater."""

    BELOW = "below"
    """The value is a number, and smaller."""


class _Missing(enum.Enum):
    """Not the same as ``None``, which a reading may hold."""

    MISSING = enum.auto()


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of one value of the readings."""

    key: str
    """Dotted path into nested readings; keys that contain dots are found too."""
    test: Test = Test.TRUE
    operand: Any = None
    """A text, a number, a bool or ``None``; a number for ``ABOVE`` and ``BELOW``."""

    def holds(self, readings: Mapping[str, Any]) -> bool:
        """Whether the test holds; never raises on readings of JSON's types.

        If the key is missing, every test except ``NOT_EQUALS`` fails. Only a number can be above or below another: a
        bool or a text never is.
        """
        value = _find(readings, self.key)
        if value is _Missing.MISSING:
            return self.test is Test.NOT_EQUALS
        match self.test:
            case Test.TRUE:
                return bool(value)
            case Test.EQUALS:
                return _same(value, self.operand)
            case Test.NOT_EQUALS:
                return not _same(value, self.operand)
            case Test.ABOVE:
                return _is_number(value) and bool(value > self.operand)
            case Test.BELOW:
                return _is_number(value) and bool(value < self.operand)


def _find(readings: Mapping[str, Any], key: str) -> Any:
    """Return the value at a dotted path. The whole path is tried as one key first, then the shortest first key."""
    if key in readings:
        return readings[key]
    dot = key.find(".")
    while dot != -1:
        below = readings.get(key[:dot])
        if isinstance(below, Mapping):
            value = _find(below, key[dot + 1 :])
            if value is not _Missing.MISSING:
                return value
        dot = key.find(".", dot + 1)
    return _Missing.MISSING


def _same(value: Any, operand: Any) -> bool:
    # In Python True == 1; in the JSON that a user writes they are different things.
    if isinstance(value, bool) or isinstance(operand, bool):
        return value is operand
    return bool(value == operand)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
