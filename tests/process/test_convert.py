"""What a converted config captures is what the data manager was told to: the same resources, methods, rates and tags.

The examples of a migration run in a real module process. What is expected is read from the data manager's own config,
not from what the conversion gave.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from viam.components.board import Board
from viam.components.power_sensor import PowerSensor
from viam.resource.base import ResourceBase

from module.conversion.machine import convert
from module.local.calls import Arrival, UploadMethod
from tests.process.component_cases import Pin, fake
from tests.process.rig import NAME, ROOT, CountingSensor, Rig, Starter, StillCamera
from tests.process.test_sources import JPEG

EXAMPLES = ROOT / "examples" / "migration"
PIXELS = ("color", JPEG, "image/jpeg")


class Told(NamedTuple):
    """A capture that a data manager is told."""

    name: str
    method: str
    hz: float
    enabled: bool


def before(name: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((EXAMPLES / f"{name}.before.json").read_text())
    return config


def told(config: dict[str, Any]) -> Iterator[Told]:
    """What the data manager is told to capture."""
    for place in [*config["components"], *config.get("remotes", [])]:
        for service in place["service_configs"]:
            for method in service["attributes"]["capture_methods"]:
                resource = method["name"].partition("/")[2] if "name" in method else place["name"]
                # The cloud knows the images that viam-server's ReadImage gave as those of GetImages.
                called = {"ReadImage": "GetImages"}.get(method["method"], method["method"])
                yield Told(resource, called, method["capture_frequency_hz"], not method.get("disabled"))


def manager(config: dict[str, Any]) -> dict[str, Any]:
    attributes: dict[str, Any] = config["services"][0]["attributes"]
    return attributes


def converted(config: dict[str, Any]) -> dict[str, Any]:
    """The uploader's attributes, except the directory of the spool, which this computer may not have."""
    attributes: dict[str, Any] = convert(config).config["services"][-1]["attributes"]
    attributes.get("spool", {}).pop("directory", None)
    return attributes


async def captures_as_told(rig: Rig, config: dict[str, Any]) -> dict[Told, list[Arrival]]:
    """Let every source that is enabled capture a few times, and deliver it; give what came of each."""
    enabled = [each for each in told(config) if each.enabled]
    least = {(each.name, each.method): 3 for each in enabled}

    def done(status: dict[str, Any]) -> bool:
        sources = status["sources"].values()
        return all(
            source["captured"] >= least[source["name"], source["method"]]
            for source in sources
            if source["state"] != "disabled"
        )

    running = (await rig.until(done, timeout_s=40))["sources"].values()
    status = await rig.drained()
    assert sorted((each["name"], each["method"], each["schedule"]) for each in running) == sorted(
        (each.name, each.method, f"{each.hz:g} Hz") for each in told(config)
    )
    assert sum(each["state"] == "disabled" for each in running) == sum(not each.enabled for each in told(config))
    assert status["spool"]["failed"] == 0
    found = {}
    for each in enabled:
        found[each] = [a for a in rig.arrivals(name=each.name) if a.metadata.method_name == each.method]
        assert found[each], each
    assert {(a.metadata.component_name, a.metadata.method_name) for a in rig.arrivals()} == set(least)
    return found


def asked_s(metadata: Any) -> float:
    """When the resource was asked, in seconds since the epoch."""
    return float(metadata.time_requested.ToMicroseconds() / 1e6)


def never_faster(times: list[float], hz: float) -> None:
    """Deadlines lie a period apart, and no poll comes a whole one late: three span more than one period."""
    assert (max(times) - min(times)) / (len(times) - 1) > 0.45 / hz


async def test_cameras(start: Starter) -> None:
    config = before("cameras")
    front = StillCamera("front", [PIXELS, ("depth", JPEG + b"x", "image/jpeg")])
    rig = await start(front, StillCamera("back", [PIXELS]))
    await rig.server.add_resource(NAME, rig.attributes(**converted(config)))
    found = await captures_as_told(rig, config)
    assert {each.name for each in found} == {"front", "back"}
    for each, arrivals in found.items():
        assert {arrival.payload for arrival in arrivals} == {JPEG}
        assert {arrival.method for arrival in arrivals} == {UploadMethod.BINARY}
        never_faster([asked_s(arrival.sensor_metadata) for arrival in arrivals], each.hz)


