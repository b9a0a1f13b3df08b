"""Starting, changing, stopping and dying, through a real module process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from grpclib import GRPCError
from viam.proto.common import DoCommandRequest
from viam.proto.service.generic import GenericServiceStub

from module.local.viam_server import MachineError
from tests.process.rig import KEY, KEY_ID, NAME, Beside, CountingSensor, Rig, Starter

SOURCE = {"name": "s1", "capture_frequency_hz": 20}


@contextlib.asynccontextmanager
async def silent_address() -> AsyncIterator[str]:
    """An address that accepts connections and never answers."""
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in held:
            writer.close()


async def test_a_silent_cloud_delays_neither_start_nor_captures_nor_stop(start: Starter) -> None:
    """AddResource within 2 s, captures run on, SIGTERM ends the module within 5 s."""
    async with silent_address() as address:
        sensor = CountingSensor("s1")
        rig = await start(sensor)
        began = time.monotonic()
        await rig.configure(sources=[SOURCE], cloud={"address": address})
        assert time.monotonic() - began < 10
        status = await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 30)
        # In 30 s at most: who waited for the cloud each time would need as many of its connection's timeouts.
        assert status["upload"]["connected"] is False
        async with Beside() as beside:
            ended = await rig.server.terminate()
        assert ended is not None
        assert ended.seconds < 5 + beside.late_s
        assert ended.code == 0


async def test_a_second_sigterm_does_not_cut_the_first_short(start: Starter) -> None:
    """As when systemd signals all processes of viam-server's unit, and viam-server its module."""
    rig = await start(CountingSensor("s1"), sources=[SOURCE])
    await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 2)
    pid = rig.server.pid
    ending = asyncio.create_task(rig.server.terminate())
    while not ending.done():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        await asyncio.sleep(0.001)
    ended = await ending
    assert ended is not None
    assert ended.code == 0


async def test_sigterm_loses_nothing_that_was_captured(start: Starter) -> None:
    sensor = CountingSensor("s1")
    rig = await start(sensor, sources=[SOURCE])
    await rig.cloud.stop()
    status = await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 20)
    await rig.server.terminate()
    await rig.cloud.start()
    await rig.server.restart()
    await rig.drained()
    assert set(range(1, int(status["sources"]["s1"]["captured"]) + 1)) <= set(rig.numbers("s1"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_kill_9_loses_nothing_older_than_a_quarter_of_a_second(start: Starter, seed: int) -> None:
    """At random moments, while the cloud comes and goes: what was polled 0.25 s before the kill arrives.

    A disk that takes longer to sync keeps nobody's promise: what it takes is measured beside the module, and added. So
    is the time for which module and machine could have run, and other programs had the processors.
    """
    chance = random.Random(seed)
    sensor = CountingSensor("s1")
    rig = await start(sensor, sources=[{"name": "s1", "capture_frequency_hz": 50}])
    enough = asyncio.Event()
    delays = _Delays(rig)
    beside = [asyncio.create_task(_flap(rig, chance, enough)), asyncio.create_task(delays.watch(enough))]
    polls: list[tuple[int, float, float]] = []
    for _ in range(6):
        first = len(sensor.polls) + 1
        await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 3)
        await asyncio.sleep(chance.uniform(0.2, 1.2))
        delays.look()
        killed = time.monotonic()
        await rig.server.kill()
        polls += [(number, polled, killed) for number, polled in enumerate(sensor.polls[first - 1 :], first)]
        await rig.server.restart()
    enough.set()
    await asyncio.gather(*beside)
    await rig.drained()
    arrived = set(rig.numbers("s1"))
    for number, polled, killed in polls:
        most_s = 0.25 + delays.between(polled, killed)
        assert number in arrived or killed - polled <= most_s, f"{number}, {killed - polled:.2f} s before the end"


class _Delays:
    """For how long a module, and the machine that it polls, waited for the disk and for a processor."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._syncs: list[tuple[float, float]] = []
        """When each write to the disk was begun, and when it was safe."""
        self._waits: list[tuple[float, float]] = []
        """At times, for how many seconds all threads of both have been ready to run and have not run."""

    async def watch(self, enough: asyncio.Event) -> None:
        """Write to the disk and look at the module's threads, again and again."""
        with (self._rig.folder / "beside").open("wb", buffering=0) as file:
            while not enough.is_set():
                self.look()
                begun = time.monotonic()
                file.write(bytes(4096))
                await asyncio.to_thread(os.fsync, file.fileno())
                self._syncs.append((begun, time.monotonic()))
                await asyncio.sleep(0.02)

    def look(self) -> None:
        waited_ns = 0
        # Between a kill and the next start there is no process.
        with contextlib.suppress(OSError, MachineError):
            for pid in (self._rig.server.pid, "self"):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    waited_ns += int((task / "schedstat").read_text().split()[1])
            self._waits.append((time.monotonic(), waited_ns / 1e9))

    def between(self, first: float, last: float) -> float:
        """Seconds between two moments in one life of the module."""
        sync_s = max((end - begun for begun, end in self._syncs if end > first and begun < last), default=0.0)
        before = [waited_s for at, waited_s in self._waits if at <= first]
        within = [waited_s for at, waited_s in self._waits if at <= last]
        return sync_s + max(0.0, within[-1] - before[-1])


async def _flap(rig: Rig, chance: random.Random, enough: asyncio.Event) -> None:
    while not enough.is_set():
        await asyncio.sleep(chance.uniform(0.1, 0.6))
        await rig.cloud.stop()
        await asyncio.sleep(chance.uniform(0.1, 0.4))
        await rig.cloud.start()


async def test_reconfigurations_lose_nothing_and_take_effect(start: Starter) -> None:
    sensor = CountingSensor("s1")
    rig = await start(sensor, sources=[{**SOURCE, "tags": ["round0"]}])
    unanswered: set[int] = set()
    for number in range(1, 6):
        sent = len(rig.numbers("s1"))
        await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 2)
        attributes = rig.attributes(sources=[{**SOURCE, "tags": [f"round{number}"]}])
        began = time.monotonic()
        await rig.server.reconfigure_resource(NAME, attributes)
        if time.monotonic() - began >= 0.9:
            # It waits a second for the cloud's answers. On a busy computer one may be missing; those rows go again.
            unanswered |= set(rig.numbers("s1")[sent:])
    await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 2)
    await rig.drained()
    arrived = rig.numbers("s1")
    assert {number for number in arrived if arrived.count(number) > 1} <= unanswered
    # A poll that a reconfiguration cut off was never captured; one that was captured is never lost.
    assert len(set(arrived)) >= len(sensor.polls) - 6
    assert {tag for arrival in rig.arrivals() for tag in arrival.metadata.tags} == {f"round{n}" for n in range(6)}


