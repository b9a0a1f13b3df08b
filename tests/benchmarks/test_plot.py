from __future__ import annotations

from xml.etree import ElementTree as ET

from benchmarks.figures import Series
from benchmarks.plot import file_name, svg

_SVG = "{http://www.w3.org/2000/svg}"


def _picture(*series: Series) -> ET.Element:
    return ET.fromstring(svg("drain <rows>", series))  # noqa: S314 - it was made here


def test_a_bar_is_as_long_as_its_median() -> None:
    picture = _picture(
        Series("drain", "ours", "rate", "rows/s", [90.0, 100.0, 110.0]),
        Series("drain", "theirs", "rate", "rows/s", [50.0]),
    )
    ours, theirs = [float(bar.attrib["width"]) for bar in picture.findall(f"{_SVG}rect")[1:]]
    assert ours == 2 * theirs > 0


def test_a_line_goes_from_the_least_to_the_most() -> None:
    picture = _picture(Series("drain", "ours", "rate", "rows/s", [50.0, 75.0, 100.0]))
    (bar,) = picture.findall(f"{_SVG}rect")[1:]
    (line,) = picture.findall(f"{_SVG}line")
    left = float(bar.attrib["x"])
    assert float(line.attrib["x1"]) < left + float(bar.attrib["width"]) < float(line.attrib["x2"])
    assert float(line.attrib["x2"]) - left == 2 * (float(line.attrib["x1"]) - left)


def test_each_figure_has_its_own_scale() -> None:
    picture = _picture(
        Series("drain", "ours", "rate", "rows/s", [1_000_000.0]),
        Series("drain", "ours", "memory", "MB", [2.0]),
    )
    widths = [bar.attrib["width"] for bar in picture.findall(f"{_SVG}rect")[1:]]
    assert widths[0] == widths[1]


def test_text_is_escaped_and_zero_is_no_bar() -> None:
    picture = _picture(Series("drain", "a & b <c>", "loss", "", [0.0]))
    texts = [text.text for text in picture.iter(f"{_SVG}text")]
    assert "drain <rows>" in texts
    assert "a & b <c>" in texts


def test_the_picture_is_as_high_as_its_bars() -> None:
    few, many = ([Series("drain", str(n), "rate", "", [1.0]) for n in range(count)] for count in (1, 20))
    for series in (few, many):
        picture = _picture(*series)
        bars = picture.findall(f"{_SVG}rect")[1:]
        assert len(bars) == len(series)
        assert float(bars[-1].attrib["y"]) + float(bars[-1].attrib["height"]) < float(picture.attrib["height"])


def test_a_file_is_named_after_its_case() -> None:
    assert file_name("growth: round trip, frames") == "growth-round-trip-frames.svg"
