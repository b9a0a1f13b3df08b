"""What a method is asked with travels with what it gave, through a real module process."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Value
from grpclib import GRPCError, Status
from viam.components.board import Board

from module.local.calls import Arrival, UploadMethod
from tests.process.component_cases import Pin, fake
from tests.process.rig import CountingSensor, Starter


@pytest.fixture
def start(start_in_one_process: Starter) -> Starter:
    return start_in_one_process


def parameters(arrival: Arrival) -> dict[str, Any]:
    """As they travel: each a ``google.protobuf.Value`` in an ``Any``."""
    found = {}
    for name, packed in arrival.metadata.method_parameters.items():
        value = Value()
        assert packed.Unpack(value)
        found[name] = MessageToDict(value)
    return found


async def test_two_pins_of_one_board_are_distinguished_in_the_cloud(start: Starter) -> None:
    """By the name that viam-server's data manager uses, whichever key says it."""
    pins = {"11": "pin_name", "12": "pin"}
    sources = [
        {"name": "b", "api": "rdk:component:board", "id": pin, "method": "Gpios", "extra": {key: pin}}
        for pin, key in pins.items()
    ]
    rig = await start(fake(Board, "b", gpio_pin_by_name=lambda _: Pin(get=True)), sources=sources)
    answer = await rig.command("capture", wait="uploaded")
    assert answer["errors"] == {}
    assert sorted(parameters(arrival)["pin_name"] for arrival in rig.arrivals()) == ["11", "12"]


async def test_a_source_adds_its_parameters(start: Starter) -> None:
    source = {"name": "s1", "method_parameters": {"line": 4, "side": "left"}, "extra": {"unit": "K"}}
    rig = await start(CountingSensor("s1"), sources=[source])
    await rig.command("capture", wait="uploaded")
    (arrival,) = rig.arrivals()
    assert parameters(arrival) == {"line": 4, "side": "left"}


async def test_a_capture_by_command_has_what_the_command_says(start: Starter) -> None:
    """Its tags and datasets are added, and its extra and parameters are merged over those of the source."""
    sensor = CountingSensor("s1")
    source = {"name": "s1", "tags": ["a"], "extra": {"unit": "K", "depth": 1}, "method_parameters": {"side": "left"}}
    rig = await start(sensor, sources=[source], upload={"batch_wait_s": 0})
    await rig.command(
        "capture",
        tags=["b"],
        dataset_ids=["d"],
        upload_as="file",
        extra={"depth": 2, "lamp": "on"},
        method_parameters={"line": 4},
        wait="uploaded",
    )
    await rig.command("capture", wait="uploaded")
    assert sensor.extras == [
        {"unit": "K", "depth": 2, "lamp": "on", "fromDataManagement": True},
        {"unit": "K", "depth": 1, "fromDataManagement": True},
    ]
    by_command, plain = rig.arrivals()
    assert (by_command.method, plain.method) == (UploadMethod.FILE, UploadMethod.TABULAR)
    assert (list(by_command.metadata.tags), list(by_command.metadata.dataset_ids)) == (["a", "b"], ["d"])
    assert (parameters(by_command), parameters(plain)) == ({"side": "left", "line": 4}, {"side": "left"})
    assert list(plain.metadata.tags) == ["a"]


async def test_a_capture_by_command_may_ask_another_pin(start: Starter) -> None:
    source = {"name": "b", "api": "rdk:component:board", "method": "Gpios", "extra": {"pin_name": "11"}}
    rig = await start(fake(Board, "b", gpio_pin_by_name=lambda _: Pin(get=True)), sources=[source])
    await rig.command("capture", extra={"pin_name": "12"}, wait="uploaded")
    (arrival,) = rig.arrivals()
    assert parameters(arrival) == {"pin_name": "12"}
    for bad, words in (({"extra": {"pin_name": 5}}, "pin_name"), ({"upload_as": "streaming"}, "upload_as")):
        with pytest.raises(GRPCError, match=words) as refusal:
            await rig.command("capture", **bad)
        assert refusal.value.status is Status.INVALID_ARGUMENT
    assert (await rig.status())["sources"]["b"]["captured"] == 1


async def test_set_tags_adds_a_dataset_a_shift(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1", "upload_as": "file", "dataset_ids": ["always"]}])
    answer = await rig.command("set_tags", tags=["night"], dataset_ids=["shift-3"])
    assert answer == {"tags": ["night"], "dataset_ids": ["shift-3"], "sources": ["s1"]}
    await rig.command("capture", wait="uploaded")
    await rig.command("set_tags")
    await rig.command("capture", wait="uploaded")
    datasets = [list(arrival.metadata.dataset_ids) for arrival in rig.arrivals()]
    assert datasets == [["always", "shift-3"], ["always"]]
