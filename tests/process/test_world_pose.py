"""Where a component is (``GetWorldPose``): the machine's frame system is asked, over the machine's connection."""

from __future__ import annotations

import pytest
import viam.components.audio_out  # noqa: F401 - an API is registered once its package is imported, and this one by none else
from viam.components.arm import Arm
from viam.proto.common import Pose
from viam.resource.registry import Registry

from module.local.calls import UploadMethod
from tests.process.component_cases import POSE_ROW, fake
from tests.process.rig import Starter


@pytest.fixture
def start(start_in_one_process: Starter) -> Starter:
    return start_in_one_process


async def test_every_component_tells_where_it_is_as_viam_server_sends_it(start: Starter) -> None:
    """The row is the component's pose in the world (rdk, ``data/world_pose.go``)."""
    bases = {str(api): Registry.lookup_api(api).resource_type for api in Registry.REGISTERED_APIS()}
    components = {api: base for api, base in bases.items() if api.startswith("rdk:component:")}
    assert len(components) == 19
    resources = [fake(base, api.rpartition(":")[2]) for api, base in components.items()]
    sources = [{"name": each.name, "method": "GetWorldPose"} for each in resources]
    rig = await start(*resources, sources=sources)
    for number, resource in enumerate(resources):
        rig.server.poses[resource.name] = Pose(x=number, y=2.5, z=-3, o_z=1, theta=90)
    answer = await rig.command("capture", wait="uploaded")
    assert answer["errors"] == {}
    for number, (api, resource) in enumerate(zip(components, resources, strict=True)):
        (arrival,) = rig.arrivals(UploadMethod.TABULAR, resource.name)
        assert (arrival.metadata.component_type, arrival.metadata.method_name) == (api, "GetWorldPose")
        assert rig.rows(resource.name) == [{"pose": POSE_ROW | {"x": number}}]


async def test_a_component_without_a_place_says_so(start: Starter) -> None:
    rig = await start(fake(Arm), sources=[{"name": "it", "method": "GetWorldPose"}])
    told = 'it: GetWorldPose failed with UNKNOWN: frame with name "it" not in frame system'
    assert (await rig.command("capture"))["errors"] == {"it": told}
