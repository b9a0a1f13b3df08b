"""What can happen to the machine around the module: each function lets it happen to a bench, which it opens."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from grpclib import GRPCError

from module.local.calls import Arrival
from tests.faults.bench import RATES_HZ, Bench
from tests.faults.ledger import Key, Row
from tests.faults.machine import COMPILER, Clock, FickleSensor, Mood, still_image
from tests.faults.report import total
from tests.process.rig import NAME, Beside, CountingSensor, Rig, StillCamera
from tests.waiting import until

CLOCK, CHANGES, STALL = "the clock jumps an hour", "the uploader is reconfigured", "SIGTERM while all uploads stall"
ONE_PROCESS, TWO_PROCESSES = "two uploaders on one spool", "two processes on one spool"
HOUR_S = 3600
RIVAL = "rival"
QUICK_S = 2.0
MOST_EXTRA = 8
"""Threads and open files that come and go: the event loop's threads start when they are needed, connections overlap."""
_PACE = "s3"
_AWAY = 0.3
_WAIT_S = 30.0
_ASK_EVERY_S = 0.02

MachineFault = Callable[[Bench], Awaitable[None]]
Status = Mapping[str, Any]


# ---------------------------------------------------------------------- the clock


async def clock_jumps(bench: Bench, *, clock: Clock, jumps: int) -> None:
    """The wall clock steps an hour forward and back, with the cloud away every other time."""
    cron, slow = CountingSensor("cron"), CountingSensor("slow")
    bench.others["cron"] = (cron, {"cron": "* * * * * *"})
    bench.others["slow"] = (slow, {"capture_frequency_hz": 20})
    bench.check = _is_dated
    bench.environ |= clock.environ
    async with bench.open():
        await bench.captured(3)
        for number in range(jumps):
            await until(lambda: cron.polls)
            bench.begin(CLOCK)
            await bench.set_cloud(up=number % 2 == 0)
            polls = len(slow.polls)
            slow.hang.clear()
            await until(functools.partial(lambda count: len(slow.polls) > count, polls))
            # Forward first: what waits over the step back is then of the future.
            step = -HOUR_S if number == 1 else bench.chance.choice((HOUR_S, -HOUR_S))
            async with Beside() as beside:
                await _jump(bench, clock, cron, HOUR_S if number == 0 else step, beside)
            slow.hang.set()
            bench.strike()
        await bench.set_cloud(up=True)
        await until(functools.partial(_has_delivered, bench, set(bench.ledger._waiting)))
        await bench.settle()


async def _jump(bench: Bench, clock: Clock, cron: CountingSensor, seconds: int, beside: Beside) -> None:
    """Step once; what is to happen in seconds is measured by the ticks of 50 Hz, as the process may be held up."""
    pace, rate = bench.sensors[_PACE], RATES_HZ[_PACE]
    before, begun = await bench.rig.status(), time.monotonic()
    ticks, crons = len(pace.polls), len(cron.polls)
    clock.jump(seconds)
    await until(lambda: len(cron.polls) > crons)
    waited = (len(pace.polls) - ticks) / rate
    assert waited < 2.2, f"the cron source stood still for {waited} s after a step of {seconds} s"
    await until(lambda: len(cron.polls) > crons + 1)
    status, passed = await bench.rig.until(lambda status: _is_sane(status, clock)), time.monotonic() - begun
    fired, polled = len(cron.polls) - crons, len(pace.polls) - ticks
    assert fired <= passed + 2, f"{fired} times in {passed} s"
    missed = status["sources"][_PACE]["missed"] - before["sources"][_PACE]["missed"]
    due = passed * rate
    assert abs(polled + missed - due) < 10 + due / 5 + rate * beside.late_s, (
        f"{polled} polls and {missed} missed of {due}"
    )
    # However busy the computer is.
    assert polled > fired, f"{polled} polls at 50 Hz, {fired} at 1 Hz"


