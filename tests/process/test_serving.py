"""What viam-server asks of the module itself: whether attributes are right, and to build a resource."""

from __future__ import annotations

from typing import Any

import pytest
from grpclib import GRPCError, Status
from viam.proto.app.robot import ComponentConfig
from viam.proto.module import AddResourceRequest, ModuleServiceStub, ReconfigureResourceRequest
from viam.utils import dict_to_struct

from module import UPLOADER_MODEL
from module.local.viam_server import GENERIC_SERVICE
from tests.process.rig import NAME, CountingSensor, Rig, Starter

SENSOR = "rdk:component:sensor"


def config(rig: Rig, **attributes: Any) -> ComponentConfig:
    struct = dict_to_struct(rig.attributes(**attributes))
    return ComponentConfig(name=NAME, api=GENERIC_SERVICE, model=UPLOADER_MODEL, attributes=struct)


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"sources": [{"name": "s", "interval_s": -1}]}, "sources[0].interval_s: -1 given; allowed is a number of"),
        ({"tags": ["x" * 9000, ""]}, 'tags[1]: "" given; allowed is a non-empty text'),
    ],
)
async def test_a_refusal_of_attributes_begins_with_their_path(
    start: Starter, attributes: dict[str, Any], told: str
) -> None:
    rig = await start()
    with pytest.raises(GRPCError) as refusal:
        await rig.server.validate(NAME, rig.attributes(**attributes))
    assert refusal.value.status is Status.INVALID_ARGUMENT
    assert str(refusal.value.message).startswith(told)


async def test_a_long_refusal_is_cut_and_breaks_no_connection(start: Starter) -> None:
    """It travels in a header, whose size the other end limits."""
    rig = await start()
    with pytest.raises(GRPCError) as refusal:
        await rig.server.validate(NAME, rig.attributes(sources=[{"name": ""}] * 2000))
    assert len(str(refusal.value.message)) == 4000
    await rig.server.validate(NAME, rig.attributes())


async def test_a_dependency_that_nobody_can_ask_keeps_no_other_source_from_capturing(start: Starter) -> None:
    """One by a name that viam-server does not serve, and one of an API that the SDK does not know."""
    rig = await start(CountingSensor("near"))
    names = ["near", "far:gauge", "thermo"]
    sources = [{"name": name, "capture_frequency_hz": 20} for name in names]
    dependencies = [f"{SENSOR}/near", f"{SENSOR}/far:gauge", "acme:component:thermo/thermo"]
    module = ModuleServiceStub(rig.server.channel)
    await module.AddResource(AddResourceRequest(config=config(rig, sources=sources), dependencies=dependencies))
    await rig.until(lambda status: status["sources"]["near"]["captured"] >= 2)
    status = await rig.status()
    assert [status["sources"][name]["state"] for name in names[1:]] == ["waiting", "waiting"]
    for dependency in dependencies[1:]:
        assert f"{NAME} cannot use {dependency}: " in rig.printed()

    again = ReconfigureResourceRequest(config=config(rig, sources=sources[::2]), dependencies=dependencies)
    await module.ReconfigureResource(again)
    await rig.until(lambda status: "far:gauge" not in status["sources"] and status["sources"]["near"]["captured"] >= 2)
