"""What a method is asked with travels with what it gave, through a real module process."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Value
from viam.components.board import Board

from module.demo.cloud import Arrival
from tests.process.rig import CountingSensor, Starter
from tests.process.test_components import Pin, fake


def parameters(arrival: Arrival) -> dict[str, Any]:
    """As they travel: each a ``google.protobuf.Value`` in an ``Any``."""
    found = {}
    for name, packed in arrival.metadata.method_parameters.items():
        value = Value()
        assert packed.Unpack(value)
        found[name] = MessageToDict(value)
    return found


async def test_two_pins_of_one_board_are_told_apart_by_what_arrives(start: Starter) -> None:
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


async def test_a_source_adds_parameters_of_its_own(start: Starter) -> None:
    source = {"name": "s1", "method_parameters": {"line": 4, "side": "left"}, "extra": {"unit": "K"}}
    rig = await start(CountingSensor("s1"), sources=[source])
    await rig.command("capture", wait="uploaded")
    (arrival,) = rig.arrivals()
    assert parameters(arrival) == {"line": 4, "side": "left"}
