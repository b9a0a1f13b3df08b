"""The base of all objects of the attributes: the frozen ``Part``, and kinds of values that many of them have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo, model_validator

from module.attributes import allowed
from module.attributes.allowed import number, text

_ONE_PATH_PART = r"[^/:\s](?:[^/:]*[^/:\s])?"
NAME = text("a resource's name", rf"{_ONE_PATH_PART}(?::{_ONE_PATH_PART})*")
TEXT = text()
COMMENT = text("a text", r"(?s).*")
"""For people, because JSON has no comments."""
KEY = text("a dotted path into the sensor's readings")
PRIORITY = number(at_least=0, at_most=9, whole=True)
NOT_NEGATIVE = number(at_least=0)
POSITIVE = number(above=0)
BYTES = allowed.size(at_least=1)

Flag = Annotated[bool, allowed.FLAG]
Texts = Annotated[tuple[Annotated[str, TEXT], ...], BeforeValidator(allowed.one_or_list)]
Windows = Annotated[tuple[Annotated[str, allowed.WINDOW], ...], BeforeValidator(allowed.one_or_list)]


@dataclass
class Context:
    """What validators know besides the attributes; the sets collect values that must not come twice."""

    service: str
    environ: Mapping[str, str]
    uploads_disabled: bool
    ids: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)


def context_of(info: ValidationInfo) -> Context:
    """Return the context that ``parse`` passed to the validators."""
    return cast("Context", info.context)


class Part(BaseModel):
    """An object of the attributes: immutable; unknown attributes are refused; null means left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    null_is_a_value: ClassVar[frozenset[str]] = frozenset()
    """The attributes for which null is a value."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nulls(cls, attributes: Any) -> Any:
        if not isinstance(attributes, Mapping):
            return attributes
        return {key: value for key, value in attributes.items() if value is not None or key in cls.null_is_a_value}
