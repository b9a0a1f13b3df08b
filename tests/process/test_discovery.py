"""The discovery service in a real module process, on a machine with sensors and cameras of every temper."""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from grpclib import GRPCError, Status
from grpclib.server import Stream
from viam.components.movement_sensor import MovementSensor
from viam.errors import NoCaptureToStoreError
from viam.proto.app.robot import ComponentConfig
from viam.proto.common import ResourceName
from viam.proto.robot import GetMachineStatusRequest, GetMachineStatusResponse, ResourceStatus
from viam.services.discovery.client import DiscoveryClient
from viam.services.generic import Generic

from module.attributes.uploader import parse
from module.demo import scene
from module.demo.scene import Scene
from module.local import machine_server
from tests.process.rig import NAME, CountingSensor, Rig, Starter, StillCamera

DISCOVERY = {"model": "courier:capture:discovery", "api": "rdk:service:discovery"}
FRONT = scene.jpeg(Scene(640, 480).picture(0.0))
RGBA = b"RGBA" + struct.pack(">II", 320, 240) + bytes([90, 160, 200, 255]) * (320 * 240)
ENVIRON = {
    "VIAM_MODULE_DATA": "/data",
    "VIAM_MACHINE_PART_ID": "part",
    "VIAM_API_KEY_ID": "id",
    "VIAM_API_KEY": "key",
}


class Lidar(StillCamera):
    """A camera that gives point clouds alone."""

    async def get_images(self, **_: Any) -> Any:
        raise NotImplementedError("no images")


class Imu(MovementSensor):
    """Gives readings, as the abstract class makes them out of what each method gives."""

    async def get_readings(self, **_: Any) -> Mapping[str, Any]:
        return {"heading": 90.0}

    get_position = get_linear_velocity = get_angular_velocity = get_linear_acceleration = None  # type: ignore[assignment]
    get_compass_heading = get_orientation = get_properties = get_accuracy = None  # type: ignore[assignment]


class Errands(Generic):
    """A service, which the discovery does not ask."""

    async def do_command(self, *_: Any, **__: Any) -> Mapping[str, Any]:
        return {}


async def add_discovery(rig: Rig, **attributes: Any) -> DiscoveryClient:
    await rig.server.add_resource("discovery", {"timeout_s": 5, **attributes}, **DISCOVERY)
    return DiscoveryClient("discovery", rig.server.channel)