def _is_sane(status: Status, clock: Clock) -> bool:
    """Tell whether the last capture is of the clock as it is now; fails on what can be no status."""
    # The clock's own part says by how much it was set back.
    rest = {key: part for key, part in status.items() if key != "clock"}
    odd = [number for number in _numbers(rest) if not 0 <= number < math.inf]
    assert not odd, f"{odd} in {status}"
    assert status["spool"]["oldest_age_s"] < 10 * HOUR_S, status
    assert status["upload"]["next_attempt_in_s"] < 60, status
    last = datetime.fromisoformat(status["sources"][_PACE]["last_capture"])
    return abs(last.timestamp() - time.time() - clock.ahead_s) < 60


def _is_dated(arrival: Arrival) -> None:
    """A poll takes as long as it takes, whatever the wall clock does meanwhile."""
    for metadata in (row.metadata for row in arrival.rows):
        took = metadata.time_received.ToMicroseconds() - metadata.time_requested.ToMicroseconds()
        assert 0 <= took < _WAIT_S * 1e6, f"{arrival.metadata.component_name} took {took} µs"


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _numbers(each)
    elif isinstance(value, list):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, int | float):
        yield value


# ---------------------------------------------------------------------- a resource

_MOODS = {
    Mood.HANGS: "a sensor hangs",
    Mood.RAISES: "a sensor raises",
    Mood.HUGE: "a sensor returns 5 MB",
    Mood.EMPTY: "a sensor returns nothing",
    Mood.NOT_FINITE: "a sensor returns NaN",
}
NO_IMAGE, VANISHED = "a camera returns something that is not an image", "a resource vanishes"
RESOURCE_FAULTS = (*_MOODS.values(), NO_IMAGE, VANISHED)
_CAPTURED_ALL_THE_SAME = (Mood.EMPTY, Mood.NOT_FINITE)


async def fickle_resources(bench: Bench, *, image: bytes) -> None:
    """A sensor and a camera go through all that they can do wrong, beside three that are well; then one vanishes."""
    sensor, camera = FickleSensor("fickle"), StillCamera("camera", [])
    good, bad = [("front", image, "image/jpeg")], [("front", b"no image at all", "image/jpeg")]
    camera.images = good
    bench.others["fickle"] = (sensor, {"capture_frequency_hz": 20, "timeout_s": 0.3})
    bench.others["camera"] = (camera, {"capture_frequency_hz": 10, "image": {"format": "png"}})
    async with bench.open():
        await bench.captured(3)
        for mood, name in _MOODS.items():
            async with _beside_the_others(bench, name, "fickle"):
                sensor.become(mood)
                before, hung = _polls(bench), sensor.hung
                await (_captures if mood in _CAPTURED_ALL_THE_SAME else _errors)(bench, "fickle")
                polled = {key: count - before[key] for key, count in _polls(bench).items()}
                # Who waited for it would be polled no more often than it was.
                assert min(polled.values()) > sensor.hung - hung, f"{polled}, while {sensor.hung - hung} polls hung"
                sensor.become(Mood.WELL)
        async with _beside_the_others(bench, NO_IMAGE, "camera"):
            camera.images = bad
            await _errors(bench, "camera")
            camera.images = good
        async with _beside_the_others(bench, VANISHED, "fickle"):
            await bench.rig.server.remove(sensor)
            await _errors(bench, "fickle")
            await _reconfigure(bench)
            status = await bench.rig.until(lambda status: status["sources"]["fickle"]["state"] == "waiting", _WAIT_S)
            assert "fickle" in status["sources"]["fickle"]["last_error"]
            await bench.captured(5)
            bench.rig.server.add(sensor)
            await _reconfigure(bench)
        await bench.settle()


@contextlib.asynccontextmanager
async def _beside_the_others(bench: Bench, fault: str, key: str) -> Any:
    """A fault of one source, which captures again after it; the sensors go on meanwhile, and none is said to fail."""
    before = _polls(bench)
    bench.begin(fault)
    yield
    await _captures(bench, key)
    await bench.rig.until(lambda status: status["sources"][key]["last_error"] is None, _WAIT_S)
    bench.strike()
    sources = (await bench.rig.status())["sources"]
    for name, polls in _polls(bench).items():
        assert polls - before[name] > 3, f"{name} stood still while {fault}"
        assert sources[name]["errors"] == 0, f"{name} is said to fail while {fault}: {sources[name]}"


