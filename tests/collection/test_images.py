from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from typing import Any

import cv2
import numpy as np
import pytest

from module.attributes.image import ImageConfig
from module.collection.image_codec import EncodedImage
from module.collection.image_header import dimensions
from module.collection.images import encode, needs_work, passthrough, small_grey
from module.errors import EncodeError
from tests.collection.image_files import (
    DEEP_COLOUR,
    DEPTH,
    JPEG_FILE,
    NOISE,
    PNG_FILE,
    RGBA,
    TYPES,
    WEBP_FILE,
    depth,
    file,
    opened,
    raw_depth,
    raw_rgba,
    scene,
    with_orientation,
)


def settings(**given: Any) -> ImageConfig:
    return ImageConfig.model_validate(given)


@pytest.mark.parametrize(("mime_type", "extension", "data"), TYPES)
@pytest.mark.parametrize("declared", ["", "image/png", "image/jpeg+lazy", "image/vnd.viam.rgba"])
def test_passthrough_sends_the_very_bytes_and_says_what_they_are(
    mime_type: str, extension: str, data: bytes, declared: str
) -> None:
    """Whatever type the camera tells: the extension and type are of the bytes really sent."""
    expected = EncodedImage(data, mime_type, extension)
    assert passthrough(data, declared) == expected
    assert encode(data, declared, settings()) == expected
    assert not needs_work(mime_type, settings())


@pytest.mark.parametrize(
    ("declared", "mime_type", "extension"),
    [
        ("image/jpeg", "image/jpeg", ".jpeg"),
        ("IMAGE/PNG; q=1", "image/png", ".png"),
        ("image/tiff", "image/tiff", ".tiff"),
        ("image/x-portable+xml", "image/x-portable+xml", ".portable"),
        ("", "", ".bin"),
        ("image/../../etc", "image/../../etc", ".bin"),
    ],
)
def test_passthrough_sends_unknown_and_corrupt_bytes_as_they_came(
    declared: str, mime_type: str, extension: str
) -> None:
    assert passthrough(b"who knows", declared) == EncodedImage(b"who knows", mime_type, extension)
    assert encode(b"who knows", declared, settings()) == EncodedImage(b"who knows", mime_type, extension)


@pytest.mark.parametrize("alpha", [255, 100])
@pytest.mark.parametrize("image_format", ["passthrough", "png"])
def test_raw_rgba_becomes_png_with_every_pixel_kept(alpha: int, image_format: str) -> None:
    pixels = NOISE.integers(0, 256, (5, 7, 4), np.uint8)
    pixels[..., 3] = alpha
    image = encode(raw_rgba(pixels), RGBA, settings(format=image_format))
    assert (image.mime_type, image.extension) == ("image/png", ".png")
    assert (opened(image)[..., 2::-1] == pixels[..., :3]).all()
    if alpha != 255:
        assert (opened(image)[..., 3] == alpha).all()
    assert needs_work(RGBA + "+lazy", settings())


@pytest.mark.parametrize("image_format", ["passthrough", "jpeg", "png", "webp"])
@pytest.mark.parametrize("source", ["raw", "png"])
def test_depth_keeps_its_millimetres_whatever_the_format(image_format: str, source: str) -> None:
    """A 16-bit PNG passes untouched."""
    pixels = depth(9, 6)
    # Not as OpenCV would write it: bytes that were encoded again would differ.
    data = raw_depth(pixels) if source == "raw" else file(".png", pixels, cv2.IMWRITE_PNG_COMPRESSION, 0)
    image = encode(data, DEPTH if source == "raw" else "image/png", settings(format=image_format))
    assert (image.mime_type, image.extension) == ("image/png", ".png")
    assert opened(image).dtype == np.uint16
    assert (opened(image) == pixels).all()
    assert source == "raw" or image.data == data


def test_depth_is_scaled_by_nearest_pixel() -> None:
    """Between a near and a far surface no depth appears that was not there."""
    pixels = np.where(NOISE.random((480, 640)) < 0.5, 500, 9000).astype(np.uint16)
    for data, mime_type in ((raw_depth(pixels), DEPTH), (file(".png", pixels), "image/png")):
        image = opened(encode(data, mime_type, settings(format="jpeg", max_width=100)))
        assert image.shape == (75, 100)
        assert set(np.unique(image).tolist()) == {500, 9000}


