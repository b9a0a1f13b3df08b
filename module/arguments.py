"""The arguments of commands: how each kind is read, and what is said when it cannot be.

Numbers arrive as floats, whatever the caller wrote. Everything raises CommandError, which names the path, what was
given, and what is allowed.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from module.errors import CommandError
from module.refusals import shown

_MOST_SHOWN = 80
_MOST_LIST_BYTES = 64 * 1024
"""Of all texts of a list together: tags travel with every upload, whose message may have four megabytes."""


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
        raise refuse(path, value, "a list of ids, as failures gives them")
    return [whole(1, 2**53)(f"{path}[{index}]", item) for index, item in enumerate(value)]
