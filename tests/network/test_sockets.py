from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pycurl
import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from module.network.address import Address
from module.network.channel import Channel
from module.network.sockets import Counter, IdleConnections, passed, watchful
from tests.network.raw import Connection, answering, raw_server
from tests.network.rig import unary, upload

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "TCP_INFO"), reason="the system does not say what a socket has sent"
)
LIBCURL_LOOKS_AGAIN_S = 1.1
"""libcurl looks at most once a second whether a connection is alive."""


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


@pytest.mark.parametrize("timeout_s", [1e-9, 60, 3_000_000, 1e300])
async def test_a_connection_may_be_given_any_time(timeout_s: float) -> None:
    def configure(curl: pycurl.Curl) -> None:
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.SOCKOPTFUNCTION, watchful(timeout_s))

    async with raw_server(None, answering()) as server:
        channel = Channel(Address("127.0.0.1", server.port), configure=configure)
        assert (await unary(channel, "ask")(BytesValue(), timeout=10)).value == b""
        channel.close()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_connection_that_the_server_closes_while_it_is_idle_breaks_no_call(streamed: bool) -> None:
    """Without a word, as a proxy does, or a server that has been ended."""
    is_idle, is_closed = asyncio.Event(), asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.greet()
        connection.answer(await connection.request(), b"first")
        if connection.number == 0:
            await is_idle.wait()
            connection.writer.close()
            is_closed.set()
        else:
            connection.answer(await connection.request(), b"second")

    async with raw_server(None, script) as server, asyncio.timeout(20):
        channel = Channel(Address("127.0.0.1", server.port))
        ask, send = unary(channel, "ask"), upload(channel, "ask")
        assert (await ask(BytesValue())).value == b"first"
        is_idle.set()
        await is_closed.wait()
        await asyncio.sleep(LIBCURL_LOOKS_AGAIN_S)
        answer = await (send([BytesValue(value=bytes(10_000))] * 3) if streamed else ask(BytesValue()))
        assert answer.value == b"first"
        assert (await ask(BytesValue())).value == b"second"
        channel.close()


def test_a_file_that_has_the_number_of_a_former_connection_is_left_alone() -> None:
    first, second = socket.socketpair(), socket.socketpair()
    for pair in (first, second):
        pair[1].shutdown(socket.SHUT_WR)
    idle, number = IdleConnections(), first[0].fileno()
    idle.add(number)
    os.dup2(second[0].fileno(), number)
    idle.shut_ended()
    second[0].sendall(b"x")
    assert second[1].recv(1) == b"x"
    for each in (*first, *second):
        each.close()
