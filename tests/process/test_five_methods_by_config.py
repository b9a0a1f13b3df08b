"""Each of the five upload methods by a source or a folder: what arrives is what the SDK's own sends for the same input.

What differs, and why, stands in ``docs/commands.md``, "The five methods"; each difference is named here in ``differs``.
"""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from viam.app.data_client import DataClient
from viam.components.board import Board
from viam.components.movement_sensor import MovementSensor
from viam.components.sensor import Sensor
from viam.proto.common import GeoPoint
from viam.resource.base import ResourceBase

from module.local.calls import Arrival, UploadMethod
from tests.process.component_cases import Pin, fake
from tests.process.rig import PART, ROOT, Rig, Starter, StillCamera
from tests.process.test_five_methods import PARAMETERS, assert_same, sdk_of, sent_by_sdk

TABULAR, BINARY, STREAMING, FILE, FROM_PATH = METHODS = (
    "tabular_data_capture_upload",
    "binary_data_capture_upload",
    "streaming_data_capture_upload",
    "file_upload",
    "file_upload_from_path",
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SMALL, LARGE = (b"\xff\xd8\xff" + bytes(size) for size in (100, 5000))
OVER_BYTES = 1000
READINGS = {"a": 1.5, "b": {"c": True}, "d": None, "e": [None, "ü"]}
POSITION = {"coordinate": {"latitude": 40.5, "longitude": -70}, "altitude_m": 8.5}
SENSOR, CAMERA = "rdk:component:sensor", "rdk:component:camera"
OF_SERVICE: dict[str, Any] = {"tags": ["line 3"], "dataset_ids": ["d0"]}
OF_SOURCE: dict[str, Any] = {"tags": ["own", "ü"], "dataset_ids": ["d1"], "method_parameters": PARAMETERS}
ALL_LABELS: dict[str, Any] = {
    "tags": ["line 3", "own", "ü"],
    "dataset_ids": ["d0", "d1"],
    "method_parameters": PARAMETERS,
}
JPEG_OF_CAMERA = {
    "component_type": CAMERA,
    "method_name": "GetImages",
    "file_extension": ".jpeg",
    "mime_type": "image/jpeg",
}


def camera(name: str, data: bytes = b"", cloud: bytes = b"") -> StillCamera:
    """A camera with one image, which has no name."""
    return StillCamera(name, [("", data, "image/jpeg")], cloud)


class Case(NamedTuple):
    """A source, the method that it leads to, and what the SDK's method is given."""

    resource: ResourceBase
    source: Mapping[str, Any]
    method: str
    given: Mapping[str, Any]
    differs: tuple[str, ...] = ()


CASES = [
    Case(
        fake(Sensor, "readings", get_readings=READINGS),
        {},
        TABULAR,
        {"tabular_data": [{"readings": READINGS}], "component_type": SENSOR, "method_name": "Readings"},
    ),
    Case(
        fake(MovementSensor, "position", get_position=(GeoPoint(latitude=40.5, longitude=-70), 8.5)),
        {"method": "Position", "upload_as": "tabular", **OF_SOURCE},
        TABULAR,
        {
            "tabular_data": [POSITION],
            "component_type": "rdk:component:movement_sensor",
            "method_name": "Position",
            **ALL_LABELS,
        },
    ),
    Case(
        fake(Board, "pin", gpio_pin_by_name=lambda _: Pin(get=True)),
        {"method": "Gpios", "extra": {"pin": "11"}},
        TABULAR,
        {
            "tabular_data": [{"high": True}],
            "component_type": "rdk:component:board",
            "method_name": "Gpios",
            "method_parameters": {"pin_name": "11"},
        },
    ),
    Case(
        camera("image", SMALL),
        {},
        BINARY,
        {
            "binary_data": SMALL,
            **JPEG_OF_CAMERA,
        },
    ),
    Case(
        camera("whole", LARGE),
        {"upload_as": "binary", **OF_SOURCE},
        BINARY,
        {
            "binary_data": LARGE,
            **JPEG_OF_CAMERA,
            **ALL_LABELS,
        },
    ),
    Case(
        StillCamera("named", [("left", SMALL, "image/jpeg")]),
        {},
        BINARY,
        {
            "binary_data": SMALL,
            **JPEG_OF_CAMERA,
        },
        ("annotations",),
    ),
    Case(
        camera("large", LARGE),
        {},
        STREAMING,
        {
            "data": LARGE,
            "component_type": CAMERA,
            "method_name": "GetImages",
            "file_ext": ".jpeg",
            "mime_type": "image/jpeg",
        },
    ),
    Case(
        camera("cloud", cloud=SMALL),
        {"method": "NextPointCloud", "upload_as": "streaming", **OF_SOURCE},
        STREAMING,
        {
            "data": SMALL,
            "component_type": CAMERA,
            "method_name": "NextPointCloud",
            "file_ext": ".pcd",
            "mime_type": "pointcloud/pcd",
            **ALL_LABELS,
        },
    ),
    Case(
        camera("picture", SMALL),
        {"upload_as": "file"},
        FILE,
        {"data": SMALL, "component_type": CAMERA, "method_name": "GetImages", "file_extension": ".jpeg"},
        ("mime_type",),
    ),
    Case(
        fake(Sensor, "document", get_readings=READINGS),
        {"upload_as": "file", **OF_SOURCE},
        FILE,
        {"component_type": SENSOR, "method_name": "Readings", "file_extension": ".ndjson", **ALL_LABELS},
        ("mime_type",),
    ),
]
OF_A_FILE = {"filepath", "part_id", "tags", "dataset_ids", "mime_type", "file_name"}
"""What a folder sets of ``file_upload_from_path``; a file is of no component."""


async def test_what_a_source_sends_is_what_the_sdk_sends(start: Starter) -> None:
    rig = await start(
        *(case.resource for case in CASES),
        sources=[{"name": case.resource.name, **case.source} for case in CASES],
        upload={"batch_wait_s": 0, "stream_over_bytes": OVER_BYTES},
        **OF_SERVICE,
    )
    async with sdk_of(rig) as sdk:
        for case in CASES:
            await check(rig, sdk, case)


async def check(rig: Rig, sdk: DataClient, case: Case) -> None:
    """Capture once, and have the SDK's method send the same."""
    rig.cloud.arrivals.clear()
    name, before_us = case.resource.name, time.time_ns() // 1000
    answer = await rig.command("capture", sources=[name], wait="uploaded")
    after_us = time.time_ns() // 1000
    assert answer["errors"] == {}, name
    (own,) = rig.cloud.arrivals
    given = sent_by_sdk({"component_name": name, **OF_SERVICE, **case.given})
    if case.method == TABULAR:
        del given["dataset_ids"]
    if case.method == FILE:
        given |= as_a_file(own, name, given)
    else:
        requested, received = times_of(own)
        assert before_us <= requested.timestamp() * 1e6 + 1
        assert requested <= received <= EPOCH + timedelta(microseconds=after_us)
        given["data_request_times"] = [(requested, received)] if case.method == TABULAR else (requested, received)
    await getattr(sdk, case.method)(part_id=PART, **given)
    theirs = rig.cloud.arrivals[-1]
    assert_same(theirs, own, *case.differs)


def times_of(arrival: Arrival) -> tuple[datetime, datetime]:
    """When it was asked for, and received."""
    times = arrival.rows[0].metadata if arrival.rows else arrival.sensor_metadata
    assert times is not None
    return times.time_requested.ToDatetime(UTC), times.time_received.ToDatetime(UTC)


def as_a_file(own: Arrival, source: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Its name, of the source and the time; its data, if those have the time in them."""
    name, extension = own.metadata.file_name, re.escape(given["file_extension"])
    assert re.fullmatch(rf"{source}_\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{{6}}Z{extension}", name)
    return {"file_name": name, "data": given.get("data", own.payload)}


async def test_what_a_folder_sends_is_what_the_sdk_sends(start: Starter, tmp_path: Path) -> None:
    """Under its tags and datasets, and those of its path."""
    path = tmp_path / "files" / "tag=ü" / "dataset=d2" / "report.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(LARGE)
    folder = {"path": str(tmp_path / "files"), "settle_s": 0, "tags": ["own"], "dataset_ids": ["d1"]}
    rig = await start(folders=[folder], upload={"batch_wait_s": 0}, **OF_SERVICE)
    await rig.cloud.wait_for(lambda: bool(rig.cloud.arrivals), 30)
    given = {"tags": ["line 3", "own", "ü"], "dataset_ids": ["d0", "d1", "d2"], "mime_type": "text/plain"}
    async with sdk_of(rig) as sdk:
        await sdk.file_upload_from_path(filepath=str(path), part_id=PART, file_name="report", **given)  # type: ignore[arg-type]
    own, theirs = rig.cloud.arrivals
    assert own.method is UploadMethod.FILE
    assert_same(theirs, own, "file_create_time", "file_modify_time")


def parameters_of(method: str) -> set[str]:
    return set(inspect.signature(getattr(DataClient, method)).parameters) - {"self"}


@pytest.mark.parametrize("method", METHODS)
def test_the_cases_above_give_each_parameter_of_each_method(method: str) -> None:
    given = {name for case in CASES if case.method == method for name in case.given}
    if method == FROM_PATH:
        assert parameters_of(method) - OF_A_FILE == {
            "component_type",
            "component_name",
            "method_name",
            "method_parameters",
        }
        return
    made = {"part_id", "component_name", *OF_SERVICE} | ({"file_name"} if method == FILE else {"data_request_times"})
    # The SDK's own drops it.
    untold = {"mime_type"} if method == FILE else set()
    assert parameters_of(method) <= given | made | untold


def test_the_page_has_each_parameter_of_each_method_and_none_beside() -> None:
    section = (ROOT / "docs" / "commands.md").read_text().partition("## The five methods")[2].partition("\n## ")[0]
    table = section.partition("| parameter | methods |")[2].partition("\n\n")[0]
    short = {method.removesuffix("_data_capture_upload"): method for method in METHODS} | {"file": FILE}
    told: set[tuple[str, str]] = set()
    for line in table.splitlines()[2:]:
        names, methods = (re.findall(r"`(\w+)`", cell) for cell in line.split("|")[1:3])
        words = line.split("|")[2]
        of = METHODS if words.strip().startswith("all") else [short[each] for each in methods]
        if " all except " in words:
            of = [method for method in METHODS if method != short[methods[0]]]
        told |= {(method, name) for method in of for name in names}
    has = {(method, name) for method in METHODS for name in parameters_of(method)}
    assert has <= told
    assert {name for _, name in told} == {name for _, name in has}
