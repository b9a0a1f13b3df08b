"""kill -9 at random moments: each function waits for its moment, and kills."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from module.attributes.uploader import WhenFull
from module.local.calls import Arrival, Call
from tests.faults.bench import FILLER, GONE, Bench
from tests.process.rig import NAME

Moment = Callable[[Bench], Awaitable[None]]

_AWAY = 0.4
_SETTLE_EVERY = 25
_HELD_S = 1.0
_ROOM = 2_000_000
"""For filler, beside what waits."""
_LARGE = 30
"""MB that are to become free in the file; 8 of them it keeps."""


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


async def retention(bench: Bench) -> None:
    """While each commit drops filler, the spool being full, and the sensors matter more."""
    await bench.set_cloud(up=False)
    await bench.captured(1)
    held = int((await bench.rig.status())["spool"]["bytes"])
    bench.attributes["spool"] = {"max_bytes": held + _ROOM, "when_full": bench.chance.choice(list(WhenFull)).value}
    bench.priority, bench.filling = 9, {"capture_frequency_hz": 60, "priority": 0}
    await bench.reconfigure()
    already = bench.chance.randrange(1, 20)
    status = await bench.rig.until(lambda status: status["sources"][FILLER]["dropped"] >= already, 30)
    assert status["spool"]["dropped"] == status["sources"][FILLER]["dropped"], status
    await asyncio.sleep(bench.chance.uniform(0, 0.05))
    await _kill(bench, "retention")
    # The next life has room, and uploads what filler is left.
    del bench.attributes["spool"]
    bench.priority, bench.filling = 5, None


async def vacuum(bench: Bench) -> None:
    """While the file of the spool shrinks, between captures that wait, after tens of MB have been delivered."""
    await bench.set_cloud(up=True)
    await bench.captured(1)
    bench.attributes["upload"]["chunk_bytes"] = 256 * 1024
    await bench.reconfigure()
    await bench.captured(3)
    await asyncio.gather(*bench.put(_LARGE, 1_000_000))
    await bench.rig.until(lambda status: status["spool"]["bytes"] < 1_000_000, 60)
    await bench.rig.command("pause", what="upload")
    count = bench.chance.randrange(20, 60)
    await bench.rig.until(lambda status: status["spool"]["items"] > count and not status["upload"]["in_flight"], 30)
    await bench.still()
    begun = _journal(bench)
    # If the file was written again during the delivery, it is not for a minute, and the kill meets its new form.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            while _journal(bench) == begun:
                await asyncio.sleep(0.005)
    await asyncio.sleep(bench.chance.uniform(0, 0.5))
    await _kill(bench, "vacuum")
    bench.attributes["upload"]["chunk_bytes"] = 2048


def _journal(bench: Bench) -> int:
    """When the journal was written last: with nothing to do, only the vacuum writes."""
    return (bench.rig.spool_of(NAME) / "spool.sqlite3-wal").stat().st_mtime_ns


async def _await(event: asyncio.Event) -> None:
    async with asyncio.timeout(30):
        await event.wait()


async def _kill(bench: Bench, moment: str) -> None:
    bench.begin(f"kill -9 at {moment}")
    await bench.kill()
    bench.strike()


QUICK: tuple[Moment, ...] = (capture, commit, upload, acknowledgement, start_up)
SLOW: tuple[Moment, ...] = (retention, vacuum)
"""Some seconds each."""
MOSTLY_QUICK = (*QUICK, *QUICK, *QUICK, *SLOW)


async def kill_rounds(bench: Bench, kills: int, among: Sequence[Moment] = MOSTLY_QUICK) -> None:
    """Kill the module at least so many times, at these moments in turn, and now and then see that nothing is missing.

    The turns are shuffled.
    """
    done, moments = 0, list[Moment]()
    while done < kills:
        if not moments:
            moments = bench.chance.sample(among, len(among))
        moment = moments.pop()
        await moment(bench)
        bench.heal()
        await bench.restart()
        done += 2 if moment is start_up else 1
        if bench.chance.randrange(_SETTLE_EVERY) == 0:
            await bench.settle()
    await bench.settle()
