"""The last id that was given out, beside the spool, so that a loss which SQLite does not notice is noticed.

A journal that is damaged or cut short at its end is, to SQLite, one that ends there. This file is written after each
commit and never synced: it costs next to nothing, and is as new as the journal whenever the machine itself goes on.
"""

from __future__ import annotations

import os
from pathlib import Path


class LastId:
    """One number in a file. Used on one thread."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._written = self.read()

    def read(self) -> int:
        """The number; 0 where there is none yet."""
        text = os.pread(self._file, 20, 0)
        return int(text) if text.isdigit() else 0

    def write(self, number: int) -> None:
        """Write it, if it is another one; a disk that refuses is no error."""
        if number == self._written:
            return
        try:
            os.pwrite(self._file, b"%020d" % number, 0)
        except OSError:
            return
        self._written = number

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
