from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from module.network.throttle import CREDIT_S, FRAME_S, Bucket, Throttle
from tests.delivery.proxy import CountingProxy, counting_proxy
from tests.delivery.rig import Rig, config_of, file_of, image, local_cloud, row


@given(st.floats(1, 1e9), st.lists(st.floats(0, 3), min_size=1, max_size=200), st.data())
def test_no_five_seconds_send_more_than_they_may(rate: float, pauses: list[float], data: st.DataObject) -> None:
    """Whatever is sent when: five seconds of the rate, the credit, and one frame."""
    frame = rate * FRAME_S
    now, bucket, sent = 1000.0, Bucket(rate, 1000.0), list[tuple[float, float]]()
    for pause in pauses:
        now += pause
        if bucket.wait_s(now) == 0:
            size = data.draw(st.floats(0, frame))
            bucket.spend(int(size), now)
            sent.append((now, int(size)))
    for start, _ in sent:
        within = sum(size for at, size in sent if start <= at <= start + 5)
        assert within <= rate * (5 + CREDIT_S) + frame + 1e-6 * rate
    assert rate * (5 + CREDIT_S) + frame <= rate * 5 * 1.05


def test_a_call_that_waits_as_long_as_it_must_may_send() -> None:
    bucket = Bucket(1000, 0.0)
    bucket.spend(500, 0.0)
    assert 0.5 <= bucket.wait_s(0.0) < 0.52
    assert bucket.wait_s(bucket.wait_s(0.0)) == 0


def test_a_long_rest_saves_up_no_more_than_the_credit() -> None:
    bucket = Bucket(1000, 0.0)
    assert bucket.wait_s(3600.0) == 0
    bucket.spend(int(1000 * CREDIT_S) + 1, 3600.0)
    assert bucket.wait_s(3600.0) > 0


def test_a_clock_that_stands_still_does_not_stop_a_first_byte() -> None:
    assert Bucket(1, 7.0).wait_s(7.0) == 0


@pytest.mark.parametrize(("rate", "frame"), [(1, 256), (10_000, 500), (1_000_000, 50_000)])
async def test_frames_are_a_twentieth_of_a_second_and_not_tiny(rate: int, frame: int) -> None:
    assert Throttle(rate).frame_bytes == frame


async def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    throttle = Throttle(100_000)
    served: list[str] = []
    ended = asyncio.Event()

    def sender(name: str) -> Callable[[], None]:
        def go_on() -> None:
            if throttle.take(throttle.frame_bytes, go_on):
                served.append(name)
            if served.count(name) < 4:
                throttle.take(throttle.frame_bytes, go_on)
            elif len(served) == 12:
                ended.set()

        return go_on

    for name in "abc":
        assert throttle.take(throttle.frame_bytes, sender(name)) == 0
    async with asyncio.timeout(10):
        await ended.wait()
    assert "".join(served) == "abc" * 4


async def test_a_turn_is_one_frame_in_as_many_pieces_as_it_takes() -> None:
    throttle = Throttle(100_000)
    turn = asyncio.Event()
    go_on = turn.set
    assert throttle.take(10_000, go_on) == 0
    async with asyncio.timeout(10):
        await turn.wait()
    assert [throttle.take(2000, go_on) for _ in range(4)] == [2000, 2000, 1000, 0]


async def test_a_turn_that_is_not_used_passes_on() -> None:
    throttle = Throttle(100_000)
    turns = asyncio.Queue[str]()
    first, second = functools.partial(turns.put_nowait, "first"), functools.partial(turns.put_nowait, "second")
    throttle.take(10, first)
    throttle.take(10, second)
    async with asyncio.timeout(10):
        assert [await turns.get(), await turns.get()] == ["first", "second"]
    assert throttle.take(10, first) == 0
    assert throttle.take(10, second) == 10


async def test_a_call_that_leaves_the_queue_delays_no_other() -> None:
    throttle = Throttle(1_000_000)
    called = asyncio.Event()

    def gone() -> None:
        throttle.leave(gone)

    throttle.take(10, gone)
    throttle.take(10, called.set)
    throttle.take(10, print)
    throttle.leave(print)
    async with asyncio.timeout(10):
        await called.wait()


async def _capped(stack: AsyncExitStack, folder: Path, **upload: Any) -> tuple[Rig, CountingProxy]:
    cloud, address = await stack.enter_async_context(local_cloud())
    proxy, front = await stack.enter_async_context(counting_proxy(address))
    rig = Rig(config_of(folder / "spool", front, upload=upload), cloud)
    stack.push_async_callback(rig.close)
    await rig.open()
    return rig, proxy


@pytest.mark.parametrize(
    ("rate", "concurrency", "what"),
    [
        pytest.param(300_000, 8, "mixed", id="all methods at once"),
        pytest.param(100_000, 64, "mixed", id="more uploads than frames in a second"),
        pytest.param(150_000, 8, "one", id="one message of a megabyte"),
    ],
)
async def test_a_cap_holds_over_any_five_seconds_and_is_used(
    tmp_path: Path, rate: int, concurrency: int, what: str
) -> None:
    """Seven seconds of backlog, measured on the socket."""
    async with AsyncExitStack() as stack:
        rig, proxy = await _capped(stack, tmp_path, max_bytes_per_s=rate, concurrency=concurrency)
        each = rate * 7 // 4
        if what == "one":
            captures = [image(0, size=rate * 7, upload_as="binary")]
        else:
            captures = [
                *(row(number, padding=each // 60) for number in range(60)),
                *(image(number, size=each // 40) for number in range(40)),
                image(99, size=each, upload_as="streaming"),
                file_of(tmp_path, each),
            ]
        await rig.append(*captures)
        await rig.flush(30)
        assert proxy.most_within(5.0) <= 1.05 * rate * (5 + proxy.most_late_s)
        assert proxy.rate() <= 1.05 * rate
        assert proxy.rate_in_time() >= 0.9 * rate
        assert proxy.total >= rate * 7
        assert rig.status()["retries"] == 0


async def test_waiting_for_the_cap_is_no_lack_of_progress(tmp_path: Path) -> None:
    """A timeout that is shorter than a round of all uploads' turns ends none of them."""
    async with AsyncExitStack() as stack:
        rig, _ = await _capped(stack, tmp_path, max_bytes_per_s=2_500, concurrency=64, timeout_s=5)
        await rig.append(*(image(number, size=400) for number in range(64)))
        await rig.flush(60)
        assert rig.status()["retries"] == 0


async def test_a_cloud_that_stops_taking_is_still_noticed_under_a_cap(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        rig, _ = await _capped(stack, tmp_path, max_bytes_per_s=1_000_000, timeout_s=0.5)
        held = asyncio.Event()
        rig.cloud.judge = lambda _call: _until(held)
        await rig.append(image(1, size=100_000))
        await rig.until(lambda: rig.status()["last_error"] is not None)
        held.set()
        await rig.flush()
        # A busy computer may be late with the answer to the second try, too.
        assert set(rig.images()) == {1}


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def test_no_cap_makes_no_throttle(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        rig, proxy = await _capped(stack, tmp_path)
        started = time.monotonic()
        await rig.append(image(1, size=5_000_000))
        await rig.flush()
        assert time.monotonic() - started < 30
        assert proxy.total > 5_000_000
