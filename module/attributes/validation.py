"""Classes whose annotations say what an object of the attributes may contain, and the check of objects against them.

This file has the few parts of pydantic that the attributes need, with the same names. pydantic itself takes 9 MB of
memory on every robot, and a fifth of the time of a start.

- An annotation is ``Annotated[type, check]`` (a ``Check`` accepts the value), another ``Model``, ``tuple[…, ...]`` of
  either, or one of these ``| None``. If an attribute is left out, it has the default.
- ``field_validator`` gets a value that its check has accepted, and the earlier attributes that were valid.
- All refusals are collected, in the order of the fields. Texts for users are made elsewhere.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Protocol, Self, TypeVar

_NONE: Any = object()
"""Means that there is no default."""
M = TypeVar("M", bound="Model")
Loc = tuple[str | int, ...]
Reader = Callable[["_Reading", Loc, Any], Any]
"""Returns the value to keep; raises ``Refused``, or ``_Gathered`` if it has noted its refusals itself."""


class Check(Protocol):
    """The check in an annotation."""

    @property
    def sentence(self) -> str:
        """The allowed values, in words."""

    def check(self, value: Any) -> Any:
        """Return the value to keep. Raises Refused."""


@dataclass(frozen=True, slots=True)
class BeforeValidator:
    """In an annotation: changes the value before it is checked."""

    change: Callable[[Any], Any]


class Refused(Exception):
    """Raised by a check or a validator; has the allowed values, and perhaps the one that was meant."""

    def __init__(
        self,
        allowed: str,
        meant: str | None = None,
        kind: Literal["refused", "absent"] = "refused",
    ) -> None:
        super().__init__(allowed)
        self.allowed, self.meant, self.kind = allowed, meant, kind


class _Gathered(Exception):
    """Raised after the refusals have been noted."""


class Refusal(NamedTuple):
    """One refusal."""

    loc: Loc
    kind: Literal["refused", "absent", "missing", "unknown"]
    """``missing``: a required attribute; ``absent``: one that others require; ``unknown``: it does not exist."""
    given: Any
    allowed: str | None = None
    meant: str | None = None


class ValidationError(Exception):
    """All refusals of an object. Its text shows nothing of the object."""

    def __init__(self, refusals: list[Refusal]) -> None:
        super().__init__(f"{len(refusals)} refusals")
        self.refusals = refusals


@dataclass(frozen=True, slots=True)
class ValidationInfo:
    """What a validator knows besides the value."""

    data: Mapping[str, Any]
    """The earlier attributes that were valid."""
    context: Any
    field_name: str


class _Kind(NamedTuple):
    """The parts of an annotation; see ``Field``."""

    read: Reader
    check: Check | None = None
    model: type[Model] | None = None


@dataclass(slots=True)
class Field:
    """An attribute of a class."""

    default: Any
    default_from: Callable[[Mapping[str, Any]], Any] | None
    validate_default: bool
    read: Reader
    check: Check | None
    """The check of a value that is neither an object nor a list."""
    model: type[Model] | None
    """The class of the object, or of the objects in the list."""

    def is_required(self) -> bool:
        """Return whether the attribute is required."""
        return self.default is _NONE and self.default_from is None


@dataclass(frozen=True, slots=True)
class _Attribute:
    default: Any
    default_from: Callable[[Mapping[str, Any]], Any] | None = None
    validate_default: bool = False


def attribute(
    *,
    default: Any = _NONE,
    default_from: Callable[[Mapping[str, Any]], Any] | None = None,
    validate_default: bool = False,
) -> Any:
    """Return the default of a field, if a plain value is not enough.

    ``default_from`` makes the default from the earlier attributes that were valid; it raises KeyError if one that it
    needs was not. With ``validate_default`` the default is checked too.
    """
    return _Attribute(default, default_from, validate_default)


Validator = Callable[[Any, Any, ValidationInfo], Any]


class Validators(NamedTuple):
    """Replaces a method of a class until the class is complete."""

    names: tuple[str, ...]
    mode: Literal["before", "after"]
    method: Any


def field_validator(*names: str, mode: Literal["before", "after"] = "after") -> Callable[[Any], Any]:
    """Make a class method the validator of attributes: it returns the value to keep, or raises Refused."""
    return lambda method: Validators(names, mode, method.__func__)


class Model:
    """Immutable; equal to another with the same attributes."""

    model_fields: ClassVar[dict[str, Field]] = {}
    model_validators: ClassVar[tuple[Validators, ...]] = ()
    model_fields_set: frozenset[str]
    """The attributes that were set."""

    def __init_subclass__(cls) -> None:
        own = cls.__dict__
        found = [each for each in own.values() if isinstance(each, Validators)]
        cls.model_validators = (*cls.model_validators, *found)
        cls.model_fields = dict(cls.model_fields)
        for name, annotation in inspect.get_annotations(cls, eval_str=True).items():
            origin: Any = typing.get_origin(annotation)
            if not name.startswith("_") and origin is not ClassVar:
                given = own.get(name, _NONE)
                said = given if isinstance(given, _Attribute) else _Attribute(given)
                kind = _kind_of(annotation)
                cls.model_fields[name] = Field(said.default, said.default_from, said.validate_default, *kind)

    def __init__(self, /, **attributes: Any) -> None:
        """Make an object of these attributes. Raises ValidationError."""
        self.__dict__.update(self.model_validate(attributes).__dict__)

    @classmethod
    def model_validate(cls, attributes: Any, *, context: Any = None) -> Self:
        """Return an object of these attributes; validators get ``context``. Raises ValidationError."""
        reading = _Reading(context)
        try:
            found: Self = reading.model(cls, (), attributes)
        except Refused as refused:
            reading.refuse((), attributes, refused)
        except _Gathered:
            pass
        reading.end()
        return found

    @classmethod
    def model_construct(cls, **attributes: Any) -> Self:
        """Return an object of these attributes and the defaults, without a check."""
        defaults = {name: None if each.default is _NONE else each.default for name, each in cls.model_fields.items()}
        return _made(cls, {**defaults, **attributes}, frozenset(attributes))

    def model_copy(self, update: Mapping[str, Any]) -> Self:
        """Return a copy with some attributes replaced, without a check."""
        return _made(type(self), {**self.__dict__, **update}, self.model_fields_set | set(update))

    def model_dump(self, *, exclude_unset: bool = False) -> dict[str, Any]:
        """Return all attributes, or only those that were set; objects within become dicts too."""
        names = [name for name in self.model_fields if not exclude_unset or name in self.model_fields_set]
        return {name: _dumped(getattr(self, name), exclude_unset) for name in names}

    @classmethod
    def prepared(cls, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the attributes to check; a subclass may change them."""
        return attributes

    def complete(self, context: Any) -> None:
        """Compute fields whose names begin with ``_``, once all attributes are valid."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")
        super().__setattr__(name, value)

    def _compared(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "model_fields_set"}

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Model) and self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash((type(self), *self._compared().values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.model_fields)})"


def _made(model: type[M], values: Mapping[str, Any], given: frozenset[str]) -> M:
    made = model.__new__(model)
    made.__dict__.update(values, model_fields_set=given)
    return made


class SecretStr:
    """A text that is shown only by ``get_secret_value``."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def get_secret_value(self) -> str:
        """Return the text."""
        return self._secret

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretStr) and other._secret == self._secret

    def __hash__(self) -> int:
        return hash(self._secret)

    def __repr__(self) -> str:
        return "**********" if self._secret else "''"