def _polls(bench: Bench) -> dict[str, int]:
    return {name: len(sensor.polls) for name, sensor in bench.sensors.items()}


async def _captures(bench: Bench, key: str) -> None:
    await _grows(bench, key, "captured")


async def _errors(bench: Bench, key: str) -> None:
    status = await _grows(bench, key, "errors")
    assert key in (status["sources"][key]["last_error"] or ""), status["sources"][key]


async def _grows(bench: Bench, key: str, what: str) -> dict[str, Any]:
    """Wait until a source has three more of it, and its last word is of that kind."""
    count = (await bench.rig.status())["sources"][key][what]

    def grown(status: Status) -> bool:
        source = status["sources"][key]
        return bool(source[what] >= count + 3 and (source["last_error"] is not None) == (what == "errors"))

    return await bench.rig.until(grown, _WAIT_S)


# ---------------------------------------------------------------------- reconfigurations


async def reconfigurations(bench: Bench, *, count: int, every_s: float = 0.0) -> None:
    """The uploader is removed and added, changed each time, while captures run."""
    async with bench.open():
        await _change(bench, 0)
        await bench.captured(3)
        before = _held(bench)
        for number in range(1, count + 1):
            begun = time.monotonic()
            await bench.set_cloud(up=bench.chance.random() > _AWAY)
            await bench.captured(1)
            bench.begin(CHANGES)
            await _change(bench, number)
            bench.strike()
            await asyncio.sleep(max(0.0, begun + every_s - time.monotonic()))
        await bench.settle()
        await bench.captured(3)
        # What a life leaves behind goes with the garbage.
        await until(lambda: all(now <= then + MOST_EXTRA for now, then in zip(_held(bench), before, strict=True)))


async def _change(bench: Bench, number: int) -> None:
    bench.attributes["tags"] = [f"life {number}"]
    bench.attributes["upload"]["concurrency"] = 1 + number % 4
    async with Beside() as beside:
        took = await _reconfigure(bench)
    assert took < QUICK_S + beside.late_s, f"reconfiguration {number} took {took} s, {beside.late_s} s behind"


async def _reconfigure(bench: Bench) -> float:
    # The books' own status, which may be under way, is no part of it.
    async with bench._books:
        begun = time.monotonic()
    await bench.remove()
    await bench.configure()
    return time.monotonic() - begun


def _held(bench: Bench) -> tuple[int, int]:
    """Count the module's open files and its threads."""
    process = Path("/proc") / str(bench.rig.server.pid)
    return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))


# ---------------------------------------------------------------------- two on one spool


async def two_uploaders(bench: Bench, *, apart: bool) -> None:
    """A second uploader, in the same process or one of its own, takes over what the first leaves, and hands it back."""
    fault, sensor = TWO_PROCESSES if apart else ONE_PROCESS, CountingSensor("r1")
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(bench.open())
        server = bench.rig.server
        if apart:
            rig = Rig(bench.rig.folder / RIVAL, [sensor], bench.cloud, bench.rig.address)
            rival = await stack.enter_async_context(rig.server)
        else:
            rival = server
            rival.add(sensor)
        status = functools.partial(rival.do_command, RIVAL, {"command": "status"})
        spool = {"directory": str(bench.rig.spool_of(NAME))}
        sources = [{"name": "r1", "capture_frequency_hz": 20}]
        await bench.captured(3)
        await rival.add_resource(RIVAL, bench.rig.attributes(sources=sources, spool=spool))
        await _held_up(status)
        async with Beside() as beside:
            begun = time.monotonic()
            await rival.remove_resource(RIVAL)
            took = time.monotonic() - begun
        assert took < QUICK_S + beside.late_s, "one that waits is slow to go"
        await rival.add_resource(RIVAL, bench.rig.attributes(sources=sources, spool=spool))
        await _held_up(status)
        await bench.set_cloud(up=False)
        await bench.captured(10)
        assert not sensor.polls, "the second one captures beside the first"
        bench.begin(fault)
        await (bench.kill() if apart else bench.remove())
        bench.strike()
        # Counts go on in the same process, and all that was polled counts.
        captured = {} if apart else {key: len(sensor.polls) for key, sensor in bench.sensors.items()}
        await bench.set_cloud(up=True)
        await _until_async(status, lambda found: found["sources"]["r1"]["captured"] >= 5)
        await (bench.restart() if apart else bench.configure())
        await _held_up(bench.rig.status, captured)
        found = await status()
        bench.ledger.report(("r1", number) for number in range(1, int(found["sources"]["r1"]["captured"]) + 1))
        await until(functools.partial(_has_delivered, bench, set(bench.ledger._waiting)))
        await bench.set_cloud(up=False)
        found = await status()
        bench.ledger.report(("r1", number) for number in range(1, int(found["sources"]["r1"]["captured"]) + 1))
        bench.begin(fault)
        await (rival.kill() if apart else rival.remove_resource(RIVAL))
        bench.strike()
        await bench.set_cloud(up=True)
        await bench.captured(3)
        await bench.settle()


