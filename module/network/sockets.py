"""What the kernel knows about a TCP connection, and the options that are set on one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import sys
import termios
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import pycurl

_TCP_INFO_BYTES = 128
_BYTES_ACKED = struct.Struct("=120xQ")
"""Linux 4.1 and later, ``struct tcp_info``: bytes that the other end has acknowledged."""
_UNSENT_BYTES = 128 * 1024
_MOST_REMEMBERED = 64
_MOST_INT = 2**31 - 1
_OTHER_END_CLOSED = getattr(select, "POLLRDHUP", 0)
"""Only Linux says so; other systems only say that both ends are closed."""


class Passed(NamedTuple):
    """Bytes that one connection has sent."""

    written: int
    """Bytes that the kernel has taken."""
    acknowledged: int
    """Bytes of these that the other end has acknowledged."""


@contextlib.contextmanager
def _borrowed(fd: int) -> Iterator[socket.socket]:
    """Use libcurl's descriptor as a socket, without closing it. Raises OSError if it is none."""
    # Not socket.fromfd: its copy of the descriptor stays open if it is no socket.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
    try:
        yield sock
    finally:
        sock.detach()


def passed(fd: int) -> Passed | None:
    """Return the bytes that a connection has sent; None: it is no TCP connection, or the system does not say."""
    if fd < 0 or not hasattr(socket, "TCP_INFO"):
        return None
    try:
        # libcurl watches files too that are no sockets.
        with _borrowed(fd) as sock:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        (acknowledged,) = _BYTES_ACKED.unpack_from(info)
        # tcp(7): SIOCOUTQ, which bears this name too.
        waiting = int.from_bytes(fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except (OSError, struct.error):
        return None
    return Passed(acknowledged + waiting, acknowledged)


class Counter:
    """Counts all bytes that some connections have written, also those that are closed by now."""

    def __init__(self) -> None:
        self.written = 0
        self._of: dict[int, int] = {}

    def look(self, fds: Iterable[int]) -> None:
        """Add the bytes that these have written since the last look; for a new connection, all its bytes."""
        for fd in fds:
            now = passed(fd)
            if now is None:
                continue
            # A descriptor's number is used again once its file is closed; an inode's number is not, for a long time.
            key = os.fstat(fd).st_ino
            self.written += max(0, now.written - self._of.pop(key, 0))
            self._of[key] = now.written
        while len(self._of) > _MOST_REMEMBERED:
            del self._of[next(iter(self._of))]


class IdleConnections:
    """Connections that no transfer uses now. libcurl reads them too little to see that the other end closes one.

    It does see that both ends are closed. So if the other end is, ours is closed here.
    """

    def __init__(self) -> None:
        self._inodes: dict[int, int] = {}

    def add(self, fd: int) -> None:
        """Note a connection; libcurl may close it at any time."""
        with contextlib.suppress(OSError):
            self._inodes[fd] = os.fstat(fd).st_ino

    def shut_ended(self) -> None:
        """Close those that the other end has closed, and forget all."""
        poll = select.poll()
        for fd in self._inodes:
            poll.register(fd, _OTHER_END_CLOSED)
        for fd, _ in poll.poll(0):
            # The number may be that of another file by now, or of none.
            with contextlib.suppress(OSError):
                if os.fstat(fd).st_ino == self._inodes[fd]:
                    with _borrowed(fd) as sock:
                        sock.shutdown(socket.SHUT_RDWR)
        self._inodes.clear()


def watchful(timeout_s: float) -> Callable[[int, int], int]:
    """Return the function that prepares a new socket.

    The kernel then ends a connection whose bytes stay unacknowledged for ``timeout_s``. It also takes only a little
    more than the link carries: behind megabytes in the kernel an alarm would have to wait.
    """
    unacknowledged_ms = max(1, int(min(timeout_s * 1000, _MOST_INT)))
    options = [("TCP_NOTSENT_LOWAT", _UNSENT_BYTES), ("TCP_USER_TIMEOUT", unacknowledged_ms)]

    def prepare(fd: int, _purpose: int) -> int:
        with contextlib.suppress(OSError), _borrowed(fd) as sock:
            for name, value in options:
                if hasattr(socket, name):
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return int(pycurl.SOCKOPT_OK)

    return prepare
