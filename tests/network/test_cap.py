"""Calls under a bandwidth cap, beside a server that does not take what they send."""

from __future__ import annotations

import asyncio
from pathlib import Path

from google.protobuf.wrappers_pb2 import BytesValue
from hyperframe.frame import WindowUpdateFrame

from module.network.address import unix
from module.network.channel import Channel
from module.network.throttle import Throttle
from tests.network.raw import Connection, raw_server
from tests.network.rig import unary


async def test_under_a_cap_a_call_that_the_server_holds_up_holds_up_no_other(path: Path) -> None:
    """Its turn passes on, though it never sends what it has its turn for."""
    begun = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.greet()
        held_up = await connection.request(whole=False)
        begun.set()
        # Of the connection's window, the stream that is held up takes what a stream may at first.
        connection.write(WindowUpdateFrame(0, window_increment=1_000_000))
        while True:
            stream = await connection.request()
            assert stream != held_up
            connection.answer(stream, b"x")

    async with raw_server(path, script):
        channel = Channel(unix(str(path)), throttle=Throttle(5_000_000))
        held_up = asyncio.ensure_future(unary(channel, "ask")(BytesValue(value=bytes(1_000_000)), timeout=60))
        async with asyncio.timeout(20):
            await begun.wait()
            assert [(await unary(channel, "ask")(BytesValue(), timeout=20)).value for _ in range(20)] == [b"x"] * 20
        assert not held_up.done()
        held_up.cancel()
        await asyncio.gather(held_up, return_exceptions=True)
        channel.close()
