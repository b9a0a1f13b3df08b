from __future__ import annotations

import pytest
from viam.media.video import CameraMimeType, ViamImage

from module.demo import scene
from module.demo.cell import JAM_S
from module.demo.inspector import Inspector
from module.demo.scene import Scene


@pytest.fixture(scope="module")
def view() -> Scene:
    return Scene(640, 480)


async def _found(view: Scene, at_s: float) -> list[tuple[str, int, int, int, int]]:
    image = ViamImage(scene.jpeg(view.picture(at_s)), CameraMimeType.JPEG)
    found = await Inspector("inspector").get_detections(image)
    assert all(0.6 < one.confidence < 1 for one in found)
    return [(one.class_name, one.x_min, one.y_min, one.x_max, one.y_max) for one in found]


@pytest.mark.parametrize(("cycle", "name"), [(0, "valve"), (1, "pump"), (2, "cap")])
async def test_the_part_at_the_gripper_is_found_with_its_kind_and_its_place(view: Scene, cycle: int, name: str) -> None:
    ((found, left, top, right, bottom),) = await _found(view, JAM_S + 3 * cycle + 0.2)
    assert found == name
    assert (left, top, right, bottom) == pytest.approx((336, 283, 432, 362), abs=10)


async def test_a_part_askew_is_found(view: Scene) -> None:
    assert [found[0] for found in await _found(view, 1.0)] == ["valve"]


async def test_nothing_is_found_while_the_belt_brings_the_next_part(view: Scene) -> None:
    """The gripper, the lamp and the parts that wait are none."""
    assert await _found(view, JAM_S + 1.75) == []


async def test_what_is_no_image_has_no_parts() -> None:
    assert await Inspector("inspector").get_detections(ViamImage(b"no image", CameraMimeType.JPEG)) == []


async def test_it_refuses_what_it_cannot_do() -> None:
    inspector = Inspector("inspector")
    assert (await inspector.get_properties()).detections_supported
    with pytest.raises(NotImplementedError, match="inspector looks at the images that it is sent"):
        await inspector.get_classifications_from_camera("front", 1)
