"""The health sensor in a real module process: what it says of the uploader beside it, and whoever asks it."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from grpclib import GRPCError
from viam.components.sensor.client import SensorClient
from viam.services.generic import Generic

from module.local.calls import Call, Refusal
from tests.process.rig import NAME, CountingSensor, Rig, Starter

HEALTH = {"model": "courier:capture:health", "api": "rdk:component:sensor"}


@pytest.fixture
def start(start_in_one_process: Starter) -> Starter:
    return start_in_one_process


class Mute(Generic):
    """A generic service that is no uploader: hangs, or answers something else."""

    def __init__(self, name: str, answer: dict[str, Any] | None) -> None:
        super().__init__(name)
        self.answer = answer

    async def do_command(self, command: Any, *, timeout: float | None = None, **_: Any) -> Any:
        if self.answer is None:
            await asyncio.Event().wait()
        return self.answer


async def add_health(rig: Rig, **attributes: Any) -> SensorClient:
    await rig.server.add_resource("health", {"service": NAME, **attributes}, **HEALTH)
    return SensorClient("health", rig.server.channel)


async def read(health: SensorClient) -> dict[str, Any]:
    return dict(await health.get_readings(timeout=10))


async def until(health: SensorClient, **wanted: Any) -> dict[str, Any]:
    """Read until these readings are there; what is said of ``reason`` is part of it."""
    readings: dict[str, Any] = {}
    try:
        async with asyncio.timeout(60):
            while True:
                readings = await read(health)
                words = wanted.get("reason", "")
                if words in str(readings["reason"]) and all(
                    readings.get(key) == value for key, value in wanted.items() if key != "reason"
                ):
                    return readings
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"never {wanted}: {readings}") from None


async def test_a_machine_that_captures_and_delivers_is_well(start: Starter) -> None:
    """Its readings are flat, and say what the status does."""
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}])
    health = await add_health(rig)
    await rig.command("capture", count=5, wait="uploaded")
    readings = await until(health, ok=True, uploaded_items=5, backlog_items=0)
    assert readings["reason"] == ""
    assert (readings["captured"], readings["errors"], readings["failed"]) == (5, 0, 0)
    assert readings["uploads_per_s"] > 0
    assert readings["bytes_per_s"] > 0
    assert readings["disk_free_bytes"] > 0
    assert {type(value) for value in readings.values()} <= {float, int, bool, str}


async def test_each_trouble_is_a_reason_while_it_lasts(start: Starter) -> None:
    """A failing sensor, then the cloud's absence; with ``per_source`` it shows whose trouble it is."""
    broken = [False]
    bad = CountingSensor("s.2", fail=lambda _: RuntimeError("no bus") if broken[0] else None)
    # So seldom that a busy computer keeps more ticks than it misses.
    sources = [{"name": "s1", "interval_s": 1}, {"name": "s.2", "interval_s": 1}]
    rig = await start(CountingSensor("s1"), bad, sources=sources)
    health = await add_health(rig, per_source=True)
    readings = await until(health, ok=True, source_s1_ok=True, source_s_2_ok=True)
    keys = set(readings)
    broken[0] = True
    failed = "source s.2: s.2: Readings failed"
    readings = await until(health, ok=False, source_s1_ok=True, source_s_2_ok=False, reason=failed)
    assert readings["source_s_2_errors"] >= 1
    broken[0] = False
    await until(health, ok=True, reason="")
    await rig.cloud.stop()
    readings = await until(health, ok=False, upload_state="offline", reason="the cloud has been away for ")
    assert readings["connected"] is False
    assert set(readings) == keys
    await rig.cloud.start()
    await until(health, ok=True, upload_state="idle", offline_s=0)


async def test_a_rejected_capture_is_trouble_until_it_is_discarded(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1"}, {"name": "off", "disabled": True}])
    health = await add_health(rig)

    async def reject(_: Call) -> None:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "not this one")

    rig.cloud.judge = reject
    await rig.command("capture", sources=["s1"])
    await until(health, ok=False, failed=1, reason="rejected by the cloud, to be retried or discarded: 1")
    assert await rig.command("discard") == {"discarded": 1}
    await until(health, ok=True, failed=0)


async def test_a_resource_that_is_missing_is_trouble(start: Starter) -> None:
    rig = await start(sources=[{"name": "gone"}])
    health = await add_health(rig)
    await until(health, ok=False, reason="source gone: this machine has no gone, or it is not ready")


@pytest.mark.parametrize(
    ("answer", "why"), [(None, "no answer within 3 s"), ({"a": 1}, "its answer is no status")], ids=["hangs", "foreign"]
)
async def test_a_service_that_is_no_uploader_is_reported_within_seconds(
    start: Starter, answer: dict[str, Any] | None, why: str
) -> None:
    """And never raised: a dashboard sees ``ok`` fall."""
    rig = await start(Mute(NAME, answer))
    health = await add_health(rig)
    assert set(await until(health, ok=False, reason=f"{NAME}: {why}")) == {"ok", "reason"}


async def test_without_the_uploader_the_sensor_is_there_and_says_so(start: Starter) -> None:
    rig = await start()
    health = await add_health(rig)
    assert await read(health) == {
        "ok": False,
        "reason": f"{NAME}: this machine has no {NAME}, or it is not ready",
    }
    await rig.configure(sources=[])
    await rig.server.reconfigure_resource("health")
    await until(health, ok=True)
    await rig.server.remove_resource(NAME)
    readings = await until(health, ok=False, reason=f"{NAME}: ")
    assert set(readings) == {"ok", "reason"}
    assert "GRPCError" not in readings["reason"]


async def test_the_uploader_captures_its_own_health(start: Starter) -> None:
    """Each depends on the other, optionally; viam-server tells the first once the second is there."""
    sources = [{"name": "s1", "interval_s": 0.1}, {"name": "health", "interval_s": 0.1}]
    rig = await start(CountingSensor("s1"), sources=sources)
    assert (await rig.status())["sources"]["health"]["state"] == "waiting"
    await add_health(rig)
    assert await rig.server.validate("health", {"service": NAME}, **HEALTH) == ([], [f"rdk:service:generic/{NAME}"])
    await rig.server.reconfigure_resource(NAME)
    await rig.until(lambda status: status["sources"]["health"]["captured"] >= 3)
    # On a busy computer it may miss more than it keeps at first.
    await rig.cloud.wait_for(lambda: any(row["readings"]["ok"] for row in rig.rows("health")), 30)
    await rig.drained()
    rows = [row["readings"] for row in rig.rows("health")]
    assert rows[-1]["captured"] > rows[0]["captured"]
    # Both once more, the other way round, as after a change of the uploader, which ends no pause.
    await rig.command("resume")
    await rig.server.reconfigure_resource(NAME, rig.attributes(sources=sources[1:]))
    await rig.server.reconfigure_resource("health")
    await rig.until(lambda status: status["sources"]["health"]["captured"] >= 2)
    await rig.drained()
    assert len(rig.rows("health")) > len(rows)


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({}, "service: not given; allowed is a resource's name"),
        ({"service": 5}, "service: 5 given; allowed is a resource's name"),
        ({"service": "u", "per_sources": True}, "per_sources: no such attribute; did you mean per_source?"),
        ({"service": "u", "per_source": "yes"}, 'per_source: "yes" given; allowed is true or false'),
    ],
)
async def test_attributes_that_cannot_be_used_are_refused(
    start: Starter, attributes: dict[str, Any], says: str
) -> None:
    rig = await start()
    with pytest.raises(GRPCError) as refusal:
        await rig.server.validate("health", attributes, **HEALTH)
    assert says in (refusal.value.message or "")