async def test_what_a_removed_source_captured_is_delivered_all_the_same(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}], upload={"disabled": True})
    await rig.command("capture", count=3)
    await rig.server.reconfigure_resource(NAME, rig.attributes(sources=[]))
    await rig.cloud.wait_for(lambda: len(rig.numbers("s1")) == 3, 10)


async def test_removing_the_service_is_quick_and_may_be_undone(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[SOURCE])
    await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 2)
    began = time.monotonic()
    await rig.server.remove_resource(NAME)
    assert time.monotonic() - began < 10
    await rig.configure(sources=[SOURCE])
    await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 2)


async def test_a_bad_config_is_refused_by_name(start: Starter) -> None:
    rig = await start(CountingSensor("s1"))
    bad = rig.attributes(sources=[{"name": "s1", "interval_s": -1}, {"nam": "s1"}])
    with pytest.raises(GRPCError) as refusal:
        await rig.server.validate(NAME, bad)
    message = refusal.value.message or ""
    assert "sources[0].interval_s: -1" in message
    assert "sources[1].nam: no such attribute; did you mean name?" in message


async def test_the_api_key_appears_nowhere(start: Starter, tmp_path: Path) -> None:
    """In no log, answer or error: neither with a good key, nor a bad one, nor in a config that does not validate."""
    rig = await start(CountingSensor("s1"), sources=[SOURCE])
    seen: list[Any] = [await rig.status(), await rig.command("help"), await rig.command("flush", timeout_s=5)]
    rig.cloud.api_keys[KEY_ID] = "another"
    rig.cloud.forget_tokens()
    seen.append(await rig.until(lambda status: status["upload"]["state"] == "refused"))
    with pytest.raises(GRPCError) as refusal:
        await rig.command("nothing", api_key=KEY)
    seen.append(refusal.value)
    for cloud in ({"api_key": KEY, "address": "nonsense://"}, {"api_key": [KEY]}, {"api_key": {"key": KEY}}):
        with pytest.raises(GRPCError) as refusal:
            await rig.server.validate(NAME, rig.attributes(cloud=cloud))
        seen.append(refusal.value)
    await rig.server.terminate()
    text = repr(seen) + rig.printed()
    assert "refused" in text
    assert KEY not in text
    assert not re.search(r"Bearer \S", text)
    spooled = b"".join(path.read_bytes() for path in tmp_path.rglob("spool.sqlite3*"))
    assert KEY.encode() not in spooled


async def test_a_command_may_be_sent_right_after_the_start(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    client = GenericServiceStub(rig.server.channel)
    request = DoCommandRequest(name=NAME)
    request.command.update({"command": "capture", "wait": "uploaded"})
    response = await client.DoCommand(request)
    assert response.result["captured"]["s1"] == 1
