"""Asks the kernel whether anybody has a file open for writing, by a read lease (fcntl(2), "Leases").

A lease is refused with EAGAIN while somebody has the file open or mapped for writing. While it is held, a program that
opens the file for writing waits until it is released, at most 45 s. So hold it as short as possible. Linux only. A
process gets a lease for files of its user, or with CAP_LEASE for all files, and not on every file system.
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
    """What the kernel says about a file."""

    FREE = "free"
    """Nobody has it open for writing."""
    WRITTEN = "written"
    """Somebody has it open for writing."""
    UNKNOWN = "unknown"
    """It cannot be known."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A file for which a lease was requested."""

    descriptor: int
    standing: Standing
    """The standing at that moment."""
    reason: str = ""
    """Why it is UNKNOWN."""

    @property
    def is_free(self) -> bool:
        """Whether, as far as it can be known, nobody writes, and nobody waits for the end of the lease to write."""
        if self.standing is Standing.FREE:
            return fcntl.fcntl(self.descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK
        return self.standing is Standing.UNKNOWN


def ignore_signal() -> None:
    """Ignore SIGIO, which the kernel sends if somebody waits for the end of a lease. Call it on the main thread.

    By default SIGIO ends the process, so no lease is taken before this call.
    """
    signal.signal(signal.SIGIO, signal.SIG_IGN)


@contextlib.contextmanager
def held(descriptor: int) -> Iterator[Lease]:
    """Hold a read lease on a file that is open for reading, if the kernel allows one."""
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
