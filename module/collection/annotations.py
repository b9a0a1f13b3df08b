"""Detections and classifications of an image → the annotations that are sent with it: boxes and labels in the app.

All annotations here are serialised ``viam.proto.app.data.Annotations``. ``first + second`` holds what both hold
(Protocol Buffers, "Encoding": last one wins, repeated fields are appended).
"""

from __future__ import annotations

from collections.abc import Iterable

from viam.proto.app.data import Annotations, BoundingBox
from viam.proto.app.data import Classification as Label
from viam.proto.service.vision import Classification, Detection

_Sides = tuple[float, float, float, float]


def annotations_of(
    detections: Iterable[Detection], classifications: Iterable[Classification], *, width: int, height: int
) -> bytes:
    """Return detections as boxes and classifications as labels, with their confidence; empty if there are none.

    Boxes are fractions of the image (0 to 1, left and top first) and are cut at its edges. The detector's own fractions
    are used if it has them. Otherwise they are computed from its pixels and the image's ``width`` and ``height`` in
    pixels; if these are not known (0), the box is left out.
    """
    found = Annotations()
    for detection in detections:
        sides = _proportions(detection, width, height)
        if sides is not None:
            found.bboxes.append(_box(BoundingBox(label=detection.class_name, confidence=detection.confidence), sides))
    for each in classifications:
        found.classifications.append(Label(label=each.class_name, confidence=each.confidence))
    return bytes(found.SerializeToString())


def label(name: str) -> bytes:
    """Return one label without a confidence; empty for an empty name."""
    return bytes(Annotations(classifications=[Label(label=name)]).SerializeToString()) if name else b""


def cropped(serialised: bytes, crop: tuple[int, int, int, int], *, width: int, height: int) -> bytes:
    """Return the annotations of an image after it is cropped to ``(x, y, width, height)`` pixels.

    Boxes outside are left out, boxes that reach outside are cut, and labels stay. ``width`` and ``height`` are those of
    the image before the crop. If they are not known (0), all boxes are left out.
    """
    found = Annotations.FromString(serialised)
    left, top, right, bottom = crop[0], crop[1], min(crop[0] + crop[2], width), min(crop[1] + crop[3], height)
    boxes, kept = list(found.bboxes), []
    for box in boxes if right > left and bottom > top else ():
        sides = (
            (box.x_min_normalized * width - left) / (right - left),
            (box.y_min_normalized * height - top) / (bottom - top),
            (box.x_max_normalized * width - left) / (right - left),
            (box.y_max_normalized * height - top) / (bottom - top),
        )
        if sides[0] < 1 and sides[1] < 1 and sides[2] > 0 and sides[3] > 0:
            kept.append(_box(box, sides))
    del found.bboxes[:]
    found.bboxes.extend(kept)
    return bytes(found.SerializeToString())


def _proportions(detection: Detection, width: int, height: int) -> _Sides | None:
    if detection.HasField("x_max_normalized") and detection.HasField("y_max_normalized"):
        return (
            detection.x_min_normalized,
            detection.y_min_normalized,
            detection.x_max_normalized,
            detection.y_max_normalized,
        )
    if width <= 0 or height <= 0:
        return None
    return (detection.x_min / width, detection.y_min / height, detection.x_max / width, detection.y_max / height)


def _box(box: BoundingBox, sides: _Sides) -> BoundingBox:
    names = ("x_min_normalized", "y_min_normalized", "x_max_normalized", "y_max_normalized")
    for name, side in zip(names, sides, strict=True):
        setattr(box, name, min(max(side, 0.0), 1.0))
    return box