@pytest.mark.parametrize(("mime_type", "extension", "data"), TYPES)
@pytest.mark.parametrize("image_format", ["jpeg", "png", "webp"])
def test_every_format_becomes_every_other(mime_type: str, extension: str, data: bytes, image_format: str) -> None:
    """The same type passes untouched, the quality notwithstanding: nothing is encoded for nothing."""
    wanted = settings(format=image_format, quality=95)
    image = encode(data, "", wanted)
    assert image.mime_type == f"image/{image_format}"
    assert image.extension == f".{image_format}"
    assert (image.data == data) == (image.mime_type == mime_type) == (image.extension == extension)
    assert needs_work(mime_type, wanted) == (image.mime_type != mime_type)
    assert np.abs(opened(image).astype(int) - scene(160, 120)).mean() < 4


@pytest.mark.parametrize("image_format", ["jpeg", "webp"])
def test_quality_makes_larger_or_smaller(image_format: str) -> None:
    noisy = file(".png", NOISE.integers(0, 256, (120, 160, 3), np.uint8))
    sizes = [
        len(encode(noisy, "image/png", settings(format=image_format, quality=quality)).data) for quality in (1, 50, 100)
    ]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(
    ("pixels", "image_format", "channels"),
    [
        (scene(40, 30, 4), "jpeg", 3),
        (scene(40, 30, 4), "webp", 4),
        (scene(40, 30, 4), "png", 4),
        (scene(40, 30, 1), "jpeg", 1),
        (scene(40, 30, 1), "webp", 3),
        (DEEP_COLOUR, "jpeg", 3),
        (DEEP_COLOUR, "webp", 3),
        (np.dstack([DEEP_COLOUR, DEEP_COLOUR[..., 0]]), "jpeg", 3),
    ],
)
def test_channels_and_bits_that_a_format_lacks_are_dropped(pixels: Any, image_format: str, channels: int) -> None:
    """Sixteen bits in colour are no depth: they become eight where the format has no more."""
    image = opened(encode(file(".png", pixels), "image/png", settings(format=image_format, max_width=20)))
    assert image.shape[:2] == (15, 20)
    assert image.dtype == (np.uint8 if image_format != "png" else pixels.dtype)
    assert (image.shape[2] if image.ndim == 3 else 1) == channels
    assert abs(float(image[..., 0].mean() if image.ndim == 3 else image.mean()) - 97) < 6


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({"max_width": 100}, (100, 50)),
        ({"max_height": 100}, (200, 100)),
        ({"max_width": 100, "max_height": 10}, (20, 10)),
        ({"max_width": 1}, (1, 1)),
        ({"max_width": 199}, (199, 100)),
        ({"crop": (10, 20, 300, 100)}, (300, 100)),
        ({"crop": (300, 150, 300, 300)}, (100, 50)),
        ({"crop": (300, 150, 300, 300), "max_width": 50}, (50, 25)),
    ],
)
@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("image_format", ["passthrough", "png"])
def test_size_is_bounded_in_its_aspect(given: Any, size: tuple[int, int], extension: str, image_format: str) -> None:
    data = file(extension, scene(400, 200))
    image = encode(data, "", settings(format=image_format, **given))
    assert needs_work("image/jpeg", settings(**given))
    assert dimensions(image.data, image.mime_type) == size
    assert image.mime_type == (passthrough(data, "").mime_type if image_format == "passthrough" else "image/png")


@pytest.mark.parametrize(("mime_type", "extension", "data"), TYPES)
@pytest.mark.parametrize(
    "given",
    [
        {"max_width": 160},
        {"max_width": 5000, "max_height": 120},
        {"crop": (0, 0, 160, 120)},
        {"crop": (0, 0, 999, 999)},
    ],
)
def test_an_image_within_the_bounds_passes_untouched(mime_type: str, extension: str, data: bytes, given: Any) -> None:
    """Never scaled up, never encoded again for nothing."""
    assert encode(data, mime_type, settings(**given)) == EncodedImage(data, mime_type, extension)
    assert encode(data, mime_type, settings(format=extension[1:], **given)).data == data