class _Reading:
    """Reads one object, and collects its refusals."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._refusals: list[Refusal] = []

    def end(self) -> None:
        """Raise ValidationError if anything was refused."""
        if self._refusals:
            raise ValidationError(self._refusals)

    def refuse(self, loc: Loc, given: Any, refused: Refused) -> None:
        """Note a refusal."""
        self._refusals.append(Refusal(loc, refused.kind, given, refused.allowed, refused.meant))

    def model(self, model: type[M], loc: Loc, given: Any) -> M:
        """Read an object. Raises Refused if it is none, and _Gathered if a part of it was refused."""
        if isinstance(given, model):
            return given
        if not isinstance(given, Mapping):
            raise Refused("an object")
        attributes, before = model.prepared(given), len(self._refusals)
        values = self._right(model, loc, attributes)
        if len(self._refusals) > before:
            raise _Gathered
        made = _made(model, values, frozenset(attributes))
        made.complete(self._context)
        return made

    def _right(self, model: type[Model], loc: Loc, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the attributes that are valid, and note the refusals of the others."""
        right: dict[str, Any] = {}
        for name, field in model.model_fields.items():
            at = (*loc, name)
            if name in attributes:
                value = attributes[name]
            elif field.is_required():
                self._refusals.append(Refusal(at, "missing", attributes))
                continue
            else:
                try:
                    value = field.default if field.default_from is None else field.default_from(right)
                except KeyError:
                    continue
                if not field.validate_default:
                    right[name] = value
                    continue
            try:
                right[name] = self._value(model, name, at, value, right)
            except Refused as refused:
                self.refuse(at, value, refused)
            except _Gathered:
                pass
        unknown = [name for name in attributes if name not in model.model_fields]
        self._refusals += [Refusal((*loc, name), "unknown", attributes[name]) for name in unknown]
        return right

    def _value(self, model: type[Model], name: str, loc: Loc, value: Any, right: dict[str, Any]) -> Any:
        info = ValidationInfo(right, self._context, name)
        for method in _methods(model, name, "before"):
            value = method(model, value, info)
        value = model.model_fields[name].read(self, loc, value)
        for method in _methods(model, name, "after"):
            value = method(model, value, info)
        return value

    def items(self, read: Reader, loc: Loc, given: Any) -> tuple[Any, ...]:
        """Read a list. Raises Refused if it is none, and _Gathered if a part of it was refused."""
        if not isinstance(given, (list, tuple)):
            raise Refused("a list")
        kept = []
        for index, item in enumerate(given):
            try:
                kept.append(read(self, (*loc, index), item))
            except Refused as refused:
                self.refuse((*loc, index), item, refused)
            except _Gathered:
                pass
        if len(kept) < len(given):
            raise _Gathered
        return tuple(kept)


