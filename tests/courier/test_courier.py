"""One lifetime of the service in this process: a real spool, a real uploader and the local cloud."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from grpclib.client import Channel
from grpclib.server import Server
from viam.components.sensor import Sensor
from viam.components.sensor.client import SensorClient
from viam.components.sensor.service import SensorRPCService
from viam.resource.manager import ResourceManager

from module.attributes.uploader import parse
from module.collection import folder_scan
from module.collection import ticker as ticker_module
from module.courier import courier as courier_module
from module.courier.carried import Carried
from module.courier.courier import Courier
from module.courier.pause_record import What
from module.courier.status import status_of
from module.delivery import attempts as carrier_module
from module.delivery import uploader as uploader_module
from module.health.readings import Vitals
from module.local.cloud import LocalCloud
from module.spool import thread as owner_module
from tests.leaping_clock import let_time_pass
from tests.process.rig import KEY, KEY_ID, PART, CountingSensor

LOGGER = logging.getLogger("courier-test")
PATIENCE_S = 30.0


@pytest.fixture
async def cloud() -> AsyncIterator[tuple[LocalCloud, str]]:
    local = LocalCloud(None, api_keys={KEY_ID: KEY}, part_ids={PART}, keep_payloads=True)
    address = await local.start()
    yield local, address
    await local.stop()


@contextlib.asynccontextmanager
async def served(service: SensorRPCService) -> AsyncIterator[Channel]:
    """A machine on a unix socket, as viam-server is one; its name is short, as the kernel wants it."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/machine.sock"
        server = Server([service])
        await server.start(path=path)
        channel = Channel(path=path)
        try:
            yield channel
        finally:
            channel.close()
            server.close()
            await server.wait_closed()


@contextlib.asynccontextmanager
async def running(folder: Path, address: str, *sensors: CountingSensor, **attributes: Any) -> AsyncIterator[Courier]:
    """A Courier with these sensors and attributes, closed at the end."""
    config = {
        "cloud": {"address": address, "part_id": PART, "api_key_id": KEY_ID, "api_key": KEY},
        "upload": {"batch_wait_s": 0.1, "retry_initial_s": 0.05, "retry_max_s": 0.5},
        "spool": {"directory": str(folder / "spool"), "min_free_bytes": 0},
        **attributes,
    }
    async with served(SensorRPCService(ResourceManager(list(sensors)))) as channel:
        found = {Sensor.get_resource_name(each.name): SensorClient(each.name, channel) for each in sensors}
        courier = Courier(Carried(parse(config, service="courier", environ={})), found, LOGGER)
        courier.start()
        try:
            yield courier
        finally:
            await courier.close()


