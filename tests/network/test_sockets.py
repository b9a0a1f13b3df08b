from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from module.network.sockets import Counter, passed, watchful

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "TCP_INFO"), reason="the system does not say what a socket has sent"
)


def _descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir() if path.exists()}


def test_looking_at_a_socket_or_at_another_file_opens_and_closes_nothing() -> None:
    """A file by which threads wake libcurl is among its descriptors, and a cap looks at all of them, often."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        there, _ = server.accept()
        reader, writer = os.pipe()
        counter = Counter()
        before = _descriptors()
        for _ in range(20):
            client.sendall(b"12345")
            assert passed(reader) is None
            counter.look([reader, client.fileno()])
            watchful(1)(reader, 0)
            watchful(1)(client.fileno(), 0)
        assert _descriptors() == before
        # The system counts the opening of a connection as one byte.
        assert counter.written - 1 <= 100 <= counter.written
        for fd in (reader, writer):
            os.close(fd)
        there.close()
