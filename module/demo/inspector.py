"""A vision service that finds the part in front of the gripper, by the colour that each kind of part has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, NoReturn

from viam.media.video import ViamImage
from viam.proto.service.vision import Detection
from viam.services.vision import Vision

from module.demo.backdrop import STATION

_KINDS = (("valve", 6, 22), ("pump", 98, 116), ("cap", 56, 86))
"""Each kind's name, and between which hues it is, of 180."""
_SATURATION, _VALUE = 110, 50
"""The least of a part, of 255."""
_ROWS = (0.36, 0.80)
_ZONE = 0.24
"""How far from the gripper's place the middle of a part may be, in heights of the image."""
_LEAST_AREA = 0.014
"""Of a part, in heights of the image squared."""


class Inspector(Vision):
    """Finds parts in the cell's images, as a trained detector would."""

    async def get_detections(self, image: ViamImage, **_: Any) -> list[Detection]:
        """The part in front of the gripper, if there is one; the image is worked on in a thread."""
        return await asyncio.to_thread(lambda: list(parts_in(image.data)))

    async def get_properties(self, **_: Any) -> Vision.Properties:
        """Return that it finds detections."""
        return Vision.Properties(
            detections_supported=True, classifications_supported=False, object_point_clouds_supported=False
        )

    async def get_detections_from_camera(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: it has no camera."""
        raise NotImplementedError(f"{self.name} looks at the images that it is sent")

    get_classifications = get_detections_from_camera
    get_classifications_from_camera = get_detections_from_camera
    get_detections_3d = get_detections_from_camera
    get_object_point_clouds = get_detections_from_camera
    capture_all_from_camera = get_detections_from_camera


def parts_in(jpeg: bytes) -> Iterator[Detection]:
    """The parts in front of the gripper, with the pixels of the image that they fill."""
    import cv2  # noqa: PLC0415 - only the demo's cameras need it
    import numpy as np  # noqa: PLC0415 - as above

    # A fourth of the width and the height is enough, and costs a quarter of the decoding.
    small = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_REDUCED_COLOR_4)
    if small is None:
        return
    height, width = small.shape[:2]
    top, left = round(_ROWS[0] * height), max(0, round(STATION * width - 1.6 * _ZONE * height))
    zone = small[top : round(_ROWS[1] * height), left : round(STATION * width + 1.6 * _ZONE * height)]
    hsv = cv2.cvtColor(cv2.blur(zone, (3, 3)), cv2.COLOR_BGR2HSV)
    for name, low, high in _KINDS:
        mask = cv2.inRange(hsv, np.array((low, _SATURATION, _VALUE)), np.array((high, 255, 255)))
        _, _, found, centres = cv2.connectedComponentsWithStats(cv2.dilate(mask, np.ones((3, 3), np.uint8)))
        for (x, y, wide, high_, area), centre in zip(found[1:].tolist(), centres[1:].tolist(), strict=True):
            if area < _LEAST_AREA * height**2 or abs(left + centre[0] - STATION * width) > _ZONE * height:
                continue
            yield Detection(
                class_name=name,
                confidence=min(0.99, 0.55 + 0.45 * area / (wide * high_)),
                x_min=4 * (left + x),
                y_min=4 * (top + y),
                x_max=4 * (left + x + wide),
                y_max=4 * (top + y + high_),
            )
