from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from module.demo import scene
from module.demo.backdrop import PER_METRE, STATION
from module.demo.cell import JAM_S, Cell
from module.demo.scene import Scene


@pytest.fixture(scope="module")
def view() -> Scene:
    return Scene(640, 480)


@pytest.mark.parametrize("at_s", [0, 1.5, 1_763_712_000.25])
def test_a_picture_compresses_like_a_photograph(view: Scene, at_s: float) -> None:
    """Within a fifth of two bits a pixel."""
    data = scene.jpeg(view.picture(at_s))
    assert 1.6 < 8 * len(data) / (640 * 480) < 2.4


def test_a_large_view_compresses_like_a_photograph_too() -> None:
    assert 1.6 < 8 * len(scene.jpeg(Scene(1280, 960).picture(7))) / (1280 * 960) < 2.4


def test_no_two_pictures_are_the_same(view: Scene) -> None:
    """Not even of one moment: a sensor's grain is never twice the same."""
    assert len({scene.jpeg(view.picture(at_s)) for at_s in (3, 3, 3, 3.2, 3.4)}) >= 4


def test_a_jam_is_seen(view: Scene) -> None:
    """The part at the gripper stands askew, and the lamp turns from green to red."""
    upright, askew = (view.picture(at_s).astype(int) for at_s in (JAM_S + 0.1, 0.1))
    changed = cv2.blur(np.abs(upright - askew).max(axis=2).astype(np.float32), (9, 9)) > 40
    across = round(STATION * 640)
    assert changed[280:370, across - 60 : across + 60].mean() > 0.1
    lamp_x, lamp_y = across + round(0.47 * 480), round(0.33 * 480)
    assert changed[lamp_y - 30 : lamp_y + 60, lamp_x - 15 : lamp_x + 15].mean() > 0.3
    # Above it is the clock.
    assert changed[60:, :200].mean() == 0


def test_the_belt_brings_the_next_part(view: Scene) -> None:
    """To the right, as far as the cell says."""
    cell = Cell()
    times = (JAM_S + 2.1, JAM_S + 2.4)
    columns = []
    for at_s in times:
        hsv = cv2.cvtColor(view.picture(at_s), cv2.COLOR_BGR2HSV)
        pump = cv2.inRange(hsv[270:370], np.array((98, 110, 50)), np.array((116, 255, 255)))
        columns.append(np.nonzero(pump)[1].mean())
    gone = cell.moment(times[1]).belt_m - cell.moment(times[0]).belt_m
    assert columns[1] - columns[0] == pytest.approx(gone * PER_METRE * 480, abs=8)


def test_the_depth_is_of_the_same_view(view: Scene) -> None:
    """Where a part is near, its colour is in the picture; the belt comes nearer from row to row."""
    picture, depth = view.picture(0.5), view.depth(0.5)
    assert (str(depth.dtype), depth.shape) == ("uint16", (480, 640))
    part = depth == 1330
    hues = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)[..., 0]
    (_, orange, blue) = (part.sum(), *((part & (abs(hues.astype(int) - hue) < 8)).sum() for hue in (13, 104)))
    assert (orange + blue) / part.sum() > 0.7
    belt = depth[round(0.61 * 480) : round(0.80 * 480), 630].astype(int)
    assert (np.diff(belt) < 0).all()
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
