from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from module.demo.preview import is_deep, preview


def _opened(data: bytes | None) -> Any:
    assert data is not None
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_a_large_picture_becomes_small_and_keeps_its_shape(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpeg"), np.full((300, 600, 3), 90, np.uint8))
    assert _opened(preview(tmp_path / "a.jpeg", 100)).shape == (50, 100, 3)
    assert _opened(preview(tmp_path / "a.jpeg", 5000)).shape == (300, 600, 3)


def test_depth_shows_near_brighter_than_far_and_the_unknown_black(tmp_path: Path) -> None:
    """In millimetres of 65,535 all of it would be black to a browser."""
    depth = np.full((60, 60), 3000, np.uint16)
    depth[:20] = 1000
    depth[40:] = 0
    cv2.imwrite(str(tmp_path / "d.png"), depth)
    assert is_deep(tmp_path / "d.png")
    shown = _opened(preview(tmp_path / "d.png", 60)).sum(axis=2)
    assert shown[10, 30] > 1.3 * shown[30, 30] > 100
    assert shown[50, 30] < 30


def test_depth_of_one_distance_alone_opens_too(tmp_path: Path) -> None:
    for name, value in (("flat", 500), ("nothing", 0)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((8, 8), value, np.uint16))
        assert _opened(preview(tmp_path / f"{name}.png", 8)).shape == (8, 8, 3)


def test_only_a_png_of_16_bits_is_deep(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4), np.uint8))
    cv2.imwrite(str(tmp_path / "a.jpeg"), np.zeros((4, 4), np.uint8))
    (tmp_path / "short.png").write_bytes(b"\x89PNG")
    (tmp_path / "empty.png").write_bytes(b"")
    assert not any(is_deep(path) for path in tmp_path.iterdir())


def test_what_is_no_image_has_no_preview(tmp_path: Path) -> None:
    (tmp_path / "bad.jpeg").write_bytes(b"\xff\xd8\xff nothing")
    assert preview(tmp_path / "bad.jpeg", 100) is None
