"""A small file beside the spool with its last id and its counts. It shows losses that SQLite does not notice.

If a journal is damaged or cut short, SQLite takes the part before the damage for all of it. This file is written after
each commit and never synced, so it costs almost nothing. It is as new as the journal, unless the machine itself stops.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

MARK_FILE = "last-id"
"""The name of this file."""


class Mark(NamedTuple):
    """The spool's last id and counts, as of a commit."""

    last_id: int = 0
    """The last id that was given out."""
    held: int = 0
    """How many captures the spool held, failures among them."""
    unreadable: int = 0
    """How many captures of damaged files could not be read. The spool has this count too, but may lose it."""


def lost_with_the_end(mark: Mark, last_id: int) -> int:
    """The upper bound of captures lost, if the newest id in the file is ``last_id`` and the mark's is larger.

    ``mark.last_id - last_id`` captures are missing, and at most ``mark.held`` of all captures still waited. Example:
    with a mark of (500, 400) and a file that ends at 350, at most 150 are lost. If the file ends at its mark's id or a
    larger one, nothing is lost: 0. It is larger if a power cut came before the mark was written.
    """
    return min(mark.held, max(0, mark.last_id - last_id))


def lost_in_a_rescue(mark: Mark, last_id: int, expected: int, saved: int) -> int:
    """The upper bound of captures lost, if ``saved`` captures were read from a damaged file.

    The newest id in the file is ``last_id``, and the file lists ``expected`` captures. The result is the larger of two
    bounds. First: the captures that the mark counts, and all newer ones, minus those that were saved. Second: the
    captures after the end of the file, plus those that are listed and were not saved. The second bound is needed if a
    journal was cut short: then delivered captures are back among the saved ones, and hide as many losses from the first
    bound.

    Example: a mark of (500, 400), a file that ends at 350, lists 350, and yields 340: at most max(60, 150 + 10) = 160.
    """
    missing = max(0, expected - saved)
    if mark == Mark():
        return missing
    held = mark.held + max(0, last_id - mark.last_id)
    return min(held, max(held - saved, max(0, mark.last_id - last_id) + missing))


def read_mark(path: Path) -> Mark:
    """The mark in a file; zeros if the file is missing, or has no mark."""
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
        """The mark that it had when it was opened."""

    def write(self, mark: Mark) -> None:
        """Write a mark, if it differs from the last one; an error of the disk is ignored."""
        if mark == self._written:
            return
        try:
            os.pwrite(self._file, b"%020d %020d %020d" % mark, 0)
        except OSError:
            return
        self._written = mark

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
