"""Image bytes → pixels → image bytes, by OpenCV, which is imported only when an image needs work.

Pixels stay as they are stored: an EXIF orientation is not applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from module.collection.image_header import (
    EXTENSIONS,
    JPEG,
    MAGIC,
    PNG,
    RAW_DEPTH,
    RAW_LAYOUT,
    dimensions,
    is_complete,
)
from module.collection.opencv import opencv
from module.errors import EncodeError

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels: TypeAlias = npt.NDArray[Any]

_MAX_PIXELS = 1 << 27
"""Limit of an image to decode (400 MB in colour), because a few bytes can claim to be a huge image."""

_OPAQUE = 0xFF
_GREY_AXES = 2
"""Rows and columns; colour has channels too."""


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image as it will be sent, with the true type and extension (dot included) of its bytes."""

    data: bytes
    mime_type: str
    extension: str


def decode(data: bytes, mime_type: str, reduction: int, *, grey: bool = False) -> Pixels:
    """Return rows of pixels: grey, BGR or BGRA, in 8 or 16 bits; of a JPEG at 1/``reduction`` of its size."""
    if mime_type in RAW_LAYOUT:
        pixels = decode_raw(data, mime_type)
    else:
        pixels = _decode_file(data, mime_type, reduction, grey=grey)
    if not grey or is_depth(pixels):
        return pixels
    cv2 = opencv()
    pixels = _eight_bits(pixels)
    return pixels if pixels.ndim == _GREY_AXES else cv2.cvtColor(_opaque(pixels), cv2.COLOR_BGR2GRAY)


def _decode_file(data: bytes, mime_type: str, reduction: int, *, grey: bool) -> Pixels:
    cv2 = opencv()
    import numpy as np  # noqa: PLC0415 - which OpenCV has imported

    size = dimensions(data, mime_type)
    if size is not None and size[0] * size[1] > _MAX_PIXELS:
        raise EncodeError(f"an image of {size[0]}x{size[1]} pixels was given; at most {_MAX_PIXELS} are decoded")
    flags = cv2.IMREAD_UNCHANGED
    if mime_type == JPEG:
        # The reduced flags in grey, with ANYCOLOR, leave grey grey and colour colour.
        flags = getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{reduction}") if reduction > 1 else cv2.IMREAD_GRAYSCALE
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
        flags |= 0 if grey else cv2.IMREAD_ANYCOLOR
    pixels, cause = None, None
    if is_complete(data, mime_type):
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error as error:
            cause = error
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise EncodeError(f"{_unreadable(data, mime_type)} it may be cut off or corrupt") from cause
    return pixels  # type: ignore[no-any-return]


def _unreadable(data: bytes, mime_type: str) -> str:
    return f"the image cannot be read ({len(data)} bytes of {mime_type or 'no type'}):"


def decode_raw(data: bytes, mime_type: str) -> Pixels:
    """Return BGRA pixels, BGR if all are opaque, or depth in millimetres."""
    cv2 = opencv()
    import numpy as np  # noqa: PLC0415 - which OpenCV has imported

    magic, dimension, pixel = RAW_LAYOUT[mime_type]
    size = dimensions(data, mime_type)
    if size is None or not data.startswith(next(shown for shown, raw in MAGIC if raw == mime_type)):
        raise EncodeError(f"{_unreadable(data, mime_type)} it has no header of that type")
    width, height = size
    start = magic + 2 * dimension
    expected = start + width * height * pixel
    if len(data) != expected:
        raise EncodeError(f"{_unreadable(data, mime_type)} {width}x{height} pixels would be {expected} bytes")
    if mime_type == RAW_DEPTH:
        return np.frombuffer(data, ">u2", offset=start).reshape(height, width).astype(np.uint16)
    rgba = np.frombuffer(data, np.uint8, offset=start).reshape(height, width, pixel)
    opaque = bool((rgba[:, :, 3] == _OPAQUE).all())
    return cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGR if opaque else cv2.COLOR_RGBA2BGRA)  # type: ignore[no-any-return]


def is_depth(pixels: Pixels) -> bool:
    """Return whether the pixels are depth in 16 bits, not colour or grey."""
    return pixels.dtype == "uint16" and pixels.ndim == _GREY_AXES


def _opaque(pixels: Pixels) -> Pixels:
    return pixels if pixels.ndim == _GREY_AXES else pixels[:, :, :3]


def _eight_bits(pixels: Pixels) -> Pixels:
    return pixels if pixels.dtype.itemsize == 1 else (pixels.astype("uint16") >> 8).astype("uint8")


def encoded(pixels: Pixels, mime_type: str, quality: int) -> EncodedImage:
    """Return the pixels as a file of that type; JPEG loses transparency. Raises EncodeError."""
    cv2 = opencv()
    options: list[int] = []
    if mime_type != PNG:
        pixels = _eight_bits(pixels)
        options = [cv2.IMWRITE_JPEG_QUALITY if mime_type == JPEG else cv2.IMWRITE_WEBP_QUALITY, quality]
    if mime_type == JPEG:
        pixels = _opaque(pixels)
    extension = EXTENSIONS[mime_type]
    data, cause = None, None
    try:
        done, data = cv2.imencode(extension, pixels, options)
    except cv2.error as error:
        done, cause = False, error
    if not done or data is None:
        raise EncodeError(f"{pixels.shape[1]}x{pixels.shape[0]} pixels cannot become {mime_type}") from cause
    return EncodedImage(data.tobytes(), mime_type, extension)
