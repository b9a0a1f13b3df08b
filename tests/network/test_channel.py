"""Calls over our channel and over grpclib's, against the servers of two libraries."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from grpclib import GRPCError, Status

from module.errors import NetworkError
from tests.network.rig import SERVERS, Refuse, Served, channel_of, download, grpclib_server, unary, upload

Dial = Callable[..., Any]
MANY = 300
LARGE = 50 * 1024 * 1024


@pytest.fixture(params=sorted(SERVERS))
def serve(request: pytest.FixtureRequest, path: Path) -> Any:
    """Serves scripts, by name, in a context."""
    return lambda **scripts: SERVERS[request.param](path, scripts)


async def echo(call: Served) -> None:
    await call.answer(b"".join(await call.read()))


@pytest.mark.parametrize("size", [0, 1, 100, 16_384, 100_000, 3_000_000])
async def test_a_message_comes_back_whole(serve: Any, dial: Dial, size: int) -> None:
    value = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    async with serve(echo=echo):
        assert (await unary(dial(), "echo")(BytesValue(value=value))).value == value


async def test_a_stream_is_sent_whole_and_in_order(serve: Any, dial: Dial) -> None:
    parts = [bytes((number % 256,)) * size for number, size in enumerate([0, 1, 70_000, 300_000, 5] * 10)]
    async with serve(echo=echo):
        answer = await upload(dial(), "echo")([BytesValue(value=part) for part in parts])
    assert answer.value == b"".join(parts)


async def test_a_stream_of_nothing_is_answered(serve: Any, dial: Dial) -> None:
    async with serve(echo=echo):
        assert (await upload(dial(), "echo")([])).value == b""


async def test_messages_arrive_as_they_are_sent(serve: Any, dial: Dial) -> None:
    seen = asyncio.Event()

    async def one_by_one(call: Served) -> None:
        await call.read()
        for number in range(3):
            await call.answer(bytes((number,)))
            await seen.wait()
            seen.clear()

    async with serve(count=one_by_one), download(dial(), "count").open() as stream, asyncio.timeout(10):
        await stream.send_message(BytesValue(), end=True)
        got = []
        async for message in stream:
            got.append(message.value)
            seen.set()
    assert got == [b"\0", b"\1", b"\2"]


async def test_metadata_goes_up_and_trailers_come_down(serve: Any, dial: Dial) -> None:
    seen: dict[str, Any] = {}

    async def keep(call: Served) -> None:
        seen.update(call.metadata)
        call.trailers = [("word", "last"), ("data-bin", b"\0\xff\1")]
        await call.answer(b"")

    metadata: dict[str, str | bytes] = {"authorization": "Bearer abc", "bytes-bin": bytes(range(256))}
    async with serve(keep=keep), unary(dial(), "keep").open(metadata=metadata) as stream:
        await stream.send_message(BytesValue(), end=True)
        await stream.recv_message()
        await stream.recv_trailing_metadata()
    assert (seen["authorization"], seen["bytes-bin"]) == ("Bearer abc", bytes(range(256)))
    assert dict(stream.trailing_metadata or {}) == {"word": "last", "data-bin": b"\0\xff\1"}


async def test_each_call_has_its_own_metadata_and_answer_though_handles_are_kept(serve: Any, dial: Dial) -> None:
    async def mirror(call: Served) -> None:
        (value,) = await call.read()
        call.trailers = [("word", call.metadata["word"])]
        if call.metadata["word"] == "no":
            raise Refuse(Status.NOT_FOUND, value.decode())
        await call.answer(value + (b" in time" if call.seconds_left is not None else b""))

    async with serve(mirror=mirror):
        method = unary(dial(), "mirror")
        for word, value, timeout in (("a", b"1", None), ("b", b"22", 20), ("a", b"3", 20), ("b", b"4", None)) * 2:
            async with method.open(metadata={"word": word}, timeout=timeout) as stream:
                await stream.send_message(BytesValue(value=value), end=True)
                reply = await stream.recv_message()
                await stream.recv_trailing_metadata()
            assert reply is not None
            assert reply.value == value + (b"" if timeout is None else b" in time")
            assert dict(stream.trailing_metadata or {}) == {"word": word}
            with pytest.raises(GRPCError, match=f"not {word}"):
                await method(BytesValue(value=f"not {word}".encode()), metadata={"word": "no"})


@pytest.mark.parametrize("text", ["no", "grüezi 100 %\nzweite", "日本", "a%20b"])
async def test_a_refusal_says_what_the_server_said(serve: Any, dial: Dial, text: str) -> None:
    async def refuse(call: Served) -> None:
        await call.read()
        raise Refuse(Status.FAILED_PRECONDITION, text)

    async with serve(refuse=refuse):
        channel = dial()
        for method in (unary(channel, "refuse"), download(channel, "refuse")):
            with pytest.raises(GRPCError) as refused:
                await method(BytesValue())
            assert (refused.value.status, refused.value.message) == (Status.FAILED_PRECONDITION, text)


async def test_a_method_that_is_not_there_is_said_to_be_so(serve: Any, dial: Dial) -> None:
    async with serve(echo=echo):
        with pytest.raises(GRPCError) as refused:
            await unary(dial(), "none")(BytesValue())
    # grpclib's server sends no content type with it, which its client does not forgive.
    assert refused.value.status in (Status.UNIMPLEMENTED, Status.UNKNOWN)


async def test_a_deadline_is_sent_and_kept(serve: Any, dial: Dial) -> None:
    left: list[float | None] = []

    async def sleep(call: Served) -> None:
        left.append(call.seconds_left)
        await asyncio.sleep(30)

    async with serve(sleep=sleep):
        channel = dial()
        begun = time.monotonic()
        with pytest.raises((TimeoutError, GRPCError)):
            await unary(channel, "sleep")(BytesValue(), timeout=3)
        assert 2.9 < time.monotonic() - begun < 13
    assert left[0] is not None
    assert 0 < left[0] < 3.2


async def test_a_cancelled_call_is_cancelled_there_and_the_connection_stays(serve: Any, dial: Dial) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def sleep(call: Served) -> None:
        begun.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()

    async with serve(sleep=sleep, echo=echo), asyncio.timeout(10):
        channel = dial()
        task = asyncio.create_task(unary(channel, "sleep")(BytesValue()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ended.wait()
        assert (await unary(channel, "echo")(BytesValue(value=b"x"))).value == b"x"


async def test_many_calls_at_once_are_all_answered(serve: Any, dial: Dial) -> None:
    async with serve(echo=echo):
        channel = dial()
        calls = [unary(channel, "echo")(BytesValue(value=str(n).encode())) for n in range(MANY)]
        answers = await asyncio.gather(*calls)
    assert [answer.value for answer in answers] == [str(n).encode() for n in range(MANY)]


async def test_a_large_answer_arrives(serve: Any, dial: Dial) -> None:
    async def large(call: Served) -> None:
        await call.read()
        await call.answer(bytes(LARGE))

    async with serve(large=large):
        assert len((await unary(dial(), "large")(BytesValue())).value) == LARGE


async def test_a_server_that_began_again_is_found_at_the_same_path(serve: Any, dial: Dial) -> None:
    channel = None
    for number in range(3):
        async with serve(echo=echo):
            channel = channel or dial()
            assert (await unary(channel, "echo")(BytesValue(value=b"%d" % number))).value == b"%d" % number
        # A connection that the old server has left open still serves.
        with contextlib.suppress(OSError):
            await unary(channel, "echo")(BytesValue())


async def test_the_path_of_a_socket_may_have_any_letters(tmp_path: Path) -> None:
    path = tmp_path / "größe.sock"
    async with grpclib_server(path, {"echo": echo}):
        channel = channel_of("ours", path)
        assert (await unary(channel, "echo")(BytesValue(value=b"x"))).value == b"x"
        channel.close()


@pytest.mark.grpclib_fails("it has the file's error without the file's name, and connects on the event loop")
async def test_a_server_that_is_not_there_is_named(dial: Dial, path: Path) -> None:
    with pytest.raises(NetworkError, match=str(path)):
        await unary(dial(), "echo")(BytesValue())


@pytest.mark.grpclib_fails("it opens a new connection")
async def test_a_channel_that_is_closed_ends_its_calls_and_makes_no_more(serve: Any, dial: Dial) -> None:
    async def sleep(call: Served) -> None:
        await asyncio.sleep(30)

    async with serve(sleep=sleep), asyncio.timeout(10):
        channel = dial()
        task = asyncio.create_task(unary(channel, "sleep")(BytesValue()))
        await asyncio.sleep(0.05)
        channel.close()
        channel.close()
        with pytest.raises(NetworkError, match="was closed"):
            await task
        with pytest.raises(NetworkError, match="has been closed"):
            await unary(channel, "sleep")(BytesValue())


async def test_what_is_sent_waits_for_the_server(serve: Any, dial: Dial) -> None:
    """No more than the windows of HTTP/2 and a message or two wait in memory."""
    go_on = asyncio.Event()

    async def late(call: Served) -> None:
        await go_on.wait()
        await call.answer(str(sum(map(len, await call.read()))).encode())

    given = 0
    async with serve(late=late), upload(dial(), "late").open() as stream, asyncio.timeout(30):

        async def give() -> None:
            nonlocal given
            while not go_on.is_set():
                await stream.send_message(BytesValue(value=bytes(100_000)))
                given += 1

        giver = asyncio.create_task(give())
        await asyncio.sleep(0.5)
        in_memory = given
        go_on.set()
        await giver
        await stream.send_message(BytesValue(), end=True)
        answer = await stream.recv_message()
    assert in_memory < 300
    assert answer is not None
    assert int(answer.value) == given * 100_000
