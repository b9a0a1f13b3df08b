from __future__ import annotations

import asyncio

import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from grpclib.const import Cardinality
from hyperframe.frame import WindowUpdateFrame

from module.delivery.wire.stall import WITHIN_BYTES, Patience, StallWatch
from module.network.address import Address
from module.network.call import Call
from module.network.channel import Channel
from tests.network.raw import Connection, RawServer, raw_server
from tests.waiting import until


def test_patience_grows_with_answers_that_are_late_and_has_an_end() -> None:
    patience = Patience(2)
    for expected in (4, 8, 16, 32, 64, 64):
        patience.was_too_short(patience.answer_s)
        assert patience.answer_s == expected


def test_uploads_that_were_late_together_count_once() -> None:
    patience = Patience(2)
    for _ in range(10):
        patience.was_too_short(2)
    assert patience.answer_s == 4


def test_patience_goes_back_to_the_timeout_once_answers_come_in_time() -> None:
    patience = Patience(2)
    for _ in range(3):
        patience.was_too_short(patience.answer_s)
    patience.was_enough(0.01)
    assert 12 < patience.answer_s < 16
    for _ in range(200):
        patience.was_enough(0.01)
    assert patience.answer_s == 2


@pytest.mark.parametrize("waited_s", [6.0, 7.9])
def test_what_answers_still_need_is_kept(waited_s: float) -> None:
    patience = Patience(2)
    for _ in range(3):
        patience.was_too_short(patience.answer_s)
    for _ in range(1000):
        patience.was_enough(waited_s)
    assert patience.answer_s == pytest.approx(2 * waited_s)


async def test_libcurl_holds_no_more_of_a_call_than_counts_as_on_its_way() -> None:
    """Else the last bytes of an upload over a slow link would count as a cloud that does not answer."""
    window, step = 65_535, 5000
    calls: list[Call] = []
    held: list[int] = []

    async def take_little_by_little(connection: Connection) -> None:
        await connection.greet()
        connection.write(WindowUpdateFrame(0, window_increment=10_000_000))
        stream, room = await connection.request(whole=False), window
        while stream not in connection.ended:
            await connection.frame()
            if len(connection.bodies.get(stream, b"")) == room:
                passed = calls[0].passed
                assert passed is not None
                held.append(calls[0].sent_bytes - passed.written)
                room += step
                connection.write(WindowUpdateFrame(stream, window_increment=step))
        connection.answer(stream)

    async with raw_server(None, take_little_by_little) as server, asyncio.timeout(20):
        channel = Channel(Address("127.0.0.1", server.port))
        async with channel.request("/ask", Cardinality.UNARY_UNARY, BytesValue, BytesValue) as call:
            calls.append(call)
            await call.send_message(BytesValue(value=bytes(1_000_000)), end=True)
            await call.recv_message()
        channel.close()
    assert 128 * 1024 < max(held) <= WITHIN_BYTES


async def test_bytes_that_move_again_shortly_before_the_time_is_over_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """And an upload that then stalls for good is still ended."""
    window, timeout_s, ahead_s = 65_535, 60.0, 0.0
    loop = asyncio.get_running_loop()
    clock = loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + ahead_s)

    async def pass_a_quarter() -> None:
        nonlocal ahead_s
        ahead_s += timeout_s / 4 + 0.1
        for _ in range(5):
            await asyncio.sleep(0)

    async def take_what_is_sent(connection: Connection) -> None:
        await connection.greet()
        connection.write(WindowUpdateFrame(0, window_increment=10_000_000))
        while True:
            await connection.frame()

    async def upload(channel: Channel, server: RawServer) -> None:
        request = channel.request("/ask", Cardinality.UNARY_UNARY, BytesValue, BytesValue)
        async with asyncio.timeout(None) as limit, request as call:
            await call.send_message(BytesValue(value=bytes(1_000_000)), end=True)
            await until(lambda: server.connections and len(server.connections[0].bodies.get(1, b"")) == window)
            watch = StallWatch(limit, call, timeout_s, Patience(timeout_s))
            try:
                # The first look sees what has been sent before.
                for _ in range(1 + 3):
                    await pass_a_quarter()
                before = call.sent_bytes
                server.connections[0].write(WindowUpdateFrame(1, window_increment=400_000))
                await until(lambda: call.sent_bytes > before)
                for _ in range(3):
                    await pass_a_quarter()
                moved.set()
                for _ in range(20):
                    await pass_a_quarter()
            finally:
                watch.stop()

    moved = asyncio.Event()
    async with raw_server(None, take_what_is_sent) as server:
        channel = Channel(Address("127.0.0.1", server.port))
        with pytest.raises(TimeoutError):
            await upload(channel, server)
        channel.close()
    assert moved.is_set()
