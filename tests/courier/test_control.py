"""What can be asked of a running service, here of one in this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from module.courier import pause_record
from module.courier.control import Control
from module.courier.pause_record import What
from module.courier.status import status_of
from module.errors import CLOSING, SpoolError, Unavailable
from tests.courier.test_courier import running, until, until_open
from tests.process.rig import CountingSensor
from tests.spool.rig import SlowDisk

ASKED: dict[str, Callable[[Control], Awaitable[object]]] = {
    "spool": lambda control: control.spool([]),
    "flush": lambda control: control.flush(1),
    "failures": lambda control: control.failures(1),
    "retry": lambda control: control.retry(None),
    "retry of one": lambda control: control.retry([1]),
    "discard": lambda control: control.discard(None),
    "start_sequence": lambda control: control.start_sequence([], []),
    "stop_sequence": lambda control: control.stop_sequence("it"),
    "open_sequences": lambda control: control.open_sequences(),
}


async def test_what_needs_the_spool_is_unavailable_while_the_service_closes(tmp_path: Path) -> None:
    """Also if the spool was open when it was asked, and closes while it waits."""
    answers = {}
    async with running(tmp_path, "http://127.0.0.1:1") as courier:
        await until_open(courier)
        await courier.store.close()
        for name, ask in ASKED.items():
            with pytest.raises(Unavailable) as refusal:
                await ask(Control(courier))
            answers[name] = str(refusal.value)
    assert answers == dict.fromkeys(ASKED, CLOSING)


async def test_a_pause_outlives_a_restart_though_its_caller_has_gone(tmp_path: Path) -> None:
    """As when the deadline of the command passes while a poll is under way."""
    sensor = CountingSensor("s1")
    sensor.hang.clear()
    sources = [{"name": "s1", "capture_frequency_hz": 100}]
    async with running(tmp_path, "http://127.0.0.1:1", sensor, sources=sources) as courier:
        await until(courier, lambda _: bool(sensor.polls))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await Control(courier).pause(captures=True, uploads=False, sources=["s1"])
        await until(courier, lambda _: list(pause_record.read(courier.store.directory)) == [(What.SOURCE, "s1")])
        sensor.hang.set()


async def test_a_sequence_that_begins_before_its_resource_is_there_gets_the_method_that_is_captured(
    tmp_path: Path,
) -> None:
    """viam-server rebuilds the service once it has built the resource."""
    sources = [{"name": "s1"}]
    async with running(tmp_path, "http://127.0.0.1:1", sources=sources) as courier:
        await until_open(courier)
        begun = await Control(courier).start_sequence(["s1"], [])
    async with running(tmp_path, "http://127.0.0.1:1", CountingSensor("s1"), sources=sources) as courier:
        await until_open(courier)
        ended = await Control(courier).stop_sequence(begun.id)
    assert ended is not None
    assert [each.method for each in ended.sources] == ["Readings"]


async def test_a_change_that_the_disk_refused_is_captured_once_it_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an alarm that turns true meanwhile and stays true."""
    disk = SlowDisk(monkeypatch)
    sensor = CountingSensor("s1")
    sensor.hang.clear()
    sources = [{"name": "s1", "interval_s": 0.02, "on_change": {"deadband": 1e12}}]
    async with running(tmp_path, "http://127.0.0.1:1", sensor, sources=sources) as courier:
        await until_open(courier)
        disk.refuses = True
        sensor.hang.set()
        await until(courier, lambda status: status["sources"]["s1"]["errors"] > 0)
        disk.refuses = False
        await until(courier, lambda status: status["sources"]["s1"]["captured"] > 0)
        before = status_of(courier)["sources"]["s1"]
        after = await until(courier, lambda status: status["sources"]["s1"]["filtered"] > before["filtered"] + 5)
        assert after["sources"]["s1"]["captured"] == before["captured"]


async def test_what_the_disk_refused_stays_the_last_error_until_it_takes_a_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Polls that are held back say nothing about the disk."""
    caplog.set_level(logging.INFO)
    disk = SlowDisk(monkeypatch)
    sources = [{"name": "s1", "interval_s": 0.02, "gate": {}}]
    async with running(tmp_path, "http://127.0.0.1:1", CountingSensor("s1"), sources=sources) as courier:
        await until_open(courier)
        disk.refuses = True
        with pytest.raises(SpoolError):
            await courier.collectors["s1"].capture()
        before = status_of(courier)["sources"]["s1"]
        await until(courier, lambda status: status["sources"]["s1"]["filtered"] > before["filtered"] + 2)
        assert "disk I/O error" in status_of(courier)["sources"]["s1"]["last_error"]
        assert "captures again" not in caplog.text
        disk.refuses = False
        await courier.collectors["s1"].capture()
        assert status_of(courier)["sources"]["s1"]["last_error"] is None
        assert "captures again" in caplog.text


@pytest.mark.parametrize("room", [10_000_000, 10])
async def test_a_capture_counts_once_the_disk_has_it_though_its_caller_has_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """A capture for which there is no room is dropped, and nothing else."""
    disk = SlowDisk(monkeypatch)
    spool = {"directory": str(tmp_path / "spool"), "min_free_bytes": 0, "max_bytes": room}
    sources, upload = [{"name": "s1"}], {"disabled": True}
    sensor, address = CountingSensor("s1"), "http://127.0.0.1:1"
    async with running(tmp_path, address, sensor, sources=sources, upload=upload, spool=spool) as courier:
        await until_open(courier)
        disk.hang()
        call = asyncio.ensure_future(courier.collectors["s1"].capture())
        while not courier.store.pending.captures:
            await asyncio.sleep(0.001)
        await disk.until_it_hangs()
        call.cancel()
        await asyncio.wait({call})
        assert status_of(courier)["sources"]["s1"]["captured"] == 0
        disk.work()
        # It is pending no longer a moment before it counts.
        status = await until(
            courier, lambda status: any(status["sources"]["s1"][key] for key in ("captured", "dropped"))
        )
        assert courier.store.pending.captures == 0
        source = status["sources"]["s1"]
        assert (source["captured"], source["dropped"]) == ((1, 0) if room > 10 else (0, 1))
