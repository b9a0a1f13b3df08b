from __future__ import annotations

import cv2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from module.collection.image_header import dimensions
from module.collection.images import passthrough
from tests.collection.image_files import DEPTH, RGBA, TYPES, depth, file, raw_depth, raw_rgba, scene, with_orientation


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        (file(".jpg", scene(300, 201)), "image/jpeg"),
        (file(".jpg", scene(300, 201), cv2.IMWRITE_JPEG_PROGRESSIVE, 1), "image/jpeg"),
        (file(".jpg", scene(300, 201), cv2.IMWRITE_JPEG_RST_INTERVAL, 4), "image/jpeg"),
        (with_orientation(file(".jpg", scene(300, 201)), 6, junk=b"\xff\xc0" * 700), "image/jpeg"),
        (b"\xff\xd8\xff\xff\xff" + file(".jpg", scene(300, 201))[3:], "image/jpeg"),
        (b"\xff\xd8\xff\x01" + file(".jpg", scene(300, 201))[2:], "image/jpeg"),
        (b"\xff\xd8\xff\xc4\0\x0a\x08\0\x01\0\x01\0\0\0" + file(".jpg", scene(300, 201))[2:], "image/jpeg"),
        (file(".png", scene(300, 201)), "image/png"),
        (file(".webp", scene(300, 201), cv2.IMWRITE_WEBP_QUALITY, 50), "image/webp"),
        (file(".webp", scene(300, 201), cv2.IMWRITE_WEBP_QUALITY, 101), "image/webp"),
        (file(".webp", scene(300, 201, 4), cv2.IMWRITE_WEBP_QUALITY, 50), "image/webp"),
        (raw_rgba(scene(300, 201, 4)), RGBA),
        (raw_depth(depth(300, 201)), DEPTH),
    ],
)
def test_the_size_stands_in_the_header(data: bytes, mime_type: str) -> None:
    assert dimensions(data, mime_type) == (300, 201)
    assert dimensions(data[:11], mime_type) is None
    assert passthrough(data, "").mime_type == (mime_type if "viam" not in mime_type else "image/png")


def test_a_sound_file_is_no_webp_though_both_are_riff() -> None:
    assert passthrough(b"RIFF\0\0\0\0WAVEfmt ", "audio/wav").extension == ".wav"


@given(st.binary(max_size=64), st.sampled_from(["image/jpeg", "image/png", "image/webp", RGBA, DEPTH, ""]))
def test_no_bytes_bring_the_header_scan_down(data: bytes, mime_type: str) -> None:
    for _, _, real in TYPES:
        for mixed in (data, real[:16] + data, real[: len(data) * 8]):
            size = dimensions(mixed, mime_type)
            assert size is None or min(size) > 0
