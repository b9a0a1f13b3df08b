"""What an answer of the cloud, or an error of the disk, means for a capture: one table for each; pure.

Statuses are those of the gRPC documentation ("Status codes and their use in gRPC"); comments say how viam's cloud uses
them. Numbers of the disk are those of errno(3).
"""

from __future__ import annotations

import asyncio
import enum
import errno

from grpclib import GRPCError, Status

from module.errors import NetworkError


class Verdict(enum.Enum):
    """What to do after an upload that failed."""

    AWAY = "away"
    """The cloud, or the way to it, does not work now: keep the capture, wait, try again for ever."""
    RENEW = "renew"
    """The token has run out: fetch a new one."""
    REFUSED = "refused"
    """The machine is not let in, because of its configuration. Keep everything, try slowly."""
    REJECTED = "rejected"
    """The cloud will never take this capture."""
    TOO_LARGE = "too large"
    """The message is larger than the receiver takes: send it in chunks, or in smaller batches."""
    LATER = "later"
    """This machine cannot read or send the capture for now: its disk or share does not return a file, or there are no
    descriptors or no memory. Keep it, delay no other capture, try again for ever."""
    UNSURE = "unsure"
    """It is not known what is wrong; try a few times, then reject."""


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
"""Errors of the file itself. All others are of the machine, the disk or the share, and may pass: EMFILE, ENFILE,
ENOMEM, EIO, ESTALE, ETIMEDOUT and similar ones."""


def judge_file(error: OSError) -> Verdict:
    """Return what the error of opening or reading a file means: REJECTED or LATER."""
    return _OF_FILE.get(error.errno or 0, Verdict.LATER)


def judge(error: Exception) -> Verdict:
    """Return what an upload's error means; an unexpected error is UNSURE."""
    if isinstance(error, GRPCError):
        text = (error.message or "").lower()
        # Both the C core and Go say so with RESOURCE_EXHAUSTED, which otherwise means "later".
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
    """Return the error in one line of any length; pass it through ``Cloud.redact`` before it is shown."""
    if isinstance(error, GRPCError):
        text = f"{error.status.name}: {error.message or 'no message'}"
    elif isinstance(error, NetworkError):
        text = str(error)
    elif isinstance(error, TimeoutError):
        text = str(error) or "the cloud did not answer in time"
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())