def test_a_crop_holds_the_pixels_of_the_image_as_it_came() -> None:
    pixels = NOISE.integers(0, 256, (50, 80, 3), np.uint8)
    image = encode(file(".png", pixels), "image/png", settings(crop=(70, 5, 30, 8)))
    assert (opened(image) == pixels[5:13, 70:80]).all()


def test_a_crop_is_scaled_from_its_own_pixels() -> None:
    data = file(".jpg", scene(800, 600))
    image = opened(encode(data, "", settings(format="png", crop=(400, 300, 400, 300), max_width=40)))
    whole = cv2.resize(opened(data)[300:, 400:], (40, 30), interpolation=cv2.INTER_AREA)
    assert np.abs(image.astype(int) - whole).mean() < 2


@pytest.mark.parametrize(("width", "height", "size"), [(10, 400, (1, 20)), (400, 10, (20, 1))])
def test_a_long_image_keeps_a_pixel_at_least(width: int, height: int, size: tuple[int, int]) -> None:
    image = encode(file(".png", scene(width, height)), "", settings(max_width=20, max_height=20))
    assert dimensions(image.data, "image/png") == size


@pytest.mark.parametrize("data", [JPEG_FILE, raw_rgba(scene(160, 120, 4)), raw_depth(depth(160, 120))])
@pytest.mark.parametrize("crop", [(160, 0, 10, 10), (0, 120, 10, 10)])
def test_a_crop_outside_the_image_is_refused(data: bytes, crop: tuple[int, ...]) -> None:
    with pytest.raises(EncodeError, match=r"crop \[\d+, \d+, 10, 10\] lies outside an image of 160x120 pixels"):
        encode(data, "", settings(crop=crop))


@pytest.mark.parametrize("width", [1000, 501, 500, 499, 250, 125, 124, 10])
def test_a_jpeg_decoded_at_reduced_size_looks_as_scaled_from_the_whole(width: int) -> None:
    for pixels in (scene(1001, 751), scene(1001, 751, 1)):
        data = file(".jpg", pixels)
        image = opened(encode(data, "image/jpeg", settings(format="png", max_width=width)))
        whole = cv2.resize(opened(data), (width, image.shape[0]), interpolation=cv2.INTER_AREA)
        assert image.shape == whole.shape
        assert np.abs(image.astype(int) - whole).mean() < 2


def test_an_orientation_is_neither_applied_nor_lost_on_passthrough() -> None:
    turned = with_orientation(file(".jpg", scene(400, 200)), 6)
    assert passthrough(turned, "").data == turned
    assert encode(turned, "", settings(format="jpeg", max_width=400)).data == turned
    for width in (300, 150, 40):
        image = encode(turned, "", settings(max_width=width))
        assert opened(image).shape[:2] == (width // 2, width)
    assert small_grey(turned, "").pixels.shape == (32, 64)


@pytest.mark.parametrize(
    "data", [JPEG_FILE[:-400], PNG_FILE[:-400], WEBP_FILE[:-40], JPEG_FILE[:30], b"", b"\xff\xd8\xff"]
)
@pytest.mark.parametrize(
    "given", [{"max_width": 80}, {"crop": (1, 1, 20, 20)}, {"format": "jpeg"}, {"max_width": 9999}]
)
def test_corrupt_bytes_that_need_work_are_refused(data: bytes, given: Any) -> None:
    with pytest.raises(EncodeError, match=r"cannot be read \(\d+ bytes of"):
        encode(data, "image/jpeg", settings(**given))
    with pytest.raises(EncodeError, match="cannot be read"):
        small_grey(data, "image/jpeg")


def test_a_cut_off_jpeg_is_found_though_its_thumbnail_has_an_end() -> None:
    data = with_orientation(JPEG_FILE, 1, junk=file(".jpg", scene(8, 8)))
    assert opened(encode(data, "", settings(max_width=80))).shape == (60, 80, 3)
    with pytest.raises(EncodeError, match="cut off"):
        encode(data[:-200], "", settings(max_width=80))


@pytest.mark.parametrize(
    ("data", "mime_type", "text"),
    [
        (raw_rgba(scene(4, 3, 4))[:-1], RGBA, "4x3 pixels would be 60 bytes"),
        (raw_rgba(scene(4, 3, 4)) + b"x", RGBA, "4x3 pixels would be 60 bytes"),
        (b"RGBA" + struct.pack(">II", 2**32 - 1, 2**32 - 1), RGBA, "would be"),
        (b"RGBA" + struct.pack(">II", 0, 4), RGBA, "no header"),
        (b"x" * 60, RGBA, "no header"),
        (raw_depth(depth(4, 3))[:-1], DEPTH, "would be 48 bytes"),
        (b"DEPTHMAP" + struct.pack(">QQ", 2**63, 2**63), DEPTH, "would be"),
        (b"x" * 48, DEPTH, "no header"),
    ],
)
def test_raw_pixels_that_are_not_what_their_header_says_are_refused(data: bytes, mime_type: str, text: str) -> None:
    for wanted in (settings(), settings(format="jpeg"), settings(max_width=2)):
        with pytest.raises(EncodeError, match=text):
            encode(data, mime_type, wanted)
    with pytest.raises(EncodeError, match=text):
        passthrough(data, mime_type)


def test_a_few_bytes_that_claim_a_huge_image_are_refused_undecoded() -> None:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 9)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    with pytest.raises(EncodeError, match="an image of 60000x60000 pixels was given"):
        encode(data, "", settings(max_width=100))


