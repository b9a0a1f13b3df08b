from __future__ import annotations

import pytest
from viam.proto.app.data import Annotations, BoundingBox
from viam.proto.service.vision import Classification, Detection

from module.collection.annotations import annotations_of, cropped, label

Sides = tuple[float, float, float, float]
PIXELS = Detection(x_min=10, y_min=20, x_max=50, y_max=100, confidence=0.25, class_name="cat")


def sides(box: BoundingBox) -> Sides:
    return (box.x_min_normalized, box.y_min_normalized, box.x_max_normalized, box.y_max_normalized)


def boxes(serialised: bytes) -> list[Sides]:
    return [sides(box) for box in Annotations.FromString(serialised).bboxes]


def seen(*detections: Detection, width: int = 100, height: int = 200) -> bytes:
    return annotations_of(detections, (), width=width, height=height)


def boxed(*of: Sides) -> bytes:
    """Serialise boxes, and a label."""
    found = Annotations()
    for x_min, y_min, x_max, y_max in of:
        box = found.bboxes.add(label="cat", confidence=0.5, x_min_normalized=x_min, y_min_normalized=y_min)
        box.x_max_normalized, box.y_max_normalized = x_max, y_max
    return bytes(found.SerializeToString()) + label("left")


def test_a_box_in_pixels_becomes_one_in_proportion_to_the_image() -> None:
    (box,) = Annotations.FromString(seen(PIXELS)).bboxes
    assert (box.label, box.confidence, sides(box)) == ("cat", 0.25, (0.1, 0.1, 0.5, 0.5))


def test_the_proportions_of_a_detector_are_used() -> None:
    detection = Detection(x_min_normalized=0.0, y_min_normalized=0.25, x_max_normalized=0.5, y_max_normalized=0.75)
    detection.MergeFrom(PIXELS)
    assert boxes(seen(detection)) == [(0.0, 0.25, 0.5, 0.75)]
    assert boxes(seen(detection, width=0, height=0)) == [(0.0, 0.25, 0.5, 0.75)]


def test_a_box_is_cut_at_the_edges_of_the_image() -> None:
    detection = Detection(x_min=-10, y_min=-1, x_max=110, y_max=201)
    assert boxes(seen(detection)) == [(0.0, 0.0, 1.0, 1.0)]


@pytest.mark.parametrize(("width", "height"), [(0, 0), (100, 0), (0, 200)])
def test_a_box_in_pixels_of_an_image_without_a_size_is_left_out(width: int, height: int) -> None:
    """The image itself and its labels still travel."""
    found = annotations_of([PIXELS], [Classification(class_name="day")], width=width, height=height)
    assert boxes(found) == []
    assert len(Annotations.FromString(found).classifications) == 1


def test_a_classification_becomes_a_label_with_its_confidence() -> None:
    """A confidence of 0 is one too."""
    given = [Classification(class_name="day", confidence=0.75), Classification(class_name="night")]
    labels = Annotations.FromString(annotations_of([], given, width=1, height=1)).classifications
    assert [(each.label, each.confidence, each.HasField("confidence")) for each in labels] == [
        ("day", 0.75, True),
        ("night", 0.0, True),
    ]


def test_nothing_seen_takes_no_byte() -> None:
    assert seen() == b""
    assert label("") == b""


def test_a_label_without_a_box_has_no_confidence() -> None:
    (found,) = Annotations.FromString(label("left")).classifications
    assert (found.label, found.HasField("confidence")) == ("left", False)


def test_what_is_joined_holds_both() -> None:
    both = Annotations.FromString(label("left") + seen(PIXELS) + label("right"))
    assert [each.label for each in both.classifications] == ["left", "right"]
    assert [box.label for box in both.bboxes] == ["cat"]


@pytest.mark.parametrize(
    ("box", "left"),
    [
        ((0.0, 0.0, 1.0, 1.0), [(0.0, 0.0, 1.0, 1.0)]),
        ((0.25, 0.25, 0.5, 0.5), [(0.0, 0.0, 0.5, 0.5)]),
        ((0.5, 0.375, 0.625, 0.5), [(0.5, 0.25, 0.75, 0.5)]),
        ((0.0, 0.0, 0.5, 0.375), [(0.0, 0.0, 0.5, 0.25)]),
        ((0.0, 0.0, 0.25, 0.25), []),
        ((0.75, 0.25, 1.0, 0.5), []),
        ((0.25, 0.75, 0.5, 1.0), []),
        ((0.25, 0.0, 0.5, 0.25), []),
    ],
)
def test_boxes_follow_a_crop_to_the_middle(box: Sides, left: list[Sides]) -> None:
    kept = cropped(boxed(box), (50, 100, 100, 200), width=200, height=400)
    assert boxes(kept) == left
    found = Annotations.FromString(kept)
    assert [each.label for each in found.classifications] == ["left"]
    assert [(each.label, each.confidence) for each in found.bboxes] == [("cat", 0.5)] * len(left)


def test_a_crop_that_reaches_out_of_the_image_ends_at_its_edge() -> None:
    """As the image's own does."""
    assert boxes(cropped(boxed((0.5, 0.5, 0.75, 1.0)), (50, 50, 999, 999), width=100, height=100)) == [
        (0.0, 0.0, 0.5, 1.0)
    ]


@pytest.mark.parametrize("crop", [(100, 0, 10, 10), (0, 100, 10, 10)])
def test_a_crop_beside_the_image_keeps_the_labels(crop: tuple[int, int, int, int]) -> None:
    assert cropped(boxed((0.0, 0.0, 1.0, 1.0)), crop, width=100, height=100) == label("left")


def test_boxes_of_an_image_without_a_size_cannot_be_placed() -> None:
    assert cropped(boxed((0.0, 0.0, 1.0, 1.0)), (0, 0, 10, 10), width=0, height=0) == label("left")
