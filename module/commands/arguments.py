"""The arguments of commands: how each kind is read, and the error if it is not valid.

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
"""Limit of a list of texts, or of an object: they travel in every upload, and its message may have four megabytes."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIMES_S = (-62_135_596_800, 253_402_300_799)
"""From the year 1 to the end of 9999: what a protobuf ``Timestamp`` holds."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: its reader, and its default."""

    name: str
    read: Callable[[str, Any], Any]
    default: Any
    allowed: str
    """The allowed values, as ``help`` shows them."""


def read_all(verb: str, arguments: Sequence[Argument], command: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a command by name, defaults filled in; null counts as left out."""
    known = {argument.name: argument for argument in arguments}
    for name in command:
        if name != "command" and name not in known:
            # The time to look for similar names grows with the square of the name's length.
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
    """Read a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise refuse(path, value, "a text that is not empty")
    return value


def text_of(most_bytes: int) -> Callable[[str, Any], str]:
    """Return a reader of texts of 1 to ``most_bytes`` bytes of UTF-8."""

    def read(path: str, value: Any) -> str:
        if len(text(path, value).encode()) > most_bytes:
            raise refuse(path, value, f"a text of at most {most_bytes} bytes")
        return str(value)

    return read


def text_or_empty(most_bytes: int) -> Callable[[str, Any], str]:
    """Return a reader of texts of 0 to ``most_bytes`` bytes of UTF-8."""

    def read(path: str, value: Any) -> str:
        if not isinstance(value, str) or len(value.encode()) > most_bytes:
            raise refuse(path, value, f"a text of at most {most_bytes} bytes")
        return value

    return read


def mapping(path: str, value: Any) -> str:
    """Read an object; returns it as one line of JSON with sorted keys, or an empty text if it is empty."""
    if not isinstance(value, Mapping):
        raise refuse(path, value, "an object")
    line = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) if value else ""
    if len(line.encode()) > _MOST_LIST_BYTES:
        raise refuse(path, value, f"an object of at most {_MOST_LIST_BYTES} bytes")
    return line


def moment(path: str, value: Any) -> int:
    """Read RFC 3339 text (UTC without a zone) or seconds since the epoch; returns microseconds since the epoch."""
    try:
        microseconds = _microseconds(value) if isinstance(value, str) else round(number(*_TIMES_S)(path, value) * 1e6)
    except (ValueError, OverflowError, CommandError):
        microseconds = None
    # With its zone a text may come before the year 1, or after 9999.
    if microseconds is None or not _TIMES_S[0] <= microseconds // 10**6 <= _TIMES_S[1]:
        raise refuse(path, value, "a time as RFC 3339 has it, or in seconds since the epoch")
    return microseconds


def _microseconds(text: str) -> int:
    read = datetime.fromisoformat(text)
    return ((read if read.tzinfo else read.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def pairs(path: str, value: Any) -> list[tuple[int, int]]:
    """Read a list of pairs of times (requested, received), each as ``moment`` does; a single pair needs no list."""
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
    """Return a reader of lists of 1 to ``most`` objects."""

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
    """Read a list of texts, none of them empty, of at most 64 KiB together."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(v, str) and v for v in value):
        raise refuse(path, value, "a list of texts, none of them empty")
    if sum(len(v.encode()) for v in value) > _MOST_LIST_BYTES:
        raise refuse(path, value, f"a list of texts, none of them empty, of at most {_MOST_LIST_BYTES} bytes together")
    return tuple(value)


def number(low: float, high: float) -> Callable[[str, Any], float]:
    """Return a reader of numbers within bounds, both included."""

    def read(path: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise refuse(path, value, f"a number from {low:g} to {high:g}")
        return float(value)

    return read


def whole(low: int, high: int) -> Callable[[str, Any], int]:
    """Return a reader of whole numbers within bounds, both included; 5.0 is one."""

    def read(path: str, value: Any) -> int:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value != int(value) or not low <= value <= high:
            raise refuse(path, value, f"a whole number from {low} to {high}")
        return int(value)

    return read


def choice(*choices: str) -> Callable[[str, Any], str]:
    """Return a reader of one of a few words."""

    def read(path: str, value: Any) -> str:
        if value not in choices:
            raise refuse(path, value, f"one of {', '.join(choices)}")
        return str(value)

    return read


def ids(path: str, value: Any) -> list[int]:
    """Read a list of ids of failures."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise refuse(path, value, "a list of ids, as failures lists them")
    return [whole(1, 2**53)(f"{path}[{index}]", item) for index, item in enumerate(value)]
