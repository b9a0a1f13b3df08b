"""Keeps some disk in reserve, and frees it when the disk is full.

SQLite writes a delete to its journal before it frees anything. So on a disk without a free block, a full spool could
never be emptied. The reserve is as large as the journal may get, so that there is always room for it.
"""

from __future__ import annotations

import os
from pathlib import Path

from module.spool.place import Place

BALLAST_BYTES = 20 * 1024 * 1024


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
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, BALLAST_BYTES)
        except OSError:
            os.ftruncate(descriptor, 0)
        else:
            self.held = True
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Free the reserve."""
        self._path.unlink(missing_ok=True)
        self.held = False
