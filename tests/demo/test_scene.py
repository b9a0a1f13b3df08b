from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from module.demo import scene
from module.demo.scene import Scene


@pytest.fixture(scope="module")
def view() -> Scene:
    return Scene(640, 480)


@pytest.mark.parametrize("at_s", [0, 1.5, 1_763_712_000.25])
def test_a_picture_compresses_like_a_photograph(view: Scene, at_s: float) -> None:
    data = scene.jpeg(view.picture(at_s))
    assert 1.5 < 8 * len(data) / (640 * 480) < 3


def test_a_large_view_compresses_like_a_photograph_too() -> None:
    assert 1.5 < 8 * len(scene.jpeg(Scene(1280, 960).picture(7))) / (1280 * 960) < 3


def test_no_two_pictures_are_the_same(view: Scene) -> None:
    """Not even of one moment: a sensor's grain is never twice the same."""
    assert len({scene.jpeg(view.picture(at_s)) for at_s in (3, 3, 3, 3.2, 3.4)}) >= 4


def test_the_scene_moves(view: Scene) -> None:
    earlier, later = (cv2.blur(view.picture(at_s), (15, 15)).astype(int) for at_s in (3, 4))
    assert np.abs(earlier - later).mean() > 5


def test_the_depth_is_of_the_same_view(view: Scene) -> None:
    """Where a ball is near, its colour is in the picture."""
    picture, depth = view.picture(12), view.depth(12)
    assert (str(depth.dtype), depth.shape) == ("uint16", (480, 640))
    near = depth == 1100
    assert near.any()
    assert np.abs(np.median(picture[near], axis=0) - (70, 170, 90)).max() < 4
    assert ((depth > 500) & (depth < 5000)).all()


def test_threads_may_share_a_scene(view: Scene) -> None:
    with ThreadPoolExecutor(4) as workers:
        assert all(picture.shape == (480, 640, 3) for picture in workers.map(view.picture, range(32)))


def test_raw_depth_has_viams_header_and_big_endian_millimetres() -> None:
    data = scene.raw_depth(np.array([[1, 256, 3], [4, 5, 65535]], np.uint16))
    assert data[:8] == b"DEPTHMAP"
    assert [int.from_bytes(data[at : at + 8]) for at in (8, 16)] == [3, 2]
    assert data[24:] == bytes((0, 1, 1, 0, 0, 3, 0, 4, 0, 5, 255, 255))


def test_a_point_cloud_is_a_binary_pcd_in_metres() -> None:
    depth = np.full((480, 640), 2000, np.uint16)
    data = scene.point_cloud(np.full((480, 640, 3), (1, 2, 3), np.uint8), depth)
    header, points = data.split(b"DATA binary\n", 1)
    fields = dict(line.split(" ", 1) for line in header.decode().splitlines())
    assert (fields["FIELDS"], fields["POINTS"], fields["WIDTH"]) == ("x y z rgb", "76800", "76800")
    assert len(points) == 16 * 76800
    x, y, z, rgb = np.frombuffer(points, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4")])[0]
    assert (x < -0.9, y < -0.6, z, rgb) == (True, True, 2.0, 0x030201)
