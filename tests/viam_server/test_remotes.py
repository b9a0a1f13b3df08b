"""Resources of a remote, under real viam-servers: by the remote's prefix and their name, and by wrong names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.viam_server.rig import Machine, Maker, config_of, fake_sensor, uploader

pytestmark = pytest.mark.slow

SENSOR = "rdk:component:sensor"
WAYS: tuple[tuple[int, dict[str, Any]], ...] = tuple(
    enumerate(({}, {"api": SENSOR}, {"required": True}, {"api": SENSOR, "required": True}))
)
BY_PREFIX = "a remote's resource is named by the remote's prefix and its own name, without a colon"


def remote(machine: Machine, **more: Any) -> dict[str, Any]:
    """Return the entry of another machine on this computer as a remote named ``far``."""
    return {"name": "far", "address": f"127.0.0.1:{machine.port}", "insecure": True, **more}


def polled(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "capture_frequency_hz": 10, **more}


async def far(machines: Maker) -> Machine:
    """Start the machine that is the remote of others: no module, one sensor ``gauge``."""
    return await machines.started({"components": [fake_sensor("gauge")]}, "far")


async def test_a_remotes_resource_is_captured_by_prefix_and_name(machines: Maker) -> None:
    """With and without its ``api``, required, as what opens a gate, and as what lets uploads run."""
    attributes = uploader(
        sources=[
            polled("far-gauge"),
            polled("far-gauge", id="by-api", api=SENSOR, tags=["by-api"]),
            polled("far-gauge", id="required", required=True, tags=["required"]),
            polled("near", gate={"sensor": "far-gauge", "key": "a", "above": 0}),
        ],
        upload={"only_when": {"sensor": "far-gauge", "key": "a", "above": 0}},
    )
    config = config_of([attributes], [fake_sensor("near")], remotes=[remote(await far(machines), prefix="far-")])
    machine = await machines.started(config)
    await machine.arrives("near")
    await machine.arrives("far-gauge", "by-api")
    await machine.arrives("far-gauge", "required")
    status = await machine.status()
    assert {each["last_error"] for each in status["sources"].values()} == {None}


async def test_a_wrong_name_of_a_remote_stops_no_other_source(machines: Maker) -> None:
    """The remote has a prefix: ``far:gauge`` and ``gauge`` name nothing, nor does a remote that is not there."""
    wrong = [
        polled(name, id=f"{name} {number}", **more) for name in ("far:gauge", "gone:gauge") for number, more in WAYS
    ]
    gated = polled("near", id="gated", gate={"sensor": "far:gauge", "key": "a", "above": 0})
    config = config_of(
        [uploader(sources=[polled("near"), *wrong, gated])],
        [fake_sensor("near")],
        remotes=[remote(await far(machines), prefix="far-")],
    )
    machine = await machines.started(config)
    await machine.arrives("near")
    # Each says what it lacks once it has tried.
    keys = (*(each["id"] for each in wrong), "gated")

    def holds(status: dict[str, Any]) -> bool:
        sources = status["sources"]
        return sources["near"]["captured"] > 0 and all(sources[key]["last_error"] for key in keys)

    status = await machine.status(holds=holds)
    for each in wrong:
        source = status["sources"][each["id"]]
        assert source["state"] == "waiting"
        assert source["last_error"] == f"this machine has no {each['name']}, or it is not ready; {BY_PREFIX}"
    assert status["sources"]["gated"]["last_error"].startswith("gate: this machine has no far:gauge")


async def test_a_remote_and_a_name_mean_a_resource_that_viam_server_knows_by_the_name(machines: Maker) -> None:
    """The remote has no prefix, as in configs of earlier years."""
    named = [polled("far:gauge", id=f"far {number}", tags=[f"far {number}"], **more) for number, more in WAYS]
    config = config_of(
        [uploader(sources=[polled("near"), *named])], [fake_sensor("near")], remotes=[remote(await far(machines))]
    )
    machine = await machines.started(config)
    await machine.arrives("near")
    for number, _ in WAYS:
        await machine.arrives("far:gauge", f"far {number}")


async def test_the_health_of_a_remotes_uploader_is_asked_by_prefix_and_name(machines: Maker) -> None:
    """And by a wrong name the sensor is there, and says so."""
    there = await machines.started(config_of([uploader(sources=[polled("gauge")])], [fake_sensor("gauge")]), "far")
    await there.arrives("gauge")
    health = [
        {"name": name, "api": SENSOR, "model": "courier:capture:health", "attributes": {"service": service}}
        for name, service in (("right", "far-uploader"), ("wrong", "far:uploader"))
    ]
    here = uploader("here", sources=[polled("right"), polled("wrong")])
    machine = await machines.started(config_of([here], health, remotes=[remote(there, prefix="far-")]), "near")
    await machine.arrives("right")
    await machine.arrives("wrong")
