"""What a server may send, right and wrong, frame by frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from grpclib import GRPCError, Status
from hyperframe.frame import PriorityFrame, WindowUpdateFrame

from module.errors import NetworkError
from module.network.address import Address, unix
from module.network.channel import Channel
from tests.network.raw import HEADERS, OK, Connection, Script, answering, message, raw_server
from tests.network.rig import download, unary, upload
from tests.waiting import until

Dial = Callable[..., Any]
REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 7, 8, 11
MORE_THAN_NGHTTP2_TAKES = 12_000


def once(reply: Callable[[Connection, int], None]) -> Script:
    """A server that answers all requests in this way."""

    async def script(connection: Connection) -> None:
        await connection.greet()
        while True:
            reply(connection, await connection.request())

    return script


async def ask(channel: Any, timeout: float = 10) -> bytes:
    return bytes((await unary(channel, "ask")(BytesValue(), timeout=timeout)).value)


async def test_an_answer_of_trailers_only_is_its_status(dial: Dial, path: Path) -> None:
    def reply(connection: Connection, stream: int) -> None:
        trailers = [("grpc-status", "5"), ("grpc-message", "no %E2%82%AC, 100%25")]
        connection.write(connection.headers(stream, HEADERS + trailers, end=True))

    async with raw_server(path, once(reply)):
        with pytest.raises(GRPCError) as refused:
            await ask(dial())
    assert (refused.value.status, refused.value.message) == (Status.NOT_FOUND, "no €, 100%")


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 1000])
async def test_messages_may_be_torn_at_any_byte(dial: Dial, path: Path, size: int) -> None:
    """And joined: three of them, in frames of so many bytes, each written by itself."""
    values = [b"", b"second", b"x" * 2000]

    def reply(connection: Connection, stream: int) -> None:
        data = b"".join(map(message, values))
        connection.write(connection.headers(stream, HEADERS))
        for start in range(0, len(data), size):
            connection.write(connection.data(stream, data[start : start + size]))
        connection.write(connection.headers(stream, OK, end=True))

    async with raw_server(path, once(reply)):
        answers = await download(dial(), "ask")(BytesValue(), timeout=10)
    assert [answer.value for answer in answers] == values


@pytest.mark.grpclib_fails("it takes a page for the server's verdict")
@pytest.mark.parametrize("status", ["302", "400", "401", "403", "404", "429", "500", "502", "503"])
@pytest.mark.parametrize("body", [b"", b"<html>not found</html>", b"\0" * 100_000])
async def test_a_page_is_no_verdict(dial: Dial, path: Path, status: str, body: bytes) -> None:
    def reply(connection: Connection, stream: int) -> None:
        headers = [(":status", status), ("content-type", "text/html"), ("location", "https://example.com/")]
        connection.write(connection.headers(stream, headers))
        for start in range(0, len(body), 16_000):
            connection.write(connection.data(stream, body[start : start + 16_000]))
        connection.write(connection.data(stream, b"", end=True))

    async with raw_server(path, once(reply)):
        channel = dial()
        with pytest.raises(NetworkError, match=f"HTTP status {status}, text/html, no grpc-status"):
            await ask(channel)
        with pytest.raises(NetworkError, match=f"HTTP status {status}, text/html, no grpc-status"):
            await upload(channel, "ask")([BytesValue(value=bytes(10_000))] * 3, timeout=10)


@pytest.mark.grpclib_fails("it calls this UNKNOWN, as if the server had said so")
async def test_an_answer_without_trailers_is_no_verdict(dial: Dial, path: Path) -> None:
    def reply(connection: Connection, stream: int) -> None:
        connection.write(connection.headers(stream, HEADERS), connection.data(stream, message(b"x"), end=True))

    async with raw_server(path, once(reply)):
        with pytest.raises(NetworkError, match="ended without grpc-status"):
            await ask(dial())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (message(b"x", flag=1), "is compressed, which was not offered"),
        (message(b"x", flag=7), "begins with the byte 7"),
        (b"\0\xff\xff\xff\xff", "has 4294967295 bytes; at most 1000 are taken"),
        (message(b"x" * 1001), "bytes; at most 1000 are taken"),
        (message(b"abc")[:-1], "ended within a message"),
        (b"\0\0", "ended within a message"),
        (message(b"x") * 2, "has 2 messages instead of one"),
        (b"", "has no messages instead of one"),
        (b"\0\0\0\0\x02\x0a\xff", "is no google.protobuf.BytesValue"),
    ],
)
@pytest.mark.grpclib_fails("it fails an assertion, hangs, or takes what it should not")
async def test_an_answer_that_is_wrong_is_refused_and_named(dial: Dial, path: Path, data: bytes, said: str) -> None:
    def reply(connection: Connection, stream: int) -> None:
        connection.write(connection.headers(stream, HEADERS), connection.data(stream, data))
        connection.write(connection.headers(stream, OK, end=True))

    async with raw_server(path, once(reply)) as server:
        channel = dial(most_answer_bytes=1000)
        for _ in range(2):
            with pytest.raises(NetworkError, match=said):
                await ask(channel)
    assert len(server.connections) == 1


async def test_a_status_nobody_knows_is_unknown(dial: Dial, path: Path) -> None:
    def reply(connection: Connection, stream: int) -> None:
        connection.write(connection.headers(stream, [*HEADERS, ("grpc-status", "99")], end=True))

    async with raw_server(path, once(reply)):
        with pytest.raises(GRPCError, match="99") as refused:
            await ask(dial())
    assert refused.value.status is Status.UNKNOWN


@pytest.mark.grpclib_fails("it knows no interim answers")
async def test_interim_answers_are_passed_over(dial: Dial, path: Path) -> None:
    def reply(connection: Connection, stream: int) -> None:
        connection.write(connection.headers(stream, [(":status", "103"), ("link", "</x>")]))
        connection.answer(stream, b"x")

    async with raw_server(path, once(reply)):
        assert await ask(dial()) == b"x"


@pytest.mark.grpclib_fails("it says that the connection was lost")
async def test_an_answer_that_was_whole_counts_though_the_connection_breaks(dial: Dial, path: Path) -> None:
    async def script(connection: Connection) -> None:
        await connection.greet()
        connection.answer(await connection.request(), b"x")
        await connection.writer.drain()

    async with raw_server(path, script):
        channel = dial()
        assert await ask(channel) == b"x"
        assert await ask(channel) == b"x"


@pytest.mark.grpclib_fails("it closes at once at any GOAWAY")
async def test_a_connection_that_is_aged_out_carries_its_calls_to_their_end(dial: Dial, path: Path) -> None:
    """And those that it did not take are made again elsewhere, once."""
    go_on = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.greet()
        stream = await connection.request(whole=False)
        if connection.number == 0:
            while len(connection.bodies.get(stream, b"")) < 10:
                await connection.frame()
            connection.write(connection.goaway(stream))
            go_on.set()
            while stream not in connection.ended:
                await connection.frame()
            connection.answer(stream, b"old")
            await connection.writer.drain()
            return
        while True:
            while stream not in connection.ended:
                await connection.frame()
            connection.answer(stream, b"new")
            stream = await connection.request()

    async with raw_server(path, script) as server, asyncio.timeout(20):
        channel = dial(most_connections=4)
        async with upload(channel, "ask").open() as stream:
            await stream.send_message(BytesValue(value=bytes(1000)))
            await go_on.wait()
            for _ in range(5):
                assert await ask(channel) == b"new"
            for _ in range(20):
                await stream.send_message(BytesValue(value=bytes(1000)))
            await stream.send_message(BytesValue(), end=True)
            answer = await stream.recv_message()
        assert answer is not None
        assert answer.value == b"old"
    assert len(server.connections) == 2


@pytest.mark.grpclib_fails("it repeats nothing")
@pytest.mark.parametrize("how", ["goaway", "goaway with an error", "reset"])
async def test_a_call_that_was_refused_unseen_is_made_again(dial: Dial, path: Path, how: str) -> None:
    async def script(connection: Connection) -> None:
        await connection.greet()
        if connection.number == 0:
            connection.answer(await connection.request(), b"first")
            stream = await connection.request()
            if how == "goaway":
                connection.write(connection.goaway(stream - 2))
            elif how == "goaway with an error":
                connection.write(connection.goaway(stream - 2, ENHANCE_YOUR_CALM))
            else:
                connection.write(connection.reset(stream, REFUSED_STREAM))
        while True:
            connection.answer(await connection.request(), b"again")

    async with raw_server(path, script) as server:
        channel = dial(most_connections=4)
        assert await ask(channel) == b"first"
        assert await ask(channel) == b"again"
    assert len(server.connections) == 2


@pytest.mark.parametrize("how", ["abort", "close", "goaway", "flood"])
async def test_a_call_whose_connection_dies_is_not_made_again(how: str) -> None:
    """The server may have carried it out."""
    seen = 0

    async def script(connection: Connection) -> None:
        nonlocal seen
        await connection.greet()
        while True:
            stream = await connection.request()
            seen += 1
            if seen == 2:
                if how == "abort":
                    connection.abort()
                elif how == "goaway":
                    connection.write(connection.goaway(stream, ENHANCE_YOUR_CALM))
                elif how == "flood":
                    connection.write(*[PriorityFrame(stream)] * MORE_THAN_NGHTTP2_TAKES)
                return
            connection.answer(stream, b"x")

    async with raw_server(None, script) as server:
        channel = Channel(Address("127.0.0.1", server.port))
        assert await ask(channel) == b"x"
        with pytest.raises(NetworkError, match=f"the connection to 127.0.0.1:{server.port} broke"):
            await ask(channel)
        assert seen == 2
        assert await ask(channel) == b"x"
        channel.close()


@pytest.mark.grpclib_fails("it does not wait for its turn to send a request")
@pytest.mark.parametrize("limit", [1, 3])
async def test_calls_beyond_what_the_server_allows_wait_on_the_one_connection(
    dial: Dial, path: Path, limit: int
) -> None:
    most = 0

    async def script(connection: Connection) -> None:
        nonlocal most
        await connection.greet(MAX_CONCURRENT_STREAMS=limit)
        waiting: list[int] = []
        while True:
            waiting.append(await connection.request())
            most = max(most, len(waiting))
            if len(waiting) == limit:
                for stream in waiting:
                    connection.answer(stream, b"x")
                waiting.clear()

    async with raw_server(path, script) as server:
        channel = dial()
        # The first one learns the limit.
        first = [ask(channel) for _ in range(limit)]
        assert await asyncio.gather(*first) == [b"x"] * limit
        assert await asyncio.gather(*(ask(channel) for _ in range(limit * 10))) == [b"x"] * limit * 10
    assert most == limit
    assert len(server.connections) == 1


@pytest.mark.parametrize(
    ("code", "name"), [(CANCEL, "CANCEL"), (ENHANCE_YOUR_CALM, "ENHANCE_YOUR_CALM"), (2, "INT"), (0, "closed")]
)
@pytest.mark.grpclib_fails("it does not say why")
async def test_a_reset_is_named_and_leaves_the_connection(dial: Dial, path: Path, code: int, name: str) -> None:
    async def script(connection: Connection) -> None:
        await connection.greet()
        connection.write(connection.reset(await connection.request(), code))
        while True:
            connection.answer(await connection.request(), b"x")

    async with raw_server(path, script) as server:
        channel = dial()
        with pytest.raises(NetworkError, match=name):
            await ask(channel)
        assert await ask(channel) == b"x"
    assert len(server.connections) == 1


async def test_a_call_that_is_left_is_reset(dial: Dial, path: Path) -> None:
    async with raw_server(path, answering()) as server, asyncio.timeout(10):
        channel = dial()

        async def leave() -> None:
            async with upload(channel, "ask").open() as stream:
                await stream.send_message(BytesValue(value=b"x"))
                while not server.connections or not server.connections[0].bodies:
                    await asyncio.sleep(0.01)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await leave()
        assert await ask(channel) == b""
        assert len(server.connections[0].resets) == 1


async def test_short_answers_need_no_wider_window(path: Path) -> None:
    """Each call would otherwise send one more packet, which the server reads."""
    seen: list[Any] = []

    async def script(connection: Connection) -> None:
        await connection.greet()
        connection.answer(await connection.request(), b"short")
        while True:
            seen.append(await connection.frame())

    async with raw_server(path, script):
        channel = Channel(unix(str(path)), short_answers=True)
        assert await ask(channel) == b"short"
        channel.close()
    assert [frame for frame in seen if isinstance(frame, WindowUpdateFrame) and frame.stream_id] == []


async def test_an_answer_that_is_longer_than_expected_arrives(path: Path) -> None:
    value = bytes(80_000)

    async def script(connection: Connection) -> None:
        await connection.greet()
        stream = await connection.request()
        data = message(value)
        connection.write(connection.headers(stream, HEADERS))
        # As much as the window has room for, and the rest once it has room again.
        pieces = [data[start : start + 16_000] for start in range(0, len(data), 16_000)]
        connection.write(*(connection.data(stream, piece) for piece in pieces[:4]))
        while not (isinstance(frame := await connection.frame(), WindowUpdateFrame) and frame.stream_id):
            pass
        connection.write(*(connection.data(stream, piece) for piece in pieces[4:]))
        connection.write(connection.headers(stream, OK, end=True))
        await connection.request()

    async with raw_server(path, script):
        channel = Channel(unix(str(path)), short_answers=True)
        assert await ask(channel) == value
        channel.close()


async def test_a_server_that_never_answers_is_given_up_in_time(dial: Dial, path: Path) -> None:
    async def script(connection: Connection) -> None:
        await connection.greet()
        connection.answer(await connection.request())
        while True:
            await connection.frame()

    async with raw_server(path, script) as server:
        channel = dial()
        # The connection stands, so that each call reaches the server before its time is over.
        await ask(channel)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await ask(channel, timeout=1)
        await until(lambda: len(server.connections[0].resets) >= 3)
        assert len(server.connections[0].resets) == 3