async def _held_up(status: Callable[[], Awaitable[Status]], captured: Mapping[str, int] | None = None) -> None:
    """Wait until another instance holds the spool; no source captures beyond what it had ``captured`` before."""
    found = await _until_async(status, lambda found: "held by another instance" in (found["spool"]["last_error"] or ""))
    for key, source in found["sources"].items():
        assert source["captured"] == (captured or {}).get(key, 0), found
        assert "held by another instance" in source["last_error"], found


def _has_delivered(bench: Bench, keys: Collection[Key]) -> bool:
    bench.take()
    return bench.ledger.delivered.issuperset(keys)


# ---------------------------------------------------------------------- the end of a process


async def sigterm_while_stalled(bench: Bench) -> None:
    """Not a byte passes any more in the middle of uploads, and the process is asked to end."""
    # Long enough that no upload gives up by itself.
    bench.attributes["upload"] = {"chunk_bytes": 8192, "timeout_s": 60.0}
    async with bench.open():
        await bench.captured(3)
        puts = bench.put(3, 100_000)
        bench.link.stall_after(bench.chance.randrange(200, 100_000))
        async with asyncio.timeout(_WAIT_S):
            await bench.link.stalled.wait()
        await asyncio.gather(*puts)
        bench.begin(STALL)
        async with Beside() as beside:
            ended = await bench.rig.server.terminate()
        bench.strike()
        assert ended is not None
        assert ended.code == 0, ended
        assert ended.seconds < 5 + beside.late_s, ended
        bench.heal()
        await bench.restart()
        await bench.captured(1)
        await bench.settle()


# ---------------------------------------------------------------------- all of them


async def machine_rounds(folder: Path, chance: random.Random, minutes: float) -> dict[str, Row]:
    """Let everything happen in turn until so many minutes have passed, at least once; gives the rows of the faults."""
    until, books, clock = time.monotonic() + minutes * 60, list[Mapping[str, Row]](), None
    faults: dict[str, MachineFault] = {
        "resources": functools.partial(fickle_resources, image=still_image()),
        "changes": functools.partial(reconfigurations, count=30, every_s=0.5),
        "one process": functools.partial(two_uploaders, apart=False),
        "two processes": functools.partial(two_uploaders, apart=True),
        "stall": sigterm_while_stalled,
    }
    if COMPILER is not None:
        clock = Clock(folder / "clock")
        faults = {"clock": functools.partial(clock_jumps, clock=clock, jumps=6), **faults}
    number = 0
    while True:
        number += 1
        for name, fault in faults.items():
            bench = Bench(folder / f"{name} {number}", chance, f"machine, {name} {number}")
            await fault(bench)
            books.append(bench.ledger.rows)
        if time.monotonic() >= until:
            return total(books)


async def _until_async(status: Callable[[], Awaitable[Status]], holds: Callable[[Status], bool]) -> Status:
    """Ask for a status until it holds; whose uploader is not there answers with an error."""
    async with asyncio.timeout(_WAIT_S):
        while True:
            with contextlib.suppress(GRPCError):
                found = await status()
                if holds(found):
                    return found
            await asyncio.sleep(_ASK_EVERY_S)
