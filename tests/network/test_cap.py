"""Calls under a bandwidth cap, beside a server that does not take what they send."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

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


async def test_under_a_cap_a_call_that_is_made_again_first_waits_for_its_connection(path: Path) -> None:
    """The turn that it had asked for before is not its own any more: without a connection it could not use it."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))

    async def script(connection: Connection) -> None:
        await connection.greet()
        first = await connection.request()
        if connection.number == 0:
            begun.set()
            second = await connection.request(whole=False)
            while not connection.bodies.get(second):
                await connection.frame()
            connection.write(connection.goaway(first))
            await go_on.wait()
        connection.answer(first, b"x")
        await connection.request()

    async with raw_server(path, script) as server, asyncio.timeout(20):
        throttle = Throttle(2000)
        channel = Channel(unix(str(path)), throttle=throttle)
        first = asyncio.ensure_future(unary(channel, "ask")(BytesValue()))
        await begun.wait()
        second = asyncio.ensure_future(unary(channel, "ask")(BytesValue(value=bytes(2 * throttle.frame_bytes))))
        # As long as several turns.
        await asyncio.sleep(0.5)
        go_on.set()
        assert [(await each).value for each in (first, second)] == [b"x"] * 2
        channel.close()
    assert (errors, len(server.connections)) == ([], 2)
