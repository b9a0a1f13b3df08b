"""Whether anybody has a file open for writing, as the kernel knows it: by a read lease (fcntl(2), "Leases").

A lease is refused with EAGAIN while somebody has the file open for writing, or mapped so. While it is held, whoever
opens the file for writing waits until it is dropped, 45 s at most: hold it for as short as can be. Linux only. A lease
may be had of a file of one's own, or with CAP_LEASE of anybody's, and not on every file system.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import fcntl
import signal
from collections.abc import Iterator
from dataclasses import dataclass


class Standing(enum.Enum):
    """What the kernel says of a file."""

    FREE = "free"
    """Nobody has it open for writing."""
    WRITTEN = "written"
    """Somebody has it open for writing."""
    UNKNOWN = "unknown"
    """There is no way to tell."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A file on which a lease was asked for."""

    descriptor: int
    standing: Standing
    """As it was then."""
    reason: str = ""
    """Why it is UNKNOWN."""

    @property
    def is_free(self) -> bool:
        """Whether nobody writes, nor waits for the lease's end to do so, as far as there is a way to tell."""
        if self.standing is Standing.FREE:
            return fcntl.fcntl(self.descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK
        return self.standing is Standing.UNKNOWN


def ignore_signal() -> None:
    """Ignore SIGIO, by which the kernel says that somebody waits for a lease's end; on the main thread.

    Its default ends the process. No lease is taken before.
    """
    signal.signal(signal.SIGIO, signal.SIG_IGN)


@contextlib.contextmanager
def held(descriptor: int) -> Iterator[Lease]:
    """Hold a read lease on a file that is open for reading, if there is one to be had."""
    lease = _taken(descriptor)
    try:
        yield lease
    finally:
        if lease.standing is Standing.FREE:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def _taken(descriptor: int) -> Lease:
    if not hasattr(fcntl, "F_SETLEASE"):
        return Lease(descriptor, Standing.UNKNOWN, "this system has no leases")
    if signal.getsignal(signal.SIGIO) is not signal.SIG_IGN:
        return Lease(descriptor, Standing.UNKNOWN, "this process does not ignore SIGIO")
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return Lease(descriptor, Standing.WRITTEN)
        # EACCES: another user's file; EINVAL: a file system without leases; ENOLCK and others: not now.
        return Lease(descriptor, Standing.UNKNOWN, error.strerror or str(error))
    return Lease(descriptor, Standing.FREE)
