"""The allowed values of an attribute: a check, and the sentence that a refusal says. Also the text of all refusals.

One function makes both the sentence and the check, so that they always agree. The validating library collects the
refusals with their paths; its own sentences are never shown.
"""

from __future__ import annotations

import difflib
import enum
import json
import math
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, GetCoreSchemaHandler, SecretStr, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from module.attributes.timetable import BadTimeText, check_cron, parse_timezone, parse_windows

_LONGEST = 80
_HIDDEN = "…"
_SIZE = re.compile(r"(?P<number>\d{1,20}(?:\.\d{1,20})?)\s*(?P<prefix>[kKMGT]?)(?P<binary>(?<=\w)i)?B", re.ASCII)
_PREFIXES = ("", "k", "m", "g", "t")
_OTHERS_WORDS = {
    **dict.fromkeys(("component", "component_name", "resource", "resource_name", "sensor", "camera"), ("name",)),
    **dict.fromkeys(
        ("schedule", "frequency", "rate", "hz", "period", "interval", "every"),
        ("capture_frequency_hz", "interval_s", "cron"),
    ),
}
"""Names that other programs have for an attribute, if they are not similar to ours."""
_SECRET = re.compile(r"key|secret|token|passw|credential|proxy", re.IGNORECASE)
_ADDRESS = ("cloud", "address")
_FOLLOWS_FROM_ANOTHER = "default_factory_not_called"
_STRUCTURES = {
    "model_type": "an object",
    "dict_type": "an object",
    "tuple_type": "a list",
}


@dataclass(frozen=True, slots=True)
class Allowed:
    """An annotation of a field: a sentence that says which values are allowed, and the check of it."""

    sentence: str
    accept: Callable[[Any], Any]
    """Returns the value to keep; raises ValueError or TypeError if the sentence does not allow the value."""
    names: tuple[str, ...] = ()
    """The allowed values, if the field takes only one of a few names."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Stand in for the library's own validation of the field."""
        return core_schema.no_info_plain_validator_function(self._validate)

    def _validate(self, value: Any) -> Any:
        try:
            return self.accept(value)
        except BadTimeText as error:
            raise refused(error.allowed) from None
        except (ValueError, TypeError, OverflowError):
            raise refused(self.sentence, nearest(value, self.names)) from None


def refused(allowed: str, meant: str | None = None) -> PydanticCustomError:
    """Return the error that refuses a value; ``meant``: the value that its author may have meant."""
    return PydanticCustomError("refused", "{allowed}", {"allowed": allowed, "meant": meant})


def nearest(given: Any, names: Sequence[str]) -> str | None:
    """Return the name that is most similar to a text, in any case; None: no name is similar, or it is no text."""
    if not isinstance(given, str) or len(given) > _LONGEST:
        return None
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(given.lower(), by_lower, n=1)
    return by_lower[near[0]] if near else None


def absent(allowed: str) -> PydanticCustomError:
    """Return the error for a value that is missing."""
    return PydanticCustomError("absent", "{allowed}", {"allowed": allowed})


