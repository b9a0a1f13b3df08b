"""The attributes of a gate, and the condition on a sensor's readings that ``upload.only_when`` has too."""

from __future__ import annotations

import enum
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from module.attributes import allowed
from module.attributes.allowed import absent, choice, number, refused, text
from module.attributes.condition import Condition, Test
from module.attributes.part import BYTES, KEY, NAME, NOT_NEGATIVE, Part


class Unset(enum.Enum):
    """The value of an operand that was left out; null is a value."""

    UNSET = enum.auto()


class Conditional(Part):
    """A sensor, and a condition on its readings; the condition's attributes are in the same object."""

    null_is_a_value = frozenset({"equals", "not_equals"})

    sensor: Annotated[str, NAME] | None = None
    key: Annotated[str, KEY] | None = Field(default=None, validate_default=True)
    equals: Annotated[Any, allowed.OPERAND] = Unset.UNSET
    not_equals: Annotated[Any, allowed.OPERAND] = Unset.UNSET
    above: Annotated[float, number()] | None = None
    below: Annotated[float, number()] | None = None

    @field_validator("key")
    @classmethod
    def _key_belongs_to_sensor(cls, key: str | None, info: ValidationInfo) -> str | None:
        if "sensor" in info.data and info.data["sensor"] is None and key is not None:
            raise refused("a key only beside a sensor")
        if info.data.get("sensor") is not None and key is None:
            raise absent(KEY.sentence)
        return key

    @field_validator("equals", "not_equals", "above", "below")
    @classmethod
    def _one_test_of_a_sensor(cls, operand: Any, info: ValidationInfo) -> Any:
        if operand is None and info.field_name in ("above", "below"):
            return operand
        if "sensor" in info.data and info.data["sensor"] is None:
            raise refused(f"{info.field_name} only beside a sensor")
        if any(info.data.get(other, unset) is not unset for other, unset in _TESTS.items()):
            raise refused(f"at most one of {', '.join(_TESTS)}")
        return operand

    @property
    def condition(self) -> Condition | None:
        """The condition on the sensor's readings; None without a sensor."""
        if self.sensor is None or self.key is None:
            return None
        for test, unset in _TESTS.items():
            if (operand := getattr(self, test)) is not unset:
                return Condition(self.key, Test(test), operand)
        return Condition(self.key)


_TESTS = {"equals": Unset.UNSET, "not_equals": Unset.UNSET, "above": None, "below": None}
"""The tests of a condition, each with its value if it is left out."""


class Find(enum.StrEnum):
    """What a gate asks a vision service for."""

    DETECTIONS = "detections"
    """Boxes with labels."""

    CLASSIFICATIONS = "classifications"
    """Labels of the whole image."""


class GateConfig(Conditional):
    """What opens a source's gate: a sensor, a vision service, or only a command."""

    poll_hz: Annotated[float, number(above=0, at_most=1000)] = 1
    before_s: Annotated[float, NOT_NEGATIVE] = 0
    after_s: Annotated[float, NOT_NEGATIVE] = 0
    max_buffer_bytes: Annotated[int, BYTES] = 64 * 1024**2
    vision: Annotated[str, NAME] | None = None
    camera: Annotated[str, NAME] | None = None
    find: Annotated[Find, choice(Find)] = Find.DETECTIONS
    label: Annotated[str, text('a label, or "*" for any')] = "*"
    min_confidence: Annotated[float, number(at_least=0, at_most=1)] = 0.5

    @field_validator("vision")
    @classmethod
    def _sensor_or_vision(cls, vision: str | None, info: ValidationInfo) -> str | None:
        if vision is not None and info.data.get("sensor") is not None:
            raise refused("either a sensor or a vision service")
        return vision

    @field_validator("camera", "find", "label", "min_confidence")
    @classmethod
    def _belongs_to_vision(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and "vision" in info.data and info.data["vision"] is None:
            raise refused(f"{info.field_name} only beside a vision service")
        return value
