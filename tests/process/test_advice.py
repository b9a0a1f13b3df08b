"""What is valid and yet not as its author means it is said: in the source's ``last_error``, and once in the log."""

from __future__ import annotations

from typing import Any

import pytest

from module.local.viam_server import GENERIC_SERVICE as GENERIC
from tests.process.rig import NAME, CountingSensor, Rig, Starter, StillCamera
from tests.process.test_sources import JPEG


@pytest.fixture
def start(start_in_one_process: Starter) -> Starter:
    return start_in_one_process


SHELL = "rdk:service:shell"
NO_RATE = "gate and on_change need capture_frequency_hz, interval_s or cron: without one it captures only on command"


async def source_of(rig: Rig, key: str = "it") -> dict[str, Any]:
    source: dict[str, Any] = (await rig.status())["sources"][key]
    return source


def camera() -> StillCamera:
    return StillCamera("it", [("", JPEG, "image/jpeg")], cloud=b"points")


@pytest.mark.parametrize("more", [{"gate": {"sensor": "it", "key": "n"}}, {"on_change": {}}, {"gate": {}}])
async def test_a_gate_or_a_change_without_a_rate_warns(start: Starter, more: dict[str, Any]) -> None:
    """Such a source never captures on its own; a schedule by command takes the warning away."""
    rig = await start(CountingSensor("it"), sources=[{"name": "it", **more}])
    await rig.until(lambda status: status["sources"]["it"]["last_error"] == NO_RATE and NO_RATE in rig.printed())
    assert rig.printed().count(f"it: {NO_RATE}") == 1
    await rig.command("capture")
    assert (await source_of(rig))["last_error"] == NO_RATE
    await rig.command("set_schedule", source="it", interval_s=3600)
    assert (await source_of(rig))["last_error"] is None


async def test_a_source_without_a_schedule_is_logged_once_as_on_demand(start: Starter) -> None:
    rig = await start(CountingSensor("it"), sources=[{"name": "it"}, {"name": "it", "id": "off", "disabled": True}])
    await rig.server.reconfigure_resource(NAME)
    await rig.until(lambda status: status["sources"]["it"]["last_error"] is None)
    assert rig.printed().count("it: on demand only: it has no schedule") == 1
    assert "off: on demand" not in rig.printed()


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"upload_as": "streaming"}, 'upload_as: "streaming" given; allowed is auto, tabular or file for Readings'),
        ({"image": {"quality": 5}}, 'image: {"quality": 5} given; allowed is image only with the method GetImages'),
        ({"on_change": {"min_difference": 0.1}}, "on_change: "),
    ],
)
async def test_what_does_not_fit_a_sensor_is_said_once_it_is_found(
    start: Starter, attributes: dict[str, Any], told: str
) -> None:
    """And ignored: the source captures."""
    sensor = CountingSensor("it")
    rig = await start(sensor, sources=[{"name": "it", "interval_s": 0.1, **attributes}])
    source = (await rig.until(lambda status: status["sources"]["it"]["captured"] >= 2))["sources"]["it"]
    assert source["last_error"].startswith(f"as it is a rdk:component:sensor: {told}")
    assert rig.printed().count(source["last_error"]) == 1


async def test_what_does_not_fit_a_camera_is_said_once_it_is_found(start: Starter) -> None:
    rig = await start(camera(), sources=[{"name": "it", "interval_s": 0.1, "upload_as": "tabular"}])
    source = (await rig.until(lambda status: status["sources"]["it"]["captured"] >= 2))["sources"]["it"]
    told = 'upload_as: "tabular" given; allowed is auto, binary, streaming or file for GetImages'
    assert source["last_error"] == f"as it is a rdk:component:camera: {told}"


@pytest.mark.parametrize("method", ["GetImages", "NextPointCloud"])
async def test_an_image_or_point_cloud_of_0_bytes_is_an_error(start: Starter, method: str) -> None:
    device = StillCamera("it", [("", b"", "image/jpeg")])
    rig = await start(device, sources=[{"name": "it", "method": method}])
    answer = await rig.command("capture")
    assert answer["errors"] == {"it": f"it: {method} returned 0 bytes"}
    source = await source_of(rig)
    assert (source["captured"], source["errors"], source["last_error"]) == (0, 1, f"it: {method} returned 0 bytes")


async def test_an_image_of_0_bytes_costs_none_of_the_others(start: Starter) -> None:
    device = StillCamera("it", [("color", JPEG, "image/jpeg"), ("depth", b"", "image/jpeg")])
    rig = await start(device, sources=[{"name": "it"}])
    await rig.command("capture", wait="uploaded")
    source = await source_of(rig)
    assert (source["captured"], source["errors"]) == (1, 1)
    assert source["last_error"] == "it: GetImages returned 0 bytes for depth"
    device.images.pop()
    await rig.command("capture")
    assert (await source_of(rig))["last_error"] is None


async def test_a_service_without_readings_says_what_it_has(start: Starter) -> None:
    """The first version accepted such a source, and so does each later one."""
    sources = [{"name": "it", "api": SHELL}, {"name": "it", "id": "read", "api": SHELL, "method": "Readings"}]
    rig = await start(sources=[*sources, {"name": "it", "id": "ask", "api": GENERIC, "extra": {"command": {"a": 1}}}])
    assert (await source_of(rig))["last_error"] == (
        f"it: DoCommand of a {SHELL} needs command or docommand_input (an object) in extra"
    )
    assert (await source_of(rig, "read"))["last_error"] == f"it is a {SHELL}, which has no Readings; it has DoCommand"