async def discover(discovery: DiscoveryClient, **options: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The uploader's attributes, and its sources by id; all that was proposed is of the right form."""
    uploader, health = await discovery.discover_resources(timeout=options.get("timeout", 30))
    assert (uploader.name, uploader.api, uploader.model) == (
        "courier",
        "rdk:service:generic",
        "courier:capture:uploader",
    )
    assert (health.name, health.api, health.model) == (
        "courier-health",
        "rdk:component:sensor",
        "courier:capture:health",
    )
    assert MessageToDict(health.attributes) == {"service": "courier"}
    assert isinstance(uploader, ComponentConfig)
    attributes = dict(MessageToDict(uploader.attributes))
    sources = parse(attributes, service="courier", environ=ENVIRON).sources
    return attributes, {made.id: given for made, given in zip(sources, attributes["sources"], strict=True)}


def machine() -> tuple[list[Any], CountingSensor]:
    hanging = CountingSensor("stuck")
    hanging.hang.clear()
    return [
        CountingSensor("host"),
        CountingSensor("dead", fail=lambda _: RuntimeError("no such bus")),
        hanging,
        CountingSensor("shy", fail=lambda _: NoCaptureToStoreError()),  # type: ignore[no-untyped-call]
        StillCamera("front", [("color", FRONT, "image/jpeg")]),
        StillCamera("raw", [("color", RGBA, "image/vnd.viam.rgba")]),
        StillCamera("blind", [("", b"", "image/jpeg")]),
        Lidar("lidar", [], cloud=b"# .PCD v.7\n" + bytes(5000)),
    ], hanging


async def test_what_the_machine_has_becomes_a_config_that_works(start: Starter) -> None:
    """A broken, a hanging and a blind one stop nothing: they are there, disabled, with the reason."""
    resources, hanging = machine()
    rig = await start(*resources)
    discovery = await add_discovery(rig)
    began = time.monotonic()
    attributes, sources = await discover(discovery)
    assert time.monotonic() - began < 30
    assert set(sources) == {"host", "dead", "stuck", "shy", "front", "raw", "blind", "lidar", "courier-health"}
    assert sources["host"]["interval_s"] == 1
    assert sources["host"]["comment"].startswith("2 values, ")
    assert "640x480 image/jpeg" in sources["front"]["comment"]
    assert sources["front"]["method"] == "GetImages"
    assert sources["raw"]["image"] == {"format": "jpeg"}
    assert "320x240 image/jpeg" in sources["raw"]["comment"]
    assert sources["lidar"]["method"] == "NextPointCloud"
    assert sources["lidar"]["comment"].startswith("pointcloud/pcd, 5.0 kB a poll")
    assert "filters" in sources["shy"]["comment"]
    off = {key: source["comment"] for key, source in sources.items() if source.get("disabled")}
    assert set(off) == {"dead", "stuck", "blind"}
    assert "no such bus" in off["dead"]
    assert "no answer to Readings within 5 s" in off["stuck"]
    assert off["blind"] == "blind: GetImages returned no bytes"
    assert "disabled, because they returned nothing: 3 of 8" in attributes["comment"]
    assert attributes["comment"].startswith("about ")
    assert "upload" not in attributes
    # Word for word what was proposed, except the cloud of this test.
    await rig.server.add_resource("courier", {**attributes, "cloud": {"address": rig.address}})
    health = {"service": "courier"}
    await rig.server.add_resource("courier-health", health, model="courier:capture:health", api="rdk:component:sensor")
    await rig.server.reconfigure_resource("courier")
    asked = ["host", "front", "raw", "lidar", "courier-health"]
    command = {"command": "capture", "sources": asked, "wait": "uploaded"}
    answer = await rig.server.do_command("courier", command)
    assert answer["errors"] == {}
    assert set(answer["uploaded"]) == set(asked)
    hanging.hang.set()


async def test_rates_keep_to_the_budget(start: Starter) -> None:
    """The camera gives way, the sensor's few bytes do not; the report has the figures."""
    rig = await start(CountingSensor("host"), StillCamera("front", [("", FRONT, "image/jpeg")]))
    discovery = await add_discovery(rig, daily_budget_bytes=200_000_000)
    attributes, sources = await discover(discovery)
    assert sources["host"]["interval_s"] == 1
    period_s = sources["front"]["interval_s"]
    assert 86_400 / period_s * len(FRONT) < 200_000_000
    assert 86_400 / (period_s / 2.6) * len(FRONT) > 190_000_000
    report: dict[str, Any] = dict(await discovery.do_command({"command": "report"}, timeout=30))
    assert report["daily_budget_bytes"] == 200_000_000
    assert 86_400 / period_s * len(FRONT) < report["bytes_per_day"] < 200_000_000
    front = next(each for each in report["resources"] if each["name"] == "front")
    assert (front["bytes"], front["gives"], front["answers"]) == (len(FRONT), "640x480 image/jpeg", 1)
    assert "with a budget of 200 MB" in attributes["comment"]


async def test_a_movement_sensor_is_asked_for_its_readings(start: Starter) -> None:
    Imu.__abstractmethods__ = frozenset()
    rig = await start(Imu("imu"))
    _, sources = await discover(await add_discovery(rig))
    assert set(sources) == {"imu", "courier-health"}
    assert sources["imu"]["comment"].startswith("1 values")


async def test_two_resources_of_one_name_are_distinguished(start: Starter) -> None:
    rig = await start(CountingSensor("twin"), StillCamera("twin", [("", FRONT, "image/jpeg")]))
    _, sources = await discover(await add_discovery(rig))
    assert sources["twin-sensor"]["api"] == "rdk:component:sensor"
    assert sources["twin-camera"]["api"] == "rdk:component:camera"


async def test_a_sensor_is_told_apart_from_a_service_of_its_name(start: Starter) -> None:
    rig = await start(CountingSensor("host"), Errands("host"))
    _, sources = await discover(await add_discovery(rig))
    assert set(sources) == {"host", "courier-health"}
    assert sources["host"]["api"] == "rdk:component:sensor"


async def test_the_caller_gets_its_answer_in_its_own_time(start: Starter) -> None:
    hanging = [CountingSensor(f"stuck-{number}") for number in range(12)]
    for each in hanging:
        each.hang.clear()
    rig = await start(CountingSensor("host"), *hanging)
    discovery = await add_discovery(rig, timeout_s=60)
    _, sources = await discover(discovery, timeout=20)
    assert sources["host"]["interval_s"] == 1
    assert all("caller's time" in sources[each.name]["comment"] for each in hanging)
    for each in hanging:
        each.hang.set()


async def test_resources_that_viam_server_could_not_build_are_reported(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """viam-server leaves it out of its list of resources; its status has it, with the error."""

    async def status(_self: Any, stream: Stream[GetMachineStatusRequest, GetMachineStatusResponse]) -> None:
        name = ResourceName(namespace="rdk", type="component", subtype="camera", name="unbuilt")
        await stream.send_message(
            GetMachineStatusResponse(resources=[ResourceStatus(name=name, error="no such device")])
        )

    monkeypatch.setattr(machine_server._Robot, "GetMachineStatus", status)
    rig = await start(CountingSensor("host"))
    _, sources = await discover(await add_discovery(rig))
    assert sources["unbuilt"]["disabled"] is True
    assert sources["unbuilt"]["comment"] == "viam-server could not build it: no such device"
    assert sources["host"]["interval_s"] == 1


async def test_a_machine_without_a_cloud_gets_a_config_that_validates(start: Starter) -> None:
    """No part id, no API key: it captures to its disk until it has them."""
    rig = await start(CountingSensor("host"))
    for name in ("VIAM_MACHINE_PART_ID", "VIAM_API_KEY_ID", "VIAM_API_KEY"):
        del rig.server._environ[name]
    await rig.server.restart()
    attributes, _ = await discover(await add_discovery(rig))
    assert attributes["upload"] == {"disabled": True}
    assert "uploads are disabled until cloud has part_id" in attributes["comment"]
    assert await rig.server.validate("courier", attributes) == ([], ["host", "courier-health"])


async def test_an_empty_machine_gets_an_uploader_with_its_health(start: Starter) -> None:
    rig = await start()
    discovery = await add_discovery(rig)
    _, sources = await discover(discovery)
    assert set(sources) == {"courier-health"}
    with pytest.raises(GRPCError) as refusal:
        await discovery.do_command({"command": "status"})
    assert refusal.value.status is Status.INVALID_ARGUMENT
    assert 'allowed is {"command": "report"}' in (refusal.value.message or "")


async def test_an_uploader_that_is_there_is_not_in_the_way(start: Starter) -> None:
    """It is proposed again, health sensor and all; nothing of it is stopped."""
    rig = await start(CountingSensor("host"), sources=[{"name": "host", "interval_s": 0.1}])
    await rig.server.add_resource(
        "courier-health", {"service": NAME}, model="courier:capture:health", api="rdk:component:sensor"
    )
    _, sources = await discover(await add_discovery(rig))
    assert set(sources) == {"host", "courier-health"}
    captured = (await rig.status())["sources"]["host"]["captured"]
    await rig.until(lambda status: status["sources"]["host"]["captured"] > captured)


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"daily_budget_bytes": 0}, "daily_budget_bytes: 0 given; allowed is a whole number from 1 to"),
        ({"timeout_s": 0}, "timeout_s: 0 given; allowed is a number above 0 and at most 60"),
        ({"daily_budget": 5}, "daily_budget: no such attribute; did you mean daily_budget_bytes?"),
    ],
)
async def test_attributes_that_cannot_be_used_are_refused(
    start: Starter, attributes: dict[str, Any], says: str
) -> None:
    rig = await start()
    with pytest.raises(GRPCError) as refusal:
        await rig.server.validate("discovery", attributes, **DISCOVERY)
    assert says in (refusal.value.message or "")
