from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from viam.proto.common import Vector3

from module.attributes.on_change import OnChangeConfig
from module.collection.changes import ImageChange, ReadingsChange
from module.collection.images import GreyCopy, small_grey
from module.demo.scene import Scene
from module.errors import EncodeError

NAN = math.nan


def readings_filter(**settings: Any) -> ReadingsChange:
    return ReadingsChange(OnChangeConfig.model_validate(settings))


def image_filter(**settings: Any) -> ImageChange:
    return ImageChange(OnChangeConfig.model_validate(settings))


def kept(settings: dict[str, Any], values: list[Any]) -> list[Any]:
    """Return those of the values that a new filter keeps, one given a second."""
    changes = readings_filter(**settings)
    return [value for now, value in enumerate(values) if changes.keep({"k": value}, float(now))]


@pytest.mark.parametrize(
    ("settings", "values", "expected"),
    [
        ({}, [1.0, 1.0, 1.0000001, 1], [1.0, 1.0000001, 1]),
        ({"deadband": 0.5}, [1.0, 1.5, 1.51, 1.2, 1.0], [1.0, 1.51, 1.0]),
        ({"deadband": 0.5}, [1.0, 1.4, 1.8, 2.2, 2.6], [1.0, 1.8, 2.6]),
        ({"deadband": 5}, ["a", "a", "b", True, True, False, None, None], ["a", "b", True, False, None]),
        ({"deadband": 5}, [1, True, 1, False, 0], [1, True, 1, False, 0]),
        ({"deadband": 5}, [NAN, NAN, 1.0, NAN, NAN, math.inf], [NAN, 1.0, NAN]),
        ({"deadband": 1}, [[1, 2], [1.5, 2.5], [1, 4], [1, 4, 0], []], [[1, 2], [1, 4], [1, 4, 0], []]),
        ({"deadband": 1}, [{"a": 1}, {"a": 1.5}, {"a": 1, "b": 0}, {}], [{"a": 1}, {"a": 1, "b": 0}, {}]),
        ({"deadband": 1}, [Vector3(x=1), Vector3(x=1.9), Vector3(x=2.1)], [Vector3(x=1), Vector3(x=2.1)]),
        ({"deadband": 1}, [np.float32(1), np.float32(1.5), (1, 2), [1, 2]], [np.float32(1), (1, 2)]),
        ({"deadband": {"k": 1}}, [1, 2, 2.5, 4], [1, 2.5, 4]),
        ({"deadband": {"k.a": 1}}, [{"a": 1, "b": 1}, {"a": 2, "b": 1}], [{"a": 1, "b": 1}]),
        ({"deadband": {"k.a": 1}}, [{"a": 1, "b": 1}, {"a": 1, "b": 2}], [{"a": 1, "b": 1}, {"a": 1, "b": 2}]),
        (
            {"deadband": {"k": 1, "k.b": 3}},
            [{"a": 1, "b": 1}, {"a": 2, "b": 4}, {"b": 5}],
            [{"a": 1, "b": 1}, {"b": 5}],
        ),
        ({"deadband": {"k": 1, "k.b": 3}}, [{"a": 1, "b": 1}, {"a": 1, "b": 5}], [{"a": 1, "b": 1}, {"a": 1, "b": 5}]),
        ({"deadband": {"k.1": 1}}, [[0, 0], [0, 1], [0.5, 1]], [[0, 0], [0.5, 1]]),
        ({"deadband": {"other": 9}}, [1, 1.1], [1, 1.1]),
    ],
    ids=repr,
)
def test_readings_are_kept_where_they_differ_from_the_last_kept(
    settings: dict[str, Any], values: list[Any], expected: list[Any]
) -> None:
    """From the last kept, not from the last seen: a slow drift is kept too, once it has gone far enough."""
    assert repr(kept(settings, values)) == repr(expected)


def test_keys_that_come_and_go_are_a_change() -> None:
    changes = readings_filter(deadband=100)
    rows: list[dict[str, Any]] = [{"a": 1}, {"a": 2}, {"a": 2, "b": 1}, {"b": 1}, {"b": 2}, {}]
    assert [changes.keep(row, 0) for row in rows] == [True, False, True, True, False, True]


def test_what_cannot_travel_is_refused_and_forgets_nothing() -> None:
    changes = readings_filter()
    assert changes.keep({"a": 1}, 0)
    with pytest.raises(EncodeError, match="a: a value of type"):
        changes.keep({"a": object()}, 1)
    assert not changes.keep({"a": 1}, 2)


def test_a_change_of_readings_that_are_altered_in_place_is_seen() -> None:
    """Some sensors hand out one dict for ever."""
    changes, row = readings_filter(), {"a": [1]}
    assert changes.keep(row, 0)
    row["a"][0] = 2
    assert changes.keep(row, 1)


@pytest.mark.parametrize("jitter", [0.004, -0.004])
def test_a_heartbeat_keeps_one_at_least_this_often(jitter: float) -> None:
    """Also where it is a multiple of the period and the ticks come a little early or late."""
    times = [tick * 1.0 + (jitter if tick % 3 else 0) for tick in range(11)]
    changes = readings_filter(heartbeat_s=5)
    assert [tick for tick, now in enumerate(times) if changes.keep({"a": 1}, now)] == [0, 5, 10]
    every = readings_filter(heartbeat_s=1)
    assert all(every.keep({"a": 1}, now) for now in times)


def test_a_heartbeat_counts_from_whatever_was_kept_last() -> None:
    changes = readings_filter(heartbeat_s=10)
    values = [0, 0, 0, 1, 1, 1, 1, 1]
    assert [now for now, value in enumerate(values) if changes.keep({"a": value}, now * 3.0)] == [0, 3, 7]