async def test_sensors_with_tags(start: Starter) -> None:
    config = before("sensors")
    mains = fake(PowerSensor, "mains", get_power=3.5, get_voltage=(230, True))
    resources: list[ResourceBase] = [CountingSensor("climate"), mains, CountingSensor("line-belt")]
    pins = {"door": Pin(get=True), "lid": Pin(get=False)}
    rig = await start(*resources, fake(Board, "io", gpio_pin_by_name=pins.__getitem__))
    await rig.server.add_resource(NAME, rig.attributes(**converted(config)))
    found = await captures_as_told(rig, config)
    for each, arrivals in found.items():
        own = ["climate"] if each.name == "climate" else []
        assert {tuple(sorted(arrival.metadata.tags)) for arrival in arrivals} == {
            tuple(sorted([*manager(config)["tags"], *own]))
        }
        rows = [row for arrival in arrivals for row in arrival.rows]
        if each.method != "Gpios":
            never_faster([asked_s(row.metadata) for row in rows], each.hz)
    assert rig.numbers("climate")[:3] == [1, 2, 3]
    assert {row["high"] for row in rig.rows("io")} == {True, False}
    assert {key for row in rig.rows("mains") for key in row} == {"watts", "volts", "is_ac"}


async def test_additional_paths_and_selective_sync(start: Starter, tmp_path: Path) -> None:
    """Nothing is uploaded until the sensor says so; then the readings and the files of both folders, which go."""
    config = before("folders")
    folders = [tmp_path / "reports", tmp_path / "logs"]
    manager(config)["additional_sync_paths"] = [str(folder) for folder in folders]
    for folder in folders:
        (folder / "deep" / "tag=night").mkdir(parents=True)
        (folder / "failed").mkdir()
        (folder / "deep" / "tag=night" / f"{folder.name}.txt").write_text(folder.name)
        (folder / "failed" / "old.txt").write_text("the data manager leaves it")
    wifi = Gate("wifi")
    rig = await start(wifi)
    await rig.server.add_resource(NAME, rig.attributes(**converted(config)))
    await rig.until(lambda status: status["sources"]["wifi"]["captured"] >= 3 and status["spool"]["items"] >= 5, 30)
    assert rig.arrivals() == []
    wifi.open = True
    await rig.until(lambda status: status["upload"]["by_method"]["file_upload_from_path"] >= 2, 40)
    files = {arrival.payload: arrival for arrival in rig.arrivals(UploadMethod.FILE)}
    assert set(files) == {b"reports", b"logs"}
    assert {tuple(sorted(arrival.metadata.tags)) for arrival in files.values()} == {("inspector", "night")}
    await rig.until(lambda status: status["upload"]["by_method"]["tabular_data_capture_upload"] >= 1, 30)
    async with asyncio.timeout(20):
        while any(list(folder.glob("deep/*/*.txt")) for folder in folders):
            await asyncio.sleep(0.05)
    assert all((folder / "failed" / "old.txt").is_file() for folder in folders)
    status = await rig.status()
    assert status["sources"]["wifi"]["schedule"] == "2 Hz"


async def test_the_command_as_it_is_typed(tmp_path: Path) -> None:
    """The config on standard output, and nothing else; the report on standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "module", "convert", str(EXAMPLES / "sensors.before.json")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
    )
    out, err = await process.communicate()
    assert process.returncode == 0
    assert json.loads(out) == json.loads((EXAMPLES / "sensors.after.json").read_text())
    assert "mapped:" in err.decode()


class Gate(CountingSensor):
    """Tells whether to sync, as a selective syncer of the data manager does."""

    open = False

    async def get_readings(self, **more: Any) -> Any:
        return {**await super().get_readings(**more), "should_sync": self.open}
