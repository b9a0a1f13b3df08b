"""Keeps some disk in reserve, and frees it when the disk is full.

SQLite writes a delete to its journal before it frees anything. So on a disk without a free block, a full spool could
never be emptied. The reserve is as large as the journal may get, so that there is always room for it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from module.spool.place import Place

BALLAST_BYTES = 20 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024


class Ballast:
    """One file without content. Used on one thread."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.held = False

    @property
    def _path(self) -> Path:
        return self._place.directory / "reserve"

    def fill(self) -> None:
        """Take the reserve, if it is not taken and the disk has room; a disk without room is no error."""
        if self.held:
            return
        # A disk may have no room for even the name of a file.
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                _allocate(descriptor)
                self.held = True
            except OSError:
                os.ftruncate(descriptor, 0)
            finally:
                os.close(descriptor)

    def release(self) -> None:
        """Free the reserve."""
        self._path.unlink(missing_ok=True)
        self.held = False


def _allocate(descriptor: int) -> None:
    """Have the disk keep room for the whole file. Raises OSError."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, BALLAST_BYTES)
        return
    # macOS has no such call, so what the file does not have yet is written.
    there = os.fstat(descriptor).st_size
    while there < BALLAST_BYTES:
        there += os.pwrite(descriptor, bytes(min(_PIECE_BYTES, BALLAST_BYTES - there)), there)
