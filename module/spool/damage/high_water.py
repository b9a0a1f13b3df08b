"""How far the spool goes, beside it, so that a loss which SQLite does not notice is noticed.

A journal that is damaged or cut short at its end is, to SQLite, one that ends there. This file is written after each
commit and never synced: it costs next to nothing, and is as new as the journal whenever the machine itself goes on.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Mark(NamedTuple):
    """As of a commit."""

    last_id: int = 0
    """The last id that was given out."""
    held: int = 0
    """How many captures the spool held, failures among them."""


class MarkFile:
    """One mark in a file. Used on one thread."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._written = self.read()

    def read(self) -> Mark:
        """What stands in it; zeros where that is nothing."""
        words = os.pread(self._file, 41, 0).split()
        return Mark(*map(int, words)) if len(words) == len(Mark._fields) and b"".join(words).isdigit() else Mark()

    def write(self, mark: Mark) -> None:
        """Write it, if it is another one; a disk that refuses is no error."""
        if mark == self._written:
            return
        try:
            os.pwrite(self._file, b"%020d %020d" % mark, 0)
        except OSError:
            return
        self._written = mark

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
