"""Images of every type as files hold them, made for the tests."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np

from module.collection.image_codec import EncodedImage

RGBA = "image/vnd.viam.rgba"
DEPTH = "image/vnd.viam.dep"
NOISE = np.random.default_rng(7)


def scene(width: int, height: int, channels: int = 3) -> Any:
    """Return a smooth picture, each of whose quarters has a colour of its own."""
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [rows * 200 // height, columns * 200 // width, 255 - rows * 200 // height, 120 + columns * 100 // width]
    return np.dstack(planes[:channels]).astype(np.uint8).squeeze()


def depth(width: int, height: int) -> Any:
    return NOISE.integers(0, 65536, (height, width), np.uint16)


def file(extension: str, pixels: Any, *options: int) -> bytes:
    return bytes(cv2.imencode(extension, pixels, list(options))[1])


def opened(image: EncodedImage | bytes) -> Any:
    data = image if isinstance(image, bytes) else image.data
    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels


def raw_rgba(pixels: Any) -> bytes:
    return b"RGBA" + struct.pack(">II", pixels.shape[1], pixels.shape[0]) + bytes(pixels.tobytes())


def raw_depth(pixels: Any) -> bytes:
    return b"DEPTHMAP" + struct.pack(">QQ", pixels.shape[1], pixels.shape[0]) + bytes(pixels.astype(">u2").tobytes())


def with_orientation(jpeg: bytes, orientation: int, *, junk: bytes = b"") -> bytes:
    """Return the JPEG with an EXIF header that wants it turned."""
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">HH", orientation, 0) + b"\0\0\0\0" + junk
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", 8 + len(tiff)) + b"Exif\0\0" + tiff + jpeg[2:]


JPEG_FILE = file(".jpg", scene(160, 120))
PNG_FILE = file(".png", scene(160, 120))
DEEP_COLOUR = scene(40, 30).astype(np.uint16) * 257
WEBP_FILE = file(".webp", scene(160, 120), cv2.IMWRITE_WEBP_QUALITY, 90)
TYPES = [("image/jpeg", ".jpeg", JPEG_FILE), ("image/png", ".png", PNG_FILE), ("image/webp", ".webp", WEBP_FILE)]