def number(
    *, above: float = -math.inf, at_least: float = -math.inf, at_most: float = math.inf, whole: bool = False
) -> Allowed:
    """Allow finite numbers within the bounds. A whole number may be written as 5.0; a bool is no number."""

    def accept(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError
        kept = float(value)
        within = math.isfinite(kept) and kept > above and at_least <= kept <= at_most
        if not within or (whole and not kept.is_integer()):
            raise ValueError
        return int(value) if whole else kept

    if math.isfinite(at_least) and math.isfinite(at_most):
        bounds = f" from {shown(at_least)} to {shown(at_most)}"
    elif math.isfinite(at_least):
        bounds = f" of at least {shown(at_least)}"
    elif math.isfinite(above):
        bounds = f" above {shown(above)}" + (f" and at most {shown(at_most)}" if math.isfinite(at_most) else "")
    else:
        bounds = ""
    return Allowed(("a whole number" if whole else "a number") + bounds, accept)


def size(*, at_least: int, at_most: int = 2**53, example: str = "512 MiB") -> Allowed:
    """Allow whole numbers of bytes, and texts with a unit: 10 GB, 512 MiB; also 100 kB/s if the example has a "/s"."""
    of_number = number(at_least=at_least, at_most=at_most, whole=True)
    ending = "/s" if example.endswith("/s") else ""

    def accept(value: Any) -> Any:
        if not isinstance(value, str):
            return of_number.accept(value)
        found = _SIZE.fullmatch(value.strip().removesuffix(ending))
        if found is None:
            raise ValueError
        unit = (1024 if found["binary"] else 1000) ** _PREFIXES.index(found["prefix"].lower())
        return of_number.accept(round(float(found["number"]) * unit))

    return Allowed(f'{of_number.sentence}, or a text such as "{example}"', accept)


def text(sentence: str = "a non-empty text", pattern: str = r"(?s).*\S.*") -> Allowed:
    """Allow texts that match the pattern as a whole."""

    def accept(value: Any) -> str:
        if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
            raise ValueError
        return value

    return Allowed(sentence, accept)


def choice(of: type[enum.StrEnum]) -> Allowed:
    """Allow the values of an enum, and keep its member."""
    return Allowed(one_of(list(of)), of, tuple(of))


def one_or_list(value: Any) -> Any:
    """Return a list of texts; a single text becomes a list."""
    return [value] if isinstance(value, str) else value


def one_of(names: Sequence[str]) -> str:
    """Return "a, b or c"."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else str(last)


def _accept_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _accept_directory(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError
    path = PurePosixPath("/" + value.lstrip("/"))
    # Where a link stands before it, ".." leads elsewhere than its spelling says; nobody needs it in a config.
    if ".." in path.parts:
        raise ValueError
    return str(path)


def _accept_operand(value: Any) -> str | float | bool | None:
    if value is not None and not isinstance(value, (str, int, float, bool)):
        raise TypeError
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    return value


def _accept_deadband(value: Any) -> float | dict[str, float]:
    distance = number(at_least=0).accept
    if isinstance(value, Mapping):
        return {text().accept(key): distance(each) for key, each in value.items() if each is not None}
    kept: float = distance(value)
    return kept


def _accept_crop(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)):
        raise TypeError
    x, y, width, height = value
    corner, size = number(at_least=0, whole=True).accept, number(at_least=1, whole=True).accept
    return (corner(x), corner(y), size(width), size(height))


def _accept_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise TypeError
    return dict(value)


def _accept_secret(value: Any) -> SecretStr:
    if isinstance(value, SecretStr):
        return value
    if not isinstance(value, str):
        raise TypeError
    return SecretStr(value)


def _accept_proxy(value: Any) -> SecretStr:
    given: str = _accept_secret(value).get_secret_value()
    parts = urlsplit(given)
    # Reading the port checks it.
    if parts.scheme not in ("socks5", "socks5h", "http", "https") or not parts.hostname or not parts.port:
        raise ValueError
    if parts.path.strip("/") or parts.query or parts.fragment or re.search(r"\s", given):
        raise ValueError
    return SecretStr(given)


def _accept_cron(value: Any) -> str:
    kept: str = text().accept(value)
    # Only the fields: the zone is an attribute of its own, with a refusal of its own.
    check_cron(kept, "UTC")
    return kept


def _accept_timezone(value: Any) -> str:
    return parse_timezone(text().accept(value)).key


def _accept_window(value: Any) -> str:
    kept: str = text().accept(value)
    parse_windows([kept])
    return kept


FLAG = Allowed("true or false", _accept_flag)
DIRECTORY = Allowed('an absolute path without ".."', _accept_directory)
OPERAND = Allowed("a text, a number, true, false or null", _accept_operand)
DEADBAND = Allowed("a number of at least 0, or an object of key paths and such numbers", _accept_deadband)
CROP = Allowed("[x, y, width, height] in whole pixels, width and height at least 1", _accept_crop)
OBJECT = Allowed("an object", _accept_object)
SECRET = Allowed("a text", _accept_secret)
PROXY = Allowed("socks5://, socks5h://, http:// or https:// and [user:password@]host:port", _accept_proxy)
CRON = Allowed("a cron expression of 5 or 6 fields, e.g. */5 * * * *", _accept_cron)
TIMEZONE = Allowed('an IANA name, e.g. "UTC" or "Europe/Berlin"', _accept_timezone)
WINDOW = Allowed('a window, e.g. "08:00-18:00", "mon-fri 08:00-18:00" or "22:00-02:00"', _accept_window)


def explain(error: ValidationError, root: type[BaseModel]) -> str:
    """Return one sentence for each refusal of a model, in the order of its fields, joined by "; "."""
    refusals = error.errors(include_url=False)
    return "; ".join(
        _sentence(refusal["loc"], refusal["type"], refusal["input"], refusal.get("ctx", {}), root)
        for refusal in refusals
        if refusal["type"] != _FOLLOWS_FROM_ANOTHER
    )


def path_of(loc: Sequence[str | int]) -> str:
    """Return a path as the user would write it: ``sources[2].interval_s``."""
    path = ""
    for step in loc:
        name = step if isinstance(step, str) and re.fullmatch(r"\w{1,80}", step) else shown(step)
        path += f"[{step}]" if isinstance(step, int) else f".{name}" if path else name
    return path or "attributes"


def shown(value: Any) -> str:
    """Return a value as JSON of at most 80 characters; values under names that look like a secret's are left out."""
    dumped = json.dumps(_presentable(value), ensure_ascii=False)
    return dumped if len(dumped) <= _LONGEST else dumped[: _LONGEST - 1] + _HIDDEN


def _presentable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _HIDDEN if _SECRET.search(str(key)) else _presentable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_presentable(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        # Numbers arrive as floats; the user wrote 5, not 5.0.
        return int(value)
    if value is None or isinstance(value, (int, float, str)):
        return value
    return type(value).__name__


def _sentence(
    loc: tuple[str | int, ...], kind: str, given: Any, context: Mapping[str, Any], root: type[BaseModel]
) -> str:
    path = path_of(loc)
    if kind == "extra_forbidden":
        return f"{path}: no such attribute; {_known_instead(str(loc[-1]), _model_at(root, loc[:-1]))}"
    if kind in ("absent", "missing"):
        return f"{path}: not given; allowed is {context.get('allowed') or _sentence_of_field(root, loc)}"
    allowed = context.get("allowed") or _STRUCTURES.get(kind, "what the attribute's documentation says")
    meant = f" (did you mean {context['meant']}?)" if context.get("meant") else ""
    return f"{path}: {_given(loc, given)} given; allowed is {allowed}{meant}"


def _given(loc: tuple[str | int, ...], value: Any) -> str:
    if _is_secret(loc):
        return "a value that is not shown"
    if loc == _ADDRESS and isinstance(value, str):
        # A password may stand before the host, and a token behind it.
        value = re.sub(
            r"[?#].*", _HIDDEN, re.sub(r"^(\w+://)?.*@", rf"\1{_HIDDEN}@", value, flags=re.DOTALL), flags=re.DOTALL
        )
    return shown(value)


def _is_secret(loc: Sequence[str | int]) -> bool:
    # The key of a condition is a name in the readings; and whoever writes `"cloud": "…"` may well have put a key there.
    return loc == ("cloud",) or any(isinstance(step, str) and step != "key" and _SECRET.search(step) for step in loc)


def _known_instead(name: str, model: type[BaseModel]) -> str:
    meant = [field for field in _OTHERS_WORDS.get(name.lower(), ()) if field in model.model_fields]
    near = one_of(meant) if meant else nearest(name, list(model.model_fields))
    return f"did you mean {near}?" if near else f"known are {', '.join(model.model_fields)}"


def _model_at(root: type[BaseModel], loc: Sequence[str | int]) -> type[BaseModel]:
    """Return the model of the object at a path; all entries of a list have one model."""
    model = root
    for name in (step for step in loc if isinstance(step, str)):
        model = _model_within(model.model_fields[name].annotation) or model
    return model


def _model_within(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_within, typing.get_args(annotation))), None)


def _sentence_of_field(root: type[BaseModel], loc: Sequence[str | int]) -> str:
    field = _model_at(root, loc[:-1]).model_fields[str(loc[-1])]
    return next(each.sentence for each in field.metadata if isinstance(each, Allowed))
