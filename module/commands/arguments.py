"""The arguments of commands: how each kind is read, and what is said when it cannot be.

Numbers arrive as floats, whatever the caller wrote. Everything raises CommandError, which names the path, what was
given, and what is allowed.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from module.attributes.allowed import shown
from module.errors import CommandError

_MOST_SHOWN = 80
_MOST_LIST_BYTES = 64 * 1024
"""Of a list of texts, or an object: they travel with every upload, whose message may have four megabytes."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIMES_S = (-62_135_596_800, 253_402_300_799)
"""From the year 1 to the end of 9999: what a protobuf ``Timestamp`` holds."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: how it is read, and what it is when it is left out."""

    name: str
    read: Callable[[str, Any], Any]
    default: Any
    allowed: str
    """What ``help`` says of it."""


def read_all(verb: str, arguments: Sequence[Argument], command: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a command by name, defaults filled in; null counts as left out."""
    known = {argument.name: argument for argument in arguments}
    for name in command:
        if name != "command" and name not in known:
            # To look for a name's neighbours takes a time that grows with the square of its length.
            near = difflib.get_close_matches(name, known, 1) if len(name) <= _MOST_SHOWN else []
            hint = f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(known) or 'none'}"
            given = name if len(name) <= _MOST_SHOWN else f"{name[: _MOST_SHOWN - 1]}…"
            raise CommandError(f"{verb}: no such argument as {given!r}; {hint}")
    return {
        name: argument.default if command.get(name) is None else argument.read(f"{verb}.{name}", command[name])
        for name, argument in known.items()
    }


def refuse(path: str, value: Any, allowed: str) -> CommandError:
    """The error for a bad argument."""
    given = "nothing" if value is None else shown(value)
    return CommandError(f"{path}: {given} given; allowed is {allowed}")


def text(path: str, value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise refuse(path, value, "a text that is not empty")
    return value


def text_of(most_bytes: int) -> Callable[[str, Any], str]:
    """A reader of texts that are neither empty nor longer than so many bytes of UTF-8."""

    def read(path: str, value: Any) -> str:
        if len(text(path, value).encode()) > most_bytes:
            raise refuse(path, value, f"a text of at most {most_bytes} bytes")
        return str(value)

    return read


def text_or_empty(most_bytes: int) -> Callable[[str, Any], str]:
    """A reader of texts of at most so many bytes of UTF-8, the empty one too."""

    def read(path: str, value: Any) -> str:
        if not isinstance(value, str) or len(value.encode()) > most_bytes:
            raise refuse(path, value, f"a text of at most {most_bytes} bytes")
        return value

    return read


def mapping(path: str, value: Any) -> str:
    """An object, as one line of JSON with sorted keys; empty for one that holds nothing."""
    if not isinstance(value, Mapping):
        raise refuse(path, value, "an object")
    line = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) if value else ""
    if len(line.encode()) > _MOST_LIST_BYTES:
        raise refuse(path, value, f"an object of at most {_MOST_LIST_BYTES} bytes")
    return line


def moment(path: str, value: Any) -> int:
    """A time in microseconds since the epoch, from RFC 3339 text (UTC without a zone) or seconds since the epoch."""
    try:
        if isinstance(value, str):
            read = datetime.fromisoformat(value)
            return ((read if read.tzinfo else read.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND
        seconds = number(*_TIMES_S)(path, value)
    except (ValueError, OverflowError, CommandError):
        raise refuse(path, value, "a time as RFC 3339 has it, or in seconds since the epoch") from None
    return round(seconds * 1e6)


def pairs(path: str, value: Any) -> list[tuple[int, int]]:
    """A list of pairs of times (requested, received), each as ``moment`` reads it; one pair may come bare."""
    allowed = "a pair of times [requested, received], or a list of such pairs"
    if not _is_list(value) or not value:
        raise refuse(path, value, allowed)
    if not any(map(_is_list, value)):
        return [_pair(path, value, allowed)]
    return [_pair(f"{path}[{index}]", pair, allowed) for index, pair in enumerate(value)]


def _pair(path: str, value: Any, allowed: str) -> tuple[int, int]:
    if not _is_list(value) or len(value) != 2:  # noqa: PLR2004, it is a pair
        raise refuse(path, value, allowed)
    return moment(f"{path}[0]", value[0]), moment(f"{path}[1]", value[1])


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def objects(most: int) -> Callable[[str, Any], Sequence[Mapping[str, Any]]]:
    """A reader of lists of at most so many objects, and of one at least."""

    def read(path: str, value: Any) -> Sequence[Mapping[str, Any]]:
        if not _is_list(value) or not 1 <= len(value) <= most:
            given = f"a list of {len(value)}" if _is_list(value) else shown(value)
            raise CommandError(f"{path}: {given} given; allowed is a list of 1 to {most} objects")
        for index, item in enumerate(value):
            if not isinstance(item, Mapping):
                raise refuse(f"{path}[{index}]", item, "an object")
        return list(value)

    return read


def texts(path: str, value: Any) -> tuple[str, ...]:
    """A list of texts, none of them empty, of at most 64 KiB together."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(v, str) and v for v in value):
        raise refuse(path, value, "a list of texts, none of them empty")
    if sum(len(v.encode()) for v in value) > _MOST_LIST_BYTES:
        raise refuse(path, value, f"a list of texts, none of them empty, of at most {_MOST_LIST_BYTES} bytes together")
    return tuple(value)


def number(low: float, high: float) -> Callable[[str, Any], float]:
    """A reader of numbers within bounds, both included."""

    def read(path: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise refuse(path, value, f"a number from {low:g} to {high:g}")
        return float(value)

    return read


def whole(low: int, high: int) -> Callable[[str, Any], int]:
    """A reader of whole numbers within bounds, both included; 5.0 is one."""

    def read(path: str, value: Any) -> int:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value != int(value) or not low <= value <= high:
            raise refuse(path, value, f"a whole number from {low} to {high}")
        return int(value)

    return read


def choice(*choices: str) -> Callable[[str, Any], str]:
    """A reader of one of a few words."""

    def read(path: str, value: Any) -> str:
        if value not in choices:
            raise refuse(path, value, f"one of {', '.join(choices)}")
        return str(value)

    return read


def ids(path: str, value: Any) -> list[int]:
    """A list of ids of failures."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise refuse(path, value, "a list of ids, as failures lists them")
    return [whole(1, 2**53)(f"{path}[{index}]", item) for index, item in enumerate(value)]
