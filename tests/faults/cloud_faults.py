"""What a cloud, and the way to it, can do wrong: each function does it for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import grpc

from module.demo.cloud import Arrival, Call, Refusal
from tests.faults.bench import Bench

_POISONED = "s1"

CloudFault = Callable[[Bench, float], Awaitable[None]]


async def away(bench: Bench, seconds: float) -> None:
    """Every connection is cut, and none is taken."""
    await bench.set_cloud(up=False)
    await asyncio.sleep(seconds)


async def flapping(bench: Bench, seconds: float) -> None:
    """Away and back, several times a second."""
    until, up = time.monotonic() + seconds, True
    while time.monotonic() < until:
        up = not up
        await bench.set_cloud(up=up)
        await asyncio.sleep(bench.chance.uniform(0.02, 0.3))


async def slow(bench: Bench, seconds: float) -> None:
    """Each upload takes 0.1 to 0.6 s before it is stored."""

    async def judge(_: Call) -> None:
        await asyncio.sleep(bench.chance.uniform(0.1, 0.6))

    bench.cloud.judge = judge
    await asyncio.sleep(seconds)


async def stalled(bench: Bench, seconds: float) -> None:
    """In the middle of a stream not a byte passes any more; then it goes on, or the connection breaks."""
    puts = bench.put(3, 100_000)
    bench.link.stall_after(bench.chance.randrange(200, 100_000))
    async with asyncio.timeout(30):
        await bench.link.stalled.wait()
    await asyncio.sleep(seconds)
    await asyncio.gather(*puts)
    if bench.chance.random() < 0.5:
        await bench.link.cut()


async def replies_lost(bench: Bench, seconds: float) -> None:
    """Of the uploads that are stored every other one is answered with UNAVAILABLE."""

    async def after(_: Arrival) -> None:
        if bench.chance.random() < 0.5:
            raise Refusal(grpc.StatusCode.UNAVAILABLE, "the answer got lost")

    bench.cloud.after = after
    await asyncio.sleep(seconds)


async def tokens_forgotten(bench: Bench, seconds: float) -> None:
    """All tokens are forgotten, several times a second."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        bench.cloud.forget_tokens()
        await asyncio.sleep(bench.chance.uniform(0.05, 0.4))


async def exhausted(bench: Bench, seconds: float) -> None:
    """Most uploads are RESOURCE_EXHAUSTED."""

    async def judge(_: Call) -> None:
        if bench.chance.random() < 0.8:
            raise Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "later, please")

    bench.cloud.judge = judge
    await asyncio.sleep(seconds)


async def poison(bench: Bench, seconds: float) -> None:
    """All that one source captured is INVALID_ARGUMENT; the others are taken."""

    async def judge(call: Call) -> None:
        if call.metadata.component_name == _POISONED:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "not this one")

    bench.cloud.judge = judge
    await asyncio.sleep(seconds)
    answer = await bench.rig.command("failures", limit=1000)
    strangers = {failure["source"] for failure in answer["failures"]} - {_POISONED}
    assert not strangers, f"among the failures: {strangers}"


FAULTS: dict[str, CloudFault] = {
    "the cloud is away": away,
    "the cloud flaps": flapping,
    "the cloud is slow": slow,
    "the link stalls in mid-stream": stalled,
    "replies are lost": replies_lost,
    "tokens are forgotten": tokens_forgotten,
    "RESOURCE_EXHAUSTED": exhausted,
    "INVALID_ARGUMENT for one source": poison,
}


async def cloud_round(bench: Bench, name: str, seconds: float) -> None:
    """Let one fault happen for so long, over captures that were reported, and see that nothing is missing."""
    await bench.captured(3)
    bench.begin(name)
    await FAULTS[name](bench, seconds)
    bench.strike()
    await bench.settle()


async def cloud_rounds(bench: Bench, minutes: float) -> None:
    """All faults in turn, for random times, until so many minutes have passed; each of them at least once."""
    until = time.monotonic() + minutes * 60
    while True:
        for name in FAULTS:
            await cloud_round(bench, name, bench.chance.uniform(0.3, 3.0))
        if time.monotonic() >= until:
            return
