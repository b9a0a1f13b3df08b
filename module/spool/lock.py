"""The lock file that keeps a second instance, of this process or of another, out of a spool's directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class LockFile:
    """Opened, held and closed by the thread that owns the spool's file, so that both go together."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def open(self, *, make: bool = True) -> None:
        """Open the file, made if it is missing and ``make`` says so. Raises OSError."""
        flags = os.O_RDWR | (os.O_CREAT if make else 0) | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)

    def take(self) -> bool:
        """Take the lock; False if another instance has it. It goes with the process, so that kill -9 frees it."""
        if self._descriptor is None:
            raise ValueError("the lock file is not open")
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_in_place(self) -> bool:
        """Whether the path still leads to the file that is open."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.lstat(self._path))
        except OSError:
            return False

    def close(self) -> None:
        """Release the lock, and close the file. May be called more than once."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
