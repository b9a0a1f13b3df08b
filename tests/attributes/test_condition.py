"""What a condition makes of readings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from module.attributes import condition
from module.attributes.condition import Condition

T = condition.Test


@pytest.mark.parametrize(
    ("test", "operand", "value", "expected"),
    [
        (T.TRUE, None, True, True),
        (T.TRUE, None, 1, True),
        (T.TRUE, None, "on", True),
        (T.TRUE, None, False, False),
        (T.TRUE, None, 0, False),
        (T.TRUE, None, "", False),
        (T.TRUE, None, None, False),
        (T.EQUALS, 5, 5.0, True),
        (T.EQUALS, 5, 6, False),
        (T.EQUALS, "open", "open", True),
        (T.EQUALS, "5", 5, False),
        (T.EQUALS, None, None, True),
        (T.EQUALS, False, None, False),
        (T.EQUALS, True, True, True),
        (T.EQUALS, True, 1, False),
        (T.EQUALS, 0, False, False),
        (T.NOT_EQUALS, 5, 5.0, False),
        (T.NOT_EQUALS, 5, 6, True),
        (T.NOT_EQUALS, 1, True, True),
        (T.NOT_EQUALS, 1, math.nan, True),
        (T.ABOVE, 5, 5.1, True),
        (T.ABOVE, 5, 5, False),
        (T.ABOVE, 5, "6", False),
        (T.ABOVE, 0, True, False),
        (T.ABOVE, 5, None, False),
        (T.ABOVE, 5, math.nan, False),
        (T.ABOVE, 5, math.inf, True),
        (T.ABOVE, 5, np.float32(6), True),
        (T.ABOVE, 5, np.int64(6), True),
        (T.BELOW, 5, 4.9, True),
        (T.BELOW, 5, 5, False),
        (T.BELOW, 5, [1], False),
        (T.BELOW, 1, False, False),
        (T.BELOW, 5, math.nan, False),
    ],
)
def test_a_value_is_held_against_the_operand(test: condition.Test, operand: Any, value: Any, expected: bool) -> None:
    """Bools are no numbers, texts are no numbers, and NaN is neither above nor below."""
    assert Condition("k", test, operand).holds({"k": value}) is expected


@pytest.mark.parametrize("test", list(T))
def test_a_missing_key_only_satisfies_not_equals(test: condition.Test) -> None:
    """The same holds where the path breaks off at a value that holds nothing."""
    for readings in ({}, {"other": 1}, {"a": 5}, {"a": {"c": 1}}, {"a": None}):
        assert Condition("a.b", test, 1).holds(readings) is (test is T.NOT_EQUALS)


@pytest.mark.parametrize(
    "readings",
    [
        {"a": {"b": {"c": 7}}},
        {"a.b.c": 7},
        {"a.b": {"c": 7}},
        {"a": {"b.c": 7}},
        {"a": 1, "a.b": {"c": 7}},
        {"a": {"b": 1}, "a.b": {"c": 7}},
        {"a.b.c": 7, "a": {"b": {"c": 1}}},
    ],
)
def test_a_dotted_path_is_found_however_it_is_nested(readings: dict[str, Any]) -> None:
    """Keys may hold dots themselves; the whole path as one key goes first."""
    assert Condition("a.b.c", T.EQUALS, 7).holds(readings)


def test_null_under_the_key_is_a_value() -> None:
    assert not Condition("k", T.NOT_EQUALS, None).holds({"k": None})
    assert Condition("k", T.NOT_EQUALS, None).holds({})


def test_equal_conditions_are_one_in_a_set() -> None:
    assert len({Condition("k", T.ABOVE, 5), Condition("k", T.ABOVE, 5.0), Condition("k")}) == 2
