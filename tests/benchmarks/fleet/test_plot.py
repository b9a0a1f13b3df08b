from __future__ import annotations

from xml.etree import ElementTree as ET

from benchmarks.fleet.acts import Curve
from benchmarks.fleet.plot import svg

_SVG = "{http://www.w3.org/2000/svg}"


def _lines(*curves: Curve) -> list[list[tuple[float, float]]]:
    picture = ET.fromstring(svg(curves, 1.0))  # noqa: S314 - it was made here
    lines = [line.attrib["points"].split() for line in picture.iter(f"{_SVG}polyline")]
    return [[(float(x), float(y)) for x, y in (point.split(",") for point in line)] for line in lines]


def test_each_act_is_a_panel_of_three_lines_and_all_share_their_scales() -> None:
    one = Curve("one", -2, [1.0, 2.0, 3.0], [0.0, 0.0, 4.0], [0.0, 0.0, 0.0])
    two = Curve("two <&>", -1, [8.0, 0.0], [0.0, 0.0], [0.0, 0.0])
    tries, requests, _, other, *_ = _lines(one, two)
    assert tries[1][0] == other[0][0]
    top, bottom = other[0][1], other[1][1]
    assert requests[0][1] - requests[2][1] == (bottom - top) / 2
    assert 0 < tries[2][1] < tries[0][1] < bottom


def test_a_fleet_that_did_nothing_is_a_flat_line() -> None:
    tries, *_ = _lines(Curve("calm", 0, [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]))
    assert tries[0][1] == tries[1][1]
