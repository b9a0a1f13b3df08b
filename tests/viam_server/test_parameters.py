"""What arrives of a method with its parameters is what viam-server's own data manager writes for the same component."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Value
from viam.proto.app.datasync import DataCaptureMetadata, SensorData

from module.local.calls import Arrival
from tests.viam_server.rig import Maker, config_of, uploader

pytestmark = pytest.mark.slow

BOARD = "rdk:component:board"
PIN = {"pin_name": "11"}


FRAME = {
    "parent": "world",
    "translation": {"x": 1, "y": 2.5, "z": -3},
    "orientation": {"type": "ov_degrees", "value": {"x": 0, "y": 0, "z": 1, "th": 90}},
}
PLACE = {"x": 1, "y": 2.5, "z": -3, "o_x": 0, "o_y": 0, "o_z": 1, "theta": 90}


def board(capture: dict[str, Any]) -> dict[str, Any]:
    """A board that is built into viam-server and has a place, captured by its data manager too."""
    attributes = {"capture_methods": [{"capture_frequency_hz": 5, **capture}]}
    service = {"type": "data_manager", "attributes": attributes}
    return {
        "name": "b",
        "api": BOARD,
        "model": "rdk:builtin:fake",
        "attributes": {},
        "frame": FRAME,
        "service_configs": [service],
    }


def messages(data: bytes) -> Iterator[bytes]:
    """The messages of a capture file, each after its length, which may be cut (rdk, ``data/capture_file.go``)."""
    at = 0
    while at < len(data):
        size = shift = 0
        while True:
            if at == len(data):
                return
            size |= (data[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if data[at - 1] < 0x80:
                break
        yield data[at : at + size]
        at += size


def written(folder: Path) -> list[tuple[DataCaptureMetadata, list[SensorData]]]:
    """What the data manager has written, by file; the last message of one may be cut."""
    found = []
    for path in [*folder.rglob("*.prog"), *folder.rglob("*.capture")]:
        # All but the last, which may be cut: a file that was only just made has none.
        head, *rows = [*messages(path.read_bytes())][:-1] or [b""]
        found.append((DataCaptureMetadata.FromString(head), [SensorData.FromString(row) for row in rows]))
    return [each for each in found if each[1]]


def parameters(packed: Any) -> dict[str, Any]:
    found = {}
    for name, each in packed.items():
        value = Value()
        assert each.Unpack(value)
        found[name] = MessageToDict(value)
    return found


async def captured_by_both(
    machines: Maker, folder: Path, method: str, told: dict[str, Any]
) -> tuple[tuple[DataCaptureMetadata, SensorData], Arrival]:
    """What the data manager has written of a board's method first, and what the uploader has sent of it."""
    manager = {
        "name": "data",
        "api": "rdk:service:data_manager",
        "model": "rdk:builtin:builtin",
        "attributes": {"capture_dir": str(folder), "sync_disabled": True},
    }
    source = {"name": "b", "api": BOARD, "method": method, "interval_s": 0.2, "extra": told}
    both = board({"method": method, "additional_params": told})
    machine = await machines.started(config_of([uploader(sources=[source]), manager], [both]))
    await machine.arrives("b")
    await machine.until(lambda: bool(written(folder)), "the data manager wrote nothing")
    metadata, rows = written(folder)[0]
    return (metadata, rows[0]), next(each for each in machine.cloud.arrivals if each.metadata.component_name == "b")


async def test_a_pin_has_the_parameters_and_the_rows_of_the_data_manager(machines: Maker, tmp_path: Path) -> None:
    (metadata, row), arrival = await captured_by_both(machines, tmp_path / "captured", "Gpios", PIN)
    ours = arrival.metadata
    assert (ours.component_type, ours.method_name) == (metadata.component_type, metadata.method_name)
    assert parameters(ours.method_parameters) == parameters(metadata.method_parameters) == PIN
    assert MessageToDict(arrival.rows[0].struct) == MessageToDict(row.struct)


async def test_a_component_has_the_same_pose_as_with_the_data_manager(machines: Maker, tmp_path: Path) -> None:
    (metadata, row), arrival = await captured_by_both(machines, tmp_path / "captured", "GetWorldPose", {})
    ours = arrival.metadata
    assert (ours.component_type, ours.method_name) == (metadata.component_type, metadata.method_name)
    assert parameters(ours.method_parameters) == parameters(metadata.method_parameters) == {}
    assert MessageToDict(arrival.rows[0].struct) == MessageToDict(row.struct)
    pose = MessageToDict(row.struct)["pose"]
    assert pose == {name: pytest.approx(value) for name, value in PLACE.items()}
