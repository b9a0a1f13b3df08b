"""kill -9 at random moments: each function waits for its moment, and kills."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from module.demo.cloud import Arrival, Call
from tests.faults.bench import GONE, Bench

Moment = Callable[[Bench], Awaitable[None]]

_AWAY = 0.4
_SETTLE_EVERY = 25
_HELD_S = 1.0


async def capture(bench: Bench) -> None:
    """At any moment while three sources are polled."""
    await bench.set_cloud(up=bench.chance.random() > _AWAY)
    await bench.captured(bench.chance.randrange(1, 10))
    await asyncio.sleep(bench.chance.uniform(0, 0.1))
    await _kill(bench, "capture")


async def commit(bench: Bench) -> None:
    """Within 30 ms of twenty appends at once: before, in and after the commit that they share."""
    await bench.set_cloud(up=bench.chance.random() > _AWAY)
    await bench.captured(1)
    puts = bench.put(20, bench.chance.choice((10, 1000, 20_000)))
    if bench.chance.random() < 0.5:
        await asyncio.wait(puts, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(bench.chance.uniform(0, 0.03))
    await _kill(bench, "commit")
    await asyncio.gather(*puts)


async def upload(bench: Bench) -> None:
    """While the cloud takes in a batch or a file, and has not stored it."""
    begun = asyncio.Event()

    async def hold(_: Call) -> None:
        begun.set()
        await asyncio.sleep(_HELD_S)

    await bench.set_cloud(up=True)
    bench.cloud.judge = hold
    await bench.captured(1)
    puts = bench.put(3, 100_000)
    await _await(begun)
    await asyncio.sleep(bench.chance.uniform(0, 0.06))
    await _kill(bench, "upload")
    await asyncio.gather(*puts)


async def acknowledgement(bench: Bench) -> None:
    """Just when the cloud has stored an upload: before, in and after its acknowledgement."""
    stored = asyncio.Event()

    async def note(_: Arrival) -> None:
        stored.set()

    await bench.set_cloud(up=True)
    await bench.captured(1)
    bench.cloud.after = note
    await _await(stored)
    await asyncio.sleep(bench.chance.uniform(0, 0.02))
    await _kill(bench, "acknowledgement")


async def start_up(bench: Bench) -> None:
    """At any moment of a start, from the process to the first captures, over a spool with a backlog."""
    await bench.set_cloud(up=bench.chance.random() > _AWAY)
    await bench.captured(5)
    await _kill(bench, "capture")
    start = asyncio.create_task(bench.restart())
    await asyncio.sleep(bench.chance.uniform(0.01, bench.start_s * 1.2))
    await _kill(bench, "start-up")
    with contextlib.suppress(*GONE):
        await start
    # A kill may come before there is a process.
    await bench.kill()


async def _await(event: asyncio.Event) -> None:
    async with asyncio.timeout(30):
        await event.wait()


async def _kill(bench: Bench, moment: str) -> None:
    bench.begin(f"kill -9 at {moment}")
    await bench.kill()
    bench.strike()


MOMENTS: tuple[Moment, ...] = (capture, commit, upload, acknowledgement, start_up)


async def kill_rounds(bench: Bench, kills: int) -> None:
    """Kill the module at least so many times, at all moments equally, and now and then see that nothing is missing."""
    done, moments = 0, list[Moment]()
    while done < kills:
        if not moments:
            moments = bench.chance.sample(MOMENTS, len(MOMENTS))
        moment = moments.pop()
        await moment(bench)
        bench.heal()
        await bench.restart()
        done += 2 if moment is start_up else 1
        if bench.chance.randrange(_SETTLE_EVERY) == 0:
            await bench.settle()
    await bench.settle()