def _methods(model: type[Model], name: str, mode: str) -> Iterator[Validator]:
    return (each.method for each in model.model_validators if each.mode == mode and name in each.names)


def _kind_of(annotation: Any) -> _Kind:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        (other,) = [each for each in arguments if each is not types.NoneType]
        kind = _kind_of(other)
        return kind._replace(read=_or_none(kind.read))
    if origin is Annotated:
        return _annotated(*arguments)
    if origin is tuple:
        kind = _kind_of(arguments[0])
        return _Kind(lambda reading, loc, given: reading.items(kind.read, loc, given), model=kind.model)
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return _Kind(lambda reading, loc, given: reading.model(annotation, loc, given), model=annotation)
    raise TypeError(f"{annotation} does not say how an attribute is checked")


def _annotated(annotation: Any, mark: Any) -> _Kind:
    if isinstance(mark, BeforeValidator):
        kind = _kind_of(annotation)
        return kind._replace(read=lambda reading, loc, given: kind.read(reading, loc, mark.change(given)))
    check: Check = mark
    return _Kind(lambda _reading, _loc, given: check.check(given), check)


def _or_none(read: Reader) -> Reader:
    return lambda reading, loc, given: None if given is None else read(reading, loc, given)


def _dumped(value: Any, exclude_unset: bool) -> Any:
    if isinstance(value, Model):
        return value.model_dump(exclude_unset=exclude_unset)
    return tuple(_dumped(each, exclude_unset) for each in value) if isinstance(value, tuple) else value