def test_what_a_format_cannot_hold_is_refused() -> None:
    with pytest.raises(EncodeError, match="17000x2 pixels cannot become image/webp"):
        encode(file(".png", scene(17000, 2)), "", settings(format="webp"))


def test_other_types_that_opencv_reads_become_png_where_they_need_work() -> None:
    bmp = file(".bmp", scene(40, 30))
    image = encode(bmp, "image/bmp", settings(max_width=20))
    assert (image.mime_type, opened(image).shape) == ("image/png", (15, 20, 3))
    deep = opened(encode(file(".tiff", depth(40, 30)), "image/tiff", settings(format="jpeg")))
    assert (deep.dtype, deep.shape) == (np.uint16, (30, 40))
    with pytest.raises(EncodeError, match="cannot be read"):
        encode(file(".tiff", depth(40, 30).astype(np.float32)), "image/tiff", settings(format="jpeg"))


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize(("width", "height", "grey"), [(1280, 720, (64, 36)), (100, 400, (12, 48)), (20, 10, (20, 10))])
def test_a_grey_copy_is_small_and_like_the_image(
    extension: str, width: int, height: int, grey: tuple[int, int]
) -> None:
    pixels = scene(width, height)
    copy = small_grey(file(extension, pixels), "")
    assert (copy.width, copy.height) == (width, height)
    assert (copy.pixels.shape[1], copy.pixels.shape[0]) == grey
    whole = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), grey, interpolation=cv2.INTER_AREA)
    assert np.abs(copy.pixels.astype(int) - whole).mean() < 3


@pytest.mark.parametrize("pixels", [scene(40, 30, 4), scene(40, 30, 1), DEEP_COLOUR])
def test_a_grey_copy_is_made_of_any_channels(pixels: Any) -> None:
    copy = small_grey(file(".png", pixels), "")
    assert copy.pixels.shape == (30, 40)
    assert copy.pixels.dtype == np.uint8


def test_a_grey_copy_of_raw_images_is_made_from_their_pixels() -> None:
    assert small_grey(raw_rgba(scene(40, 30, 4)), RGBA).pixels.shape == (30, 40)
    pixels = depth(40, 30)
    assert (small_grey(raw_depth(pixels), DEPTH).pixels == pixels).all()


def test_opencv_is_not_loaded_until_an_image_needs_work() -> None:
    code = (
        "import sys; from module.collection.images import *; from module.attributes.image import ImageConfig;"
        "encode(sys.stdin.buffer.read(), 'image/jpeg', ImageConfig(format='jpeg', max_width=9999));"
        "assert not {'cv2', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], input=JPEG_FILE, check=True)
