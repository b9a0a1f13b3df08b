"""Answers that are torn at any byte, frames of any kind between, and answers that are none.

``COURIER_FUZZ_EXAMPLES=100000`` has each test try so many.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from grpclib import GRPCError, Status
from hyperframe import frame as frames
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from module.errors import NetworkError
from module.network.address import unix
from module.network.channel import Channel
from tests.network.raw import HEADERS, Connection, message, raw_server
from tests.network.rig import download, unary

EXAMPLES = int(os.environ.get("COURIER_FUZZ_EXAMPLES", "150"))
HANG_S = 10
"""No answer takes so long, whatever else the machine does."""
ASKED_AT_MOST = 50
"""On one connection: nghttp2 takes more PINGs and SETTINGS than any server sends for a flood."""
FUZZ = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True, database=None
)

Reply = Callable[[Connection, int], Awaitable[None]]


class Bench:
    """A server that replies as each example says, and one channel to it for all of them."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory()
        self._reply: Reply | None = None
        self._asked = 0
        self._runner.run(self._open())

    async def _open(self) -> None:
        self._path = Path(self._folder.name) / "s.sock"
        self._server = raw_server(self._path, self._serve)
        await self._server.__aenter__()
        self._dial()

    def _dial(self) -> None:
        self.channel = Channel(unix(str(self._path)), most_answer_bytes=100_000)

    async def _serve(self, connection: Connection) -> None:
        await connection.greet()
        while True:
            stream = await connection.request()
            assert self._reply is not None
            await self._reply(connection, stream)

    def ask(self, reply: Reply, *, streamed: bool = False) -> Any:
        """What a call returns that is answered so. Raises what it raises, and AssertionError if it hangs."""
        self._reply = reply
        return self._runner.run(self._ask(streamed))

    async def _ask(self, streamed: bool) -> Any:
        self._asked += 1
        if self._asked % ASKED_AT_MOST == 0:
            self.channel.close()
            self._dial()
        try:
            async with asyncio.timeout(HANG_S):
                if streamed:
                    return [each.value for each in await download(self.channel, "ask")(BytesValue())]
                return (await unary(self.channel, "ask")(BytesValue())).value
        except TimeoutError as error:
            raise AssertionError("the call hangs") from error

    def close(self) -> None:
        async def close() -> None:
            self.channel.close()
            await self._server.__aexit__(None, None, None)

        self._runner.run(close())
        self._runner.close()
        self._folder.cleanup()


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


HARMLESS = st.one_of(
    st.builds(lambda data: frames.PingFrame(0, data), st.binary(min_size=8, max_size=8)),
    st.builds(lambda size: frames.WindowUpdateFrame(0, size), st.integers(1, 1000)),
    st.builds(lambda size: frames.SettingsFrame(0, settings={4: size}), st.integers(100, 2**20)),
    # A type that nobody knows is passed over (RFC 9113, 4.1).
    st.builds(
        lambda kind, data: len(data).to_bytes(3, "big") + bytes((kind, 0, 0, 0, 0, 0)) + data,
        st.integers(0x20, 0xFF),
        st.binary(max_size=40),
    ),
)
STATUSES = st.sampled_from([status for status in Status if status is not Status.OK])


@FUZZ
@given(
    values=st.lists(st.binary(max_size=3000), min_size=0, max_size=4),
    cuts=st.lists(st.integers(0, 12_000), max_size=12),
    between=st.lists(HARMLESS, max_size=6),
    status=st.none() | STATUSES,
)
def test_a_right_answer_is_read_whatever_pieces_it_comes_in(
    bench: Bench, values: list[bytes], cuts: list[int], between: list[Any], status: Status | None
) -> None:
    data = b"".join(map(message, values))
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]

    async def reply(connection: Connection, stream: int) -> None:
        parts: list[Any] = [connection.headers(stream, HEADERS)]
        for index, piece in enumerate(pieces):
            parts += [*between[index : index + 1], connection.data(stream, piece)]
        parts.append(
            connection.headers(stream, [("grpc-status", str(0 if status is None else status.value))], end=True)
        )
        # Each by itself if there are frames between, otherwise all together.
        for together in [[part] for part in parts] if between else [parts]:
            connection.write(*together)
            await asyncio.sleep(0)

    if status is None:
        assert bench.ask(reply, streamed=True) == values
    else:
        with pytest.raises(GRPCError) as refused:
            bench.ask(reply, streamed=True)
        assert refused.value.status is status


ANY_FRAME = st.one_of(
    HARMLESS,
    st.tuples(st.just("data"), st.binary(max_size=200), st.booleans()),
    st.tuples(st.just("message"), st.binary(max_size=200), st.booleans()),
    st.tuples(
        st.just("headers"),
        st.lists(
            st.sampled_from(
                [
                    (":status", "200"),
                    (":status", "404"),
                    (":status", "100"),
                    ("content-type", "application/grpc"),
                    ("content-type", "text/html"),
                    ("grpc-status", "0"),
                    ("grpc-status", "13"),
                    ("grpc-status", "x"),
                    ("grpc-message", "%E2%82"),
                    ("grpc-status-details-bin", "!!"),
                    ("x-bin", "?"),
                    ("x", "\u00e9"),
                ]
            ),
            max_size=5,
        ),
        st.booleans(),
    ),
    st.tuples(st.just("reset"), st.integers(0, 20), st.booleans()),
    st.tuples(st.just("goaway"), st.integers(0, 20), st.booleans()),
    st.binary(min_size=1, max_size=40),
)


def frame_of(connection: Connection, stream: int, what: Any) -> Any:
    if not isinstance(what, tuple):
        return what
    kind, value, flag = what
    if kind == "data":
        return connection.data(stream, value, end=flag)
    if kind == "message":
        return connection.data(stream, message(value), end=flag)
    if kind == "headers":
        return connection.headers(stream, value, end=flag)
    return connection.reset(stream, value) if kind == "reset" else connection.goaway(stream if flag else 0, value)


@FUZZ
@given(whats=st.lists(ANY_FRAME, max_size=8), streamed=st.booleans())
def test_whatever_comes_the_call_ends_and_the_channel_goes_on(bench: Bench, whats: list[Any], streamed: bool) -> None:
    async def reply(connection: Connection, stream: int) -> None:
        connection.write(*(frame_of(connection, stream, what) for what in whats))
        await asyncio.sleep(0)
        connection.writer.close()

    try:
        value = bench.ask(reply, streamed=streamed)
    except (GRPCError, NetworkError):
        pass
    else:
        of_ours = [what for what in whats if isinstance(what, tuple)]
        # Bytes that are no message may make up any message.
        if not any(kind == "data" for kind, *_ in of_ours):
            sent = [what[1] for what in of_ours if what[0] == "message"]
            if streamed:
                assert value == sent[: len(value)]
            else:
                assert value == sent[0]

    async def right(connection: Connection, stream: int) -> None:
        connection.answer(stream, b"right")

    assert bench.ask(right) == b"right"
