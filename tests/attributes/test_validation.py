"""What the attributes' classes stand on, where no attribute shows it."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from module.attributes.allowed import number, text
from module.attributes.validation import Model, ValidationError, ValidationInfo, attribute, field_validator


class Inner(Model):
    """An object within another."""

    size: Annotated[int, number(at_least=1, whole=True)] = 1


class Outer(Model):
    """An object with a default of each kind."""

    name: Annotated[str, text()]
    twice: Annotated[str, text()] = attribute(default_from=lambda data: data["name"] * 2)
    inner: tuple[Inner, ...] = ()
    last: Annotated[str, text()] | None = None

    @field_validator("last")
    @classmethod
    def _sees_what_was_right(cls, _last: str, info: ValidationInfo) -> str:
        return ",".join(info.data)


def refusals(attributes: Any) -> list[tuple[Any, str]]:
    with pytest.raises(ValidationError) as error:
        Outer.model_validate(attributes)
    return [(refusal.loc, refusal.kind) for refusal in error.value.refusals]


def test_a_validator_sees_only_the_earlier_attributes_that_were_right() -> None:
    assert Outer.model_validate({"name": "a", "last": "x"}).last == "name,twice,inner"


def test_every_refusal_comes_at_once_in_the_order_of_the_class_and_what_is_unknown_last() -> None:
    assert refusals({"x": 1, "last": 3, "inner": [{"size": 0}, {}, 5]}) == [
        (("name",), "missing"),
        (("inner", 0, "size"), "refused"),
        (("inner", 2), "refused"),
        (("last",), "refused"),
        (("x",), "unknown"),
    ]


def test_a_default_made_from_a_refused_attribute_is_not_refused_again() -> None:
    assert refusals({"name": ""}) == [(("name",), "refused")]
    assert Outer.model_validate({"name": "a"}).twice == "aa"


def test_objects_are_compared_by_their_attributes_and_not_by_what_was_given() -> None:
    given, left_out = Outer.model_validate({"name": "a", "twice": "aa"}), Outer.model_validate({"name": "a"})
    assert (given == left_out, hash(given) == hash(left_out)) == (True, True)
    assert given.model_dump(exclude_unset=True) == {"name": "a", "twice": "aa"}
    assert left_out.model_dump(exclude_unset=True) == {"name": "a"}
    assert given != left_out.model_copy({"name": "b"})


def test_an_annotation_that_checks_nothing_is_an_error_of_the_class() -> None:
    with pytest.raises(TypeError, match="does not say how an attribute is checked"):

        class _Unchecked(Model):
            size: int