def test_without_a_heartbeat_what_never_changes_is_kept_once() -> None:
    changes, images = readings_filter(), image_filter()
    copy = GreyCopy(2, 2, np.zeros((2, 2), np.uint8))
    assert [(changes.keep({}, now), images.keep(copy, now)) for now in (0.0, 1.0, 1e9)] == [(True, True)] + [
        (False, False)
    ] * 2


NUMBERS = st.floats(-1e6, 1e6)


@given(st.lists(NUMBERS, min_size=1, max_size=30), st.floats(0, 1e3))
def test_every_value_lies_within_the_deadband_of_the_one_kept_for_it(values: list[float], deadband: float) -> None:
    """What is rebuilt from the kept rows is nowhere off by more than the deadband, and no row is kept in vain."""
    changes = readings_filter(deadband=deadband)
    last = None
    for value in values:
        if changes.keep({"deep": [{"k": value}]}, 0):
            assert last is None or abs(value - last) > deadband
            last = value
        assert last is not None
        assert abs(value - last) <= deadband


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=20), st.floats(0, 1e3), st.floats(0, 1e3))
def test_each_key_has_its_own_deadband(rows: list[tuple[float, float]], first: float, second: float) -> None:
    changes = readings_filter(deadband={"a": first, "b.c": second})
    last = rows[0]
    assert changes.keep({"a": last[0], "b": {"c": last[1]}}, 0)
    for row in rows[1:]:
        expected = abs(row[0] - last[0]) > first or abs(row[1] - last[1]) > second
        assert changes.keep({"a": row[0], "b": {"c": row[1]}}, 0) == expected
        last = row if expected else last


@given(NUMBERS, NUMBERS, st.floats(0, 1e3), st.floats(0, 1e3))
def test_a_wider_deadband_never_keeps_more(old: float, new: float, one: float, other: float) -> None:
    def keeps(deadband: float) -> bool:
        changes = readings_filter(deadband=deadband)
        changes.keep({"k": old}, 0)
        return changes.keep({"k": new}, 0)

    assume(keeps(max(one, other)))
    assert keeps(min(one, other))


def copies(*levels: int, dtype: Any = np.uint8) -> list[GreyCopy]:
    return [GreyCopy(640, 480, np.full((48, 64), level, dtype)) for level in levels]


@pytest.mark.parametrize(
    ("settings", "images", "expected"),
    [
        ({}, copies(10, 10, 11, 11), [True, False, True, False]),
        ({"min_difference": 0}, copies(10, 10, 11, 11), [True, False, True, False]),
        ({"min_difference": 0.2}, copies(0, 50, 51, 101, 102), [True, False, True, False, True]),
        ({"min_difference": 0.2}, copies(255, 205, 204), [True, False, True]),
        ({"min_difference": 1}, copies(0, 254, 255), [True, False, True]),
        ({"min_difference": 0.01}, copies(1000, 1655, 1656, dtype=np.uint16), [True, False, True]),
        ({"min_difference": 1}, [*copies(9), *copies(9, dtype=np.uint16)], [True, True]),
        ({"min_difference": 1}, [*copies(9), GreyCopy(1280, 960, copies(9)[0].pixels)], [True, True]),
        ({"min_difference": 1, "heartbeat_s": 2}, copies(9, 9, 9, 9, 9), [True, False, True, False, True]),
    ],
)
def test_images_are_kept_where_they_differ_enough_from_the_last_kept(
    settings: dict[str, Any], images: list[GreyCopy], expected: list[bool]
) -> None:
    changes = image_filter(**settings)
    assert [changes.keep(copy, float(now)) for now, copy in enumerate(images)] == expected


def test_noise_of_a_camera_is_no_change_and_a_hand_in_the_picture_is() -> None:
    noise = np.random.default_rng(3)
    rows, columns = np.mgrid[0:480, 0:640]
    background = (rows // 4 + columns // 8).astype(np.int16)

    def frame(*, hand: bool) -> GreyCopy:
        pixels = background + noise.normal(0, 6, background.shape)
        if hand:
            pixels[100:400, 200:500] = 230
        _, data = cv2.imencode(".jpg", np.clip(pixels, 0, 255).astype(np.uint8))
        return small_grey(data.tobytes(), "image/jpeg")

    changes = image_filter(min_difference=0.02)
    assert [changes.keep(frame(hand=hand), 0) for hand in (False, False, True, True, False)] == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_the_grey_copy_costs_at_most_a_third_of_a_full_decode() -> None:
    """Of a 720p JPEG of 47 kB, against decoding it whole and shrinking it to the same copy, in turn in one run.

    What is left is the decoding of its entropy, which no reduced size can skip: the larger the file, the larger the
    part. Measured on a server's processor: 0.31; 0.53 where the JPEG is decoded in grey at full size.
    """
    scene = Scene(1280, 720).picture(1.0)
    data = cv2.imencode(".jpg", scene, [cv2.IMWRITE_JPEG_QUALITY, 18])[1].tobytes()

    def whole() -> None:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        cv2.cvtColor(cv2.resize(pixels, (64, 36), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)

    rounds = [(_cpu_s(lambda: small_grey(data, "image/jpeg")), _cpu_s(whole)) for _ in range(25)]
    reduced, full = (min(times) for times in zip(*rounds, strict=True))
    assert reduced / full <= 0.35


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.thread_time()
    for _ in range(4):
        work()
    return time.thread_time() - began
