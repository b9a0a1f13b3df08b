"""How far the spool goes, beside it, so that a loss which SQLite does not notice is noticed.

For SQLite, a journal that is damaged or cut short ends at that place. This file is written after each commit and never
synced. So it costs almost nothing, and it is as new as the journal unless the machine itself stops.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

MARK_FILE = "last-id"
"""Its name."""


class Mark(NamedTuple):
    """As of a commit."""

    last_id: int = 0
    """The last id that was given out."""
    held: int = 0
    """How many captures the spool held, failures among them."""
    unreadable: int = 0
    """How many captures could not be read of files that were set aside. The next damaged file may have lost this."""


def lost_with_the_end(mark: Mark, last_id: int) -> int:
    """How many captures are lost, at most, of a file that goes up to ``last_id``, if its end is not there any more.

    The end held ``mark.last_id - last_id`` captures, and no more than ``mark.held`` of all were still to be delivered.
    Example: a mark of (500, 400) and a file that ends at 350: at most 150. A file that goes as far as its mark, or
    farther, as after a power cut that the mark was not written before, has its end: 0.
    """
    return min(mark.held, max(0, mark.last_id - last_id))


def lost_in_a_rescue(mark: Mark, last_id: int, expected: int, saved: int) -> int:
    """How many captures are lost, at most, when ``saved`` were read of a damaged file.

    By its own content the file goes up to ``last_id``, and lists ``expected`` captures. The result is the larger of two
    bounds. First: captures of the mark that were not saved (an older mark may lack all newer captures). Second:
    captures that were lost with the end of the file, plus those that are listed and were not saved. The second is for a
    journal that was cut short: then some of the saved captures had been delivered since, and hide as many losses from
    the first bound.
    Example: a mark of (500, 400), a file that ends at 350, lists 350, and yields 340: at most max(60, 150 + 10) = 160.
    """
    missing = max(0, expected - saved)
    if mark == Mark():
        return missing
    held = mark.held + max(0, last_id - mark.last_id)
    return min(held, max(held - saved, max(0, mark.last_id - last_id) + missing))


def read_mark(path: Path) -> Mark:
    """What stands in a file; zeros if that is nothing, or there is none."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return Mark()
    try:
        return _read(file)
    finally:
        os.close(file)


def _read(file: int) -> Mark:
    words = os.pread(file, 62, 0).split()
    # Earlier versions wrote the first two.
    return Mark(*map(int, words)) if len(words) in (2, 3) and b"".join(words).isdigit() else Mark()


class MarkFile:
    """One mark in a file. Used on one thread."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.before = self._written = _read(self._file)
        """What stood in it when it was opened."""

    def write(self, mark: Mark) -> None:
        """Write it, if it is another one; a disk that refuses is no error."""
        if mark == self._written:
            return
        try:
            os.pwrite(self._file, b"%020d %020d %020d" % mark, 0)
        except OSError:
            return
        self._written = mark

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
