"""What the command ``pause`` has stopped, and since when: it holds until ``resume``, restarts included.

It is kept in ``paused.json`` beside the spool::

    {"paused": [{"what": "source", "name": "imu", "since_us": 1780000000000000}, {"what": "upload", "name": "", …}]}

A file that is missing or damaged pauses nothing. Commands of this process take precedence over the file.
"""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

from module.clock.machine_clock import iso
from module.spool.place import PAUSED_FILE, sync_directory

_MOST_BYTES = 4 * 1024 * 1024


class What(enum.StrEnum):
    """What can be paused."""

    SOURCE = "source"
    """By its id."""
    FOLDER = "folder"
    """By its path."""
    UPLOAD = "upload"
    """All uploads; the name is empty."""


Key: TypeAlias = tuple[What, str]
Stored: TypeAlias = dict[Key, int]
"""What is paused, and since when, in µs since the epoch."""


class Pauses:
    """The pauses of one service. ``read`` and ``write`` block; the rest is the event loop's."""

    def __init__(self, clock_us: Callable[[], int]) -> None:
        """``clock_us``: the wall clock, in µs since the epoch."""
        self._clock_us = clock_us
        # None: resumed by command, whatever the file says.
        self._since: dict[Key, int | None] = {}
        # All were resumed by command, also those in a file that was not read yet.
        self._resumed: set[What] = set()
        self._stored: Stored = {}
        """What the file holds."""

    def since(self, what: What, name: str = "") -> int | None:
        """Since when it is paused, in µs since the epoch; None: it is not."""
        return self._since.get((what, name))

    def pause(self, what: What, names: Iterable[str]) -> None:
        """Note these as paused; those that are paused already keep their time."""
        for name in names:
            if self._since.get((what, name)) is None:
                self._since[what, name] = self._clock_us()

    def resume(self, what: What, names: Iterable[str] | None = None) -> None:
        """Note these as not paused any more. None: all that are paused, also those that the config no longer has."""
        if names is None:
            self._resumed.add(what)
        known = [name for each, name in self._since if each is what]
        for name in known if names is None else names:
            self._since[what, name] = None

    def recall(self, stored: Stored) -> None:
        """Take over what the file holds."""
        self._stored = stored
        for key, since_us in stored.items():
            self._since.setdefault(key, None if key[0] in self._resumed else since_us)

    def note_stored(self, stored: Stored) -> None:
        """Note what the file holds now."""
        self._stored = stored

    @property
    def held(self) -> Stored:
        """All that is paused."""
        return {key: since_us for key, since_us in self._since.items() if since_us is not None}

    @property
    def changed(self) -> bool:
        """Whether the file differs from what is paused."""
        return self.held != self._stored


def read(directory: Path) -> Stored:
    """The content of the file; empty if there is none. Raises OSError, and ValueError if it is damaged."""
    try:
        descriptor = os.open(directory / PAUSED_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    with open(descriptor, "rb") as file:  # noqa: PTH123, a descriptor
        text = file.read(_MOST_BYTES)
    try:
        entries = json.loads(text)["paused"]
        return {(What(each["what"]), str(each["name"])): _time(each["since_us"]) for each in entries}
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{directory / PAUSED_FILE} is damaged, and nothing is paused by it: {error}") from error


def _time(value: Any) -> int:
    since_us = int(value)
    # The status must be able to show it.
    iso(since_us)
    return since_us


def write(directory: Path, stored: Stored) -> None:
    """Replace the file durably: after a power cut either the old or the new one is there. Raises OSError."""
    text = json.dumps(
        {
            "paused": [
                {"what": what.value, "name": name, "since_us": since_us} for (what, name), since_us in stored.items()
            ]
        }
    )
    new = directory / f"{PAUSED_FILE}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123, a descriptor
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(directory / PAUSED_FILE)
    sync_directory(directory)
