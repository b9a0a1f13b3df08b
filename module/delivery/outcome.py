"""What an answer of the cloud, or of the disk, means for the capture that was sent, in one table each; pure.

Statuses as in the gRPC documentation ("Status codes and their use in gRPC"); what viam's cloud makes of them stands in
the comments. Numbers of the disk as in errno(3).
"""

from __future__ import annotations

import asyncio
import enum
import errno

from grpclib import GRPCError, Status

from module.errors import NetworkError


class Verdict(enum.Enum):
    """What to do with an upload that did not end well."""

    AWAY = "away"
    """The cloud, or the way to it, does not work now: keep the capture, wait, try again for ever."""
    RENEW = "renew"
    """The token has run out: fetch a new one."""
    REFUSED = "refused"
    """The machine is not allowed in: a matter of configuration. Keep everything, try slowly."""
    REJECTED = "rejected"
    """The cloud will never take this capture."""
    TOO_LARGE = "too large"
    """The message is larger than the receiver takes: send it in chunks, or in smaller batches."""
    LATER = "later"
    """This capture cannot be read or sent for now, for want of something of this machine's own: a file that its disk or
    share does not give, descriptors, memory. Keep it, hold no other capture up, try again for ever."""
    UNSURE = "unsure"
    """Nobody can say; a few tries will tell."""


_BY_STATUS = {
    Status.CANCELLED: Verdict.AWAY,
    Status.UNKNOWN: Verdict.UNSURE,
    Status.INVALID_ARGUMENT: Verdict.REJECTED,
    Status.DEADLINE_EXCEEDED: Verdict.AWAY,
    Status.NOT_FOUND: Verdict.REJECTED,
    Status.ALREADY_EXISTS: Verdict.REJECTED,
    Status.PERMISSION_DENIED: Verdict.REFUSED,
    Status.RESOURCE_EXHAUSTED: Verdict.AWAY,
    Status.FAILED_PRECONDITION: Verdict.REJECTED,
    Status.ABORTED: Verdict.AWAY,
    Status.OUT_OF_RANGE: Verdict.REJECTED,
    Status.UNIMPLEMENTED: Verdict.REJECTED,
    Status.INTERNAL: Verdict.AWAY,
    Status.UNAVAILABLE: Verdict.AWAY,
    Status.DATA_LOSS: Verdict.REJECTED,
    Status.UNAUTHENTICATED: Verdict.RENEW,
}

_OF_FILE = {
    errno.EACCES: Verdict.REJECTED,
    errno.EINVAL: Verdict.REJECTED,  # a fifo, a device or a socket, as module.files.folder_paths says it
    errno.EISDIR: Verdict.REJECTED,
    errno.ELOOP: Verdict.REJECTED,
    errno.ENAMETOOLONG: Verdict.REJECTED,
    errno.ENOENT: Verdict.REJECTED,
    errno.ENOTDIR: Verdict.REJECTED,
    errno.EPERM: Verdict.REJECTED,
}
"""What is wrong with the file itself. All else is the machine's, the disk's or the share's, and may pass: EMFILE,
ENFILE, ENOMEM, EIO, ESTALE, ETIMEDOUT and their like."""


def judge_file(error: OSError) -> Verdict:
    """What it means that a file could not be opened or read: REJECTED, or LATER."""
    return _OF_FILE.get(error.errno or 0, Verdict.LATER)


def judge(error: Exception) -> Verdict:
    """What an upload's error means; an error that nobody foresaw is UNSURE."""
    if isinstance(error, GRPCError):
        text = (error.message or "").lower()
        # Both the C core and Go say so with RESOURCE_EXHAUSTED, which else means "later".
        if error.status is Status.RESOURCE_EXHAUSTED and "larger than max" in text:
            return Verdict.TOO_LARGE
        # How viam's cloud answers a part id that it does not know.
        if error.status is Status.UNKNOWN and "no robot part found" in text:
            return Verdict.REFUSED
        return _BY_STATUS.get(error.status, Verdict.UNSURE)
    if isinstance(error, OSError | asyncio.TimeoutError | EOFError):
        return Verdict.AWAY
    return Verdict.LATER if isinstance(error, MemoryError) else Verdict.UNSURE


def say(error: Exception) -> str:
    """The error in one line, of any length; ``Cloud.redact`` makes it fit to be shown."""
    if isinstance(error, GRPCError):
        text = f"{error.status.name}: {error.message or 'no further word'}"
    elif isinstance(error, NetworkError):
        text = str(error)
    elif isinstance(error, TimeoutError):
        text = str(error) or "the cloud did not answer in time"
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())
