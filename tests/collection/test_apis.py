from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from viam.components.camera.client import CameraClient
from viam.proto.app.data import Annotations, BoundingBox
from viam.proto.app.data import Classification as Label
from viam.proto.app.robot import ComponentConfig
from viam.proto.common import GetReadingsResponse, ResourceName
from viam.proto.component.camera import GetImagesResponse, Image
from viam.utils import dict_to_struct

from module.attributes import api_methods
from module.attributes.api_methods import CAMERA, methods_of
from module.attributes.uploader import SourceConfig, parse
from module.collection.apis import METHODS, Blob, prepare
from module.collection.sources import find
from module.errors import PollError
from module.structs import plain_fields
from tests.attributes.given import MACHINE


class Device:
    """The other end of a client's connection: gives one response to one method."""

    def __init__(self, response: Any) -> None:
        self.name = "it"
        self.response = response
        self.requests: list[Any] = []
        self.client = SimpleNamespace(
            GetImages=self._answer,
            CaptureAllFromCamera=self._answer,
            GetAudio=self._answer,
            GetReadings=self._answer,
        )

    async def _answer(self, request: Any, *, timeout: float) -> Any:
        self.requests.append((request, timeout))
        return self.response


def config(**attributes: Any) -> SourceConfig:
    return SourceConfig.model_construct(name="it", id="it", **attributes)


def test_the_table_has_a_row_for_every_method_and_none_beside() -> None:
    assert {(api, method.name) for api, methods in api_methods._OF_API.items() for method in methods} == set(METHODS)
    names = {method.name for method in methods_of(None)}
    assert names - {name for _, name in METHODS} == {"GetWorldPose", "DoCommand"}


def test_an_api_with_its_own_methods_has_a_constant() -> None:
    constants = {value for name, value in vars(api_methods).items() if name.isupper() and isinstance(value, str)}
    assert {api for api, methods in api_methods._OF_API.items() if methods} <= constants


def test_no_api_has_methods_and_none() -> None:
    """An API that gets its first method leaves the list of those without."""
    assert [api for api in api_methods._WITHOUT_OWN if api_methods._OF_API[api]] == []


async def test_images_keep_what_the_camera_says_of_them() -> None:
    """Together with their names; the SDK's own camera service has no way to send it."""
    own = Annotations(bboxes=[BoundingBox(label="cat", x_max_normalized=0.5)], classifications=[Label(label="day")])
    images = [Image(source_name="left", image=b"1", mime_type="image/jpeg", annotations=own), Image(image=b"2")]
    first, second = await prepare(CAMERA, "GetImages")(Device(GetImagesResponse(images=images)), config(), {})()
    assert isinstance(first, Blob)
    assert isinstance(second, Blob)
    own.classifications.add(label="left")
    assert Annotations.FromString(first.annotations) == own
    assert (first.name, second.name, second.annotations) == ("left", "", b"")


async def test_what_each_poll_asks_is_made_once() -> None:
    device = Device(GetReadingsResponse())
    ask = prepare(api_methods.SENSOR, "Readings")(device, config(), {"unit": "bar"})
    for _ in range(2):
        await ask()
    (first, _), (second, _) = device.requests
    assert first is second
    assert plain_fields(first.extra) == {"unit": "bar"}


async def test_null_in_extra_reaches_the_resource_as_null() -> None:
    """As the data manager sends it, all the way from the struct of the attributes."""
    extra: dict[str, Any] = {"filter": None, "list": [None], "unit": "m"}
    sent = ComponentConfig(attributes=dict_to_struct({"sources": [{"name": "it", "extra": extra}]}))
    (source,) = parse(plain_fields(sent.attributes), service="courier", environ=MACHINE).sources
    device = Device(GetImagesResponse(images=[Image(image=b"1")]))
    await prepare(CAMERA, "GetImages")(device, source, dict(source.extra))()
    assert plain_fields(device.requests[0][0].extra) == extra


@pytest.mark.parametrize(
    ("api", "method", "response", "told"),
    [
        ("rdk:component:camera", "GetImages", GetImagesResponse(), "it returned none"),
        (
            "rdk:service:vision",
            "CaptureAllFromCamera",
            SimpleNamespace(image=Image()),
            "CaptureAllFromCamera returned no image of eye",
        ),
        ("rdk:component:audio_in", "GetAudio", [], "GetAudio returned no sound"),
    ],
)
async def test_an_answer_that_holds_nothing_is_an_error(api: str, method: str, response: Any, told: str) -> None:
    ask = prepare(api, method)(Device(response), config(extra={"camera_name": "eye"}), {})
    with pytest.raises(PollError, match=told):
        await ask()


def test_a_method_tells_two_resources_of_one_name_apart() -> None:
    def named(subtype: str) -> ResourceName:
        return ResourceName(namespace="rdk", type="component", subtype=subtype, name="it")

    camera = CameraClient("it", SimpleNamespace())  # type: ignore[arg-type]
    both: Any = {Named(named("camera")): camera, Named(named("sensor")): Device(None)}
    assert find(config(method="Readings"), both).api == "rdk:component:sensor"
    assert find(config(method="GetImages"), both).api == "rdk:component:camera"
    assert find(config(api="rdk:component:camera"), both).method == "GetImages"
    told = "two resources are named it: set its api, one of rdk:component:camera, rdk:component:sensor"
    assert find(config(), both).problem == told
    assert find(config(method="DoCommand"), both).problem == told


class Named:
    """A resource's name that can be a key, as the SDK's are."""

    def __init__(self, name: ResourceName) -> None:
        self.namespace, self.type, self.subtype, self.name = name.namespace, name.type, name.subtype, name.name
