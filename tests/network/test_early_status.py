"""A server that answers before all was sent to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from grpclib import GRPCError, Status
from hyperframe.frame import WindowUpdateFrame

from tests.network.raw import HEADERS, Connection, raw_server
from tests.network.rig import unary, upload

Dial = Callable[..., Any]
CANCEL = 8


def one_large(channel: Any) -> Awaitable[BytesValue]:
    return unary(channel, "ask")(BytesValue(value=bytes(300_000)))


def many(channel: Any) -> Awaitable[BytesValue]:
    return upload(channel, "ask")([BytesValue(value=bytes(100_000))] * 30)


def two(channel: Any) -> Awaitable[BytesValue]:
    """All of it has been given before the answer comes."""
    return upload(channel, "ask")([BytesValue(value=bytes(1000)), BytesValue(value=bytes(100_000))])


@pytest.mark.grpclib_fails("it waits for room to send, unless the stream is reset")
@pytest.mark.parametrize("reset", [None, 0, CANCEL])
@pytest.mark.parametrize("send", [one_large, many, two])
async def test_a_status_that_comes_before_all_was_sent_counts(
    dial: Dial, path: Path, send: Callable[[Any], Awaitable[BytesValue]], reset: int | None
) -> None:
    async def script(connection: Connection) -> None:
        await connection.greet()
        connection.write(WindowUpdateFrame(0, window_increment=1_000_000))
        while True:
            stream = await connection.request(whole=False)
            # Each stream may send what its first window holds, and no more.
            while len(connection.bodies.get(stream, b"")) < 60_000:
                await connection.frame()
            connection.write(connection.headers(stream, [*HEADERS, ("grpc-status", "3")], end=True))
            if reset is not None:
                connection.write(connection.reset(stream, reset))

    async with raw_server(path, script) as server, asyncio.timeout(20):
        channel = dial()
        for _ in range(3):
            with pytest.raises(GRPCError) as refused:
                await send(channel)
            assert refused.value.status is Status.INVALID_ARGUMENT
    assert len(server.connections) == 1
