"""What a cloud, and the way to it, can do wrong: each function does it for a while."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from module.local.calls import Arrival, Call, Refusal
from tests.faults.bench import CAMERA, DATA, Bench, rows_of

_POISONED = "s1"
_TOKEN_S = 0.25
_MORE_THAN_A_CHUNK, _LESS_THAN_A_CHUNK = 3000, 1500
"""Bytes of a message, beside the ``chunk_bytes`` of the bench."""

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


async def tokens_expire(bench: Bench, seconds: float) -> None:
    """Tokens live for a quarter of a second: each is followed by one other, over a connection of its own."""
    cloud, link = bench.cloud, bench.link
    # An authentication or a connection that had begun before counts as neither.
    async with _between_uploads(bench):
        begun, before, connections = time.monotonic(), cloud.authentications, link.taken
        cloud.token_lifetime_s = _TOKEN_S
    until = before + max(3, int(seconds / _TOKEN_S))
    await cloud.wait_for(lambda: cloud.authentications >= until, 60)
    given = cloud.authentications - before
    # The token of before may have expired at once; from then on, each lives as long as it may.
    assert given <= (time.monotonic() - begun) / _TOKEN_S + 1, f"a storm of {given} authentications"
    assert 0 <= link.taken - connections - given <= 1, f"{link.taken - connections} connections for {given} tokens"


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


async def poison_row(bench: Bench, seconds: float) -> None:
    """One row is INVALID_ARGUMENT, and any batch that holds it: that row fails, all else arrives."""
    number = len(bench.sensors[_POISONED].polls) + 5

    async def judge(call: Call) -> None:
        if call.metadata.component_name == _POISONED and number in rows_of(call.first.sensor_contents):
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "not this row")

    bench.cloud.judge = judge
    # Each half is an upload, and one that a busy computer answers late makes the search begin again.
    await bench.rig.until(lambda status: status["spool"]["failed"], 120)
    await asyncio.sleep(seconds)
    # A poll that is held up would be captured after the pause.
    await bench.still()
    await bench.rig.drained(120)
    answer = await bench.rig.command("failures")
    assert [(failure["source"], failure["error"]) for failure in answer["failures"]] == [
        (_POISONED, "INVALID_ARGUMENT: not this row")
    ]
    bench.take()
    assert bench.ledger.waiting <= {(_POISONED, number)}


async def all_rejected(bench: Bench, seconds: float) -> None:
    """Everything is INVALID_ARGUMENT: that is found out, and nothing is given up."""

    async def judge(_: Call) -> None:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "nothing at all")

    # While an upload that was let in still arrives, a rejection is that of one capture, which is given up.
    async with _between_uploads(bench):
        bench.cloud.judge = judge
    await _refused(bench, seconds, "nothing at all")
    # It ends as it begins.
    async with _between_uploads(bench):
        bench.heal()


@contextlib.asynccontextmanager
async def _between_uploads(bench: Bench) -> AsyncIterator[None]:
    """No upload is under way meanwhile."""
    await bench.rig.command("pause", what="upload")
    await bench.rig.until(lambda status: not status["upload"]["in_flight"])
    yield
    await bench.rig.command("resume", what="upload")


async def part_unknown(bench: Bench, seconds: float) -> None:
    """The cloud does not know the machine's part."""
    bench.cloud.part_ids.clear()
    await _refused(bench, seconds, "no robot part found")


async def _refused(bench: Bench, seconds: float, why: str) -> None:
    """See that nothing is given up from when the machine is not let in."""

    def holds(status: dict[str, Any]) -> bool:
        return status["upload"]["state"] == "refused" and not status["spool"]["failed"]

    # One upload that a busy computer answers late closes the link, and rejections are then found one at a time.
    await bench.rig.until(holds, 120)
    await asyncio.sleep(seconds)
    # In between, a cloud that is slow to refuse is away for the module.
    status = await bench.rig.until(holds, 120)
    assert why in status["upload"]["last_error"], status
    assert status["spool"]["items"] > 0


async def too_large(bench: Bench, seconds: float) -> None:
    """The cloud takes small messages only: what can be split or streamed arrives, the rest fails by name."""
    await bench.set_cloud(up=False)
    await bench.captured(20)
    await bench.picture()
    # A poll that is held up would be captured after the pause.
    await bench.still()
    await bench.set_cloud(up=True, max_message_bytes=_MORE_THAN_A_CHUNK)
    status = await bench.rig.drained(30)
    assert not status["spool"]["failed"], await bench.rig.command("failures")
    bench.take()
    assert not bench.ledger.waiting

    await bench.set_cloud(up=False)
    await bench.rig.command("resume", what="capture")
    await bench.picture()
    await asyncio.gather(*bench.put(1, 10 * _LESS_THAN_A_CHUNK))
    await asyncio.sleep(seconds)
    await bench.still()
    await bench.set_cloud(up=True, max_message_bytes=_LESS_THAN_A_CHUNK)
    await bench.rig.drained(30)
    answer = await bench.rig.command("failures")
    assert sorted(failure["source"] for failure in answer["failures"]) == [CAMERA, DATA], answer
    assert all("larger than max" in failure["error"] for failure in answer["failures"]), answer
    bench.take()
    assert {name for name, _ in bench.ledger.waiting} == {CAMERA, DATA}
    await bench.set_cloud(up=False)


FAULTS: dict[str, CloudFault] = {
    "the cloud is away": away,
    "the cloud flaps": flapping,
    "the cloud is slow": slow,
    "the link stalls in mid-stream": stalled,
    "replies are lost": replies_lost,
    "tokens are forgotten": tokens_forgotten,
    "tokens expire": tokens_expire,
    "RESOURCE_EXHAUSTED": exhausted,
    "INVALID_ARGUMENT for one source": poison,
    "INVALID_ARGUMENT for one row": poison_row,
    "INVALID_ARGUMENT for everything": all_rejected,
    'UNKNOWN "no robot part found"': part_unknown,
    "messages are too large": too_large,
}
_FAILING = {poison, poison_row, too_large}
"""What may have failures; they are retried once it is over."""


async def cloud_round(bench: Bench, name: str, seconds: float) -> None:
    """Let one fault happen for so long, over captures that were reported, and see that nothing is missing."""
    await bench.captured(3)
    bench.begin(name)
    await FAULTS[name](bench, seconds)
    bench.strike()
    bench.may_fail = FAULTS[name] in _FAILING
    await bench.settle()


async def cloud_rounds(bench: Bench, minutes: float) -> None:
    """All faults in turn, for random times, until so many minutes have passed; each of them at least once."""
    until = time.monotonic() + minutes * 60
    while True:
        for name in FAULTS:
            await cloud_round(bench, name, bench.chance.uniform(0.3, 3.0))
        if time.monotonic() >= until:
            return