async def until(courier: Courier, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The status, once it holds."""
    status: dict[str, Any] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while not holds(status := status_of(courier)):
                await asyncio.sleep(0.01)
            return status
    raise AssertionError(f"never so: {status}")


async def until_open(courier: Courier) -> None:
    """Return once the spool is open. On a busy computer that takes longer than ``opened`` waits."""
    await until(courier, lambda _: courier.problem is None)


def health(status: dict[str, Any]) -> dict[str, Any]:
    return dict(Vitals("courier", per_source=False).read(status, now=time.monotonic()))


class Broken:
    """Raises so many times, and then does what it stands for."""

    def __init__(self, works: Callable[..., Any], times: int) -> None:
        self._works = works
        self._left = times

    def __call__(self, *args: Any, **more: Any) -> Any:
        if self._left:
            self._left -= 1
            raise MemoryError("no memory left")
        return self._works(*args, **more)


# ---------------------------------------------------------------------- nothing ends in silence


async def test_a_source_that_fails_says_so_and_begins_again(
    tmp_path: Path, cloud: tuple[LocalCloud, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ticker_module, "_now", Broken(lambda: datetime.now(UTC), 1))
    sources = [{"name": "s1", "cron": "* * * * * *"}]
    async with running(tmp_path, cloud[1], CountingSensor("s1"), sources=sources) as courier:
        status = await until(courier, lambda status: status["sources"]["s1"]["state"] == "failed")
        assert status["sources"]["s1"]["last_error"] == "MemoryError: no memory left"
        assert "source s1: MemoryError: no memory left" in health(status)["reason"]
        assert health(status)["ok"] is False
        assert any(record.exc_info and "source s1 ended" in record.getMessage() for record in caplog.records)
        # On a busy computer it has missed more than it has captured at first.
        status = await until(
            courier, lambda status: status["sources"]["s1"]["captured"] > 0 and health(status)["ok"] is True
        )
        assert status["sources"]["s1"]["state"] == "active"
        assert (status["failing"], health(status)["ok"]) == ({}, True)


async def test_a_folder_that_fails_says_so_and_begins_again(
    tmp_path: Path, cloud: tuple[LocalCloud, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.log").write_text("a")
    system = SimpleNamespace(path=os.path, scandir=Broken(os.scandir, 1))
    monkeypatch.setattr(folder_scan, "os", system)
    async with running(tmp_path, cloud[1], folders=[{"path": str(logs), "settle_s": 0}]) as courier:
        status = await until(courier, lambda status: status["folders"][str(logs)]["state"] == "failed")
        assert status["folders"][str(logs)]["last_error"] == "MemoryError: no memory left"
        assert health(status)["reason"] == f"folder {logs}: MemoryError: no memory left"
        await until(courier, lambda status: status["folders"][str(logs)]["captured"] == 1)
        await cloud[0].wait_for(lambda: len(cloud[0].arrivals) == 1, PATIENCE_S)


async def test_uploads_that_fail_say_so_and_begin_again(
    tmp_path: Path, cloud: tuple[LocalCloud, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader_module, "datetime", SimpleNamespace(now=Broken(datetime.now, 1)))
    async with running(tmp_path, cloud[1], CountingSensor("s1"), sources=[{"name": "s1"}]) as courier:
        await _until_it_fails(courier, "uploads")
        status = status_of(courier)
        assert (status["upload"]["state"], status["upload"]["last_error"]) == ("failed", "MemoryError: no memory left")
        assert health(status)["reason"] == "uploads: MemoryError: no memory left"
        (capture_id,) = await courier.collectors["s1"].capture()
        assert await asyncio.wait_for(courier.uploader.wait_for(capture_id), PATIENCE_S)
        assert health(status_of(courier))["ok"]


async def test_an_upload_that_ends_in_a_defect_is_tried_again_after_a_delay_and_says_so(
    tmp_path: Path, cloud: tuple[LocalCloud, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = SimpleNamespace(monotonic=time.monotonic, time_ns=Broken(time.time_ns, 2))
    monkeypatch.setattr(carrier_module, "time", clock)
    async with running(tmp_path, cloud[1], CountingSensor("s1"), sources=[{"name": "s1"}]) as courier:
        await until_open(courier)
        (capture_id,) = await courier.collectors["s1"].capture()
        delivered = courier.uploader.wait_for(capture_id)
        await _until_it_fails(courier, "an upload")
        status = status_of(courier)
        assert status["upload"]["last_error"] == "MemoryError: no memory left"
        assert "an upload: MemoryError: no memory left" in health(status)["reason"]
        assert await asyncio.wait_for(delivered, PATIENCE_S)
        assert (status_of(courier)["failing"], status_of(courier)["upload"]["last_error"]) == ({}, None)
        assert [record for record in caplog.records if record.exc_info]


async def test_an_opening_of_the_spool_that_fails_says_so_and_begins_again(
    tmp_path: Path, cloud: tuple[LocalCloud, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = SimpleNamespace(Thread=Broken(threading.Thread, 1), Event=threading.Event)
    monkeypatch.setattr(owner_module, "threading", threads)
    async with running(tmp_path, cloud[1], CountingSensor("s1"), sources=[{"name": "s1"}]) as courier:
        await _until_it_fails(courier, "the spool's opening")
        status = status_of(courier)
        assert status["spool"]["last_error"] == "MemoryError: no memory left"
        assert "the spool's opening: MemoryError: no memory left" in health(status)["reason"]
        await until(courier, lambda status: status["spool"]["last_error"] is None)
        assert await courier.collectors["s1"].capture()


async def _until_it_fails(courier: Courier, name: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while name not in courier.failing:
            await asyncio.sleep(0.01)


# ---------------------------------------------------------------------- two instances, one spool


async def test_while_another_instance_holds_the_spool_sources_wait_and_count_what_they_miss(
    tmp_path: Path, cloud: tuple[LocalCloud, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    leap = let_time_pass(asyncio.get_running_loop(), monkeypatch)
    sources = [
        {"name": "s1", "id": "fast", "interval_s": 0.02},
        {"name": "s1", "id": "cron", "cron": "* * * * * *"},
        {"name": "s1", "id": "paused", "interval_s": 0.02},
        {"name": "s1", "id": "asked"},
    ]
    async with contextlib.AsyncExitStack() as held:
        first = await held.enter_async_context(running(tmp_path, cloud[1]))
        await until_open(first)
        first.carried.pauses.pause(What.SOURCE, ["paused"])
        assert await first.switch.keep() is None
        async with running(tmp_path, cloud[1], CountingSensor("s1"), sources=sources) as second:
            status = await until(
                second, lambda status: all(status["sources"][key]["missed"] >= 2 for key in ("fast", "cron"))
            )
            assert {source["state"] for source in status["sources"].values()} == {"waiting"}
            assert "is held by another instance" in status["sources"]["fast"]["last_error"]
            assert [status["sources"][key]["missed"] for key in ("paused", "asked")] == [0, 0]
            # Only now: a warning that comes before the other instance is known as the holder says nothing.
            await leap(courier_module._LONG_WAIT_S)
            assert len([record for record in caplog.records if "Two services must not have" in record.message]) == 1
            await held.aclose()
            status = await until(second, lambda status: status["sources"]["fast"]["captured"] > 0)
            assert {key: source["state"] for key, source in status["sources"].items()} == {
                "fast": "active",
                "cron": "active",
                "paused": "paused",
                "asked": "on_demand",
            }
            assert status["sources"]["fast"]["missed"] >= 2


async def test_a_start_misses_nothing(tmp_path: Path, cloud: tuple[LocalCloud, str]) -> None:
    """What is due while a spool is opened that nobody holds is not counted: nothing has gone wrong."""
    sources = [{"name": "s1", "interval_s": 0.005}]
    async with running(tmp_path, cloud[1], CountingSensor("s1"), sources=sources) as courier:
        while courier.problem is not None:
            assert status_of(courier)["sources"]["s1"]["missed"] == 0
            await asyncio.sleep(0.001)
