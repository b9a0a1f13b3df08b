"""Image bytes → image bytes: unchanged if they need no change, otherwise decoded, cropped, scaled and encoded.

Pure. OpenCV and numpy are imported only when an image needs work, so a service without such a source saves their
memory. An EXIF orientation is not applied: ``crop`` counts in pixels as they are stored. Only images that are sent
unchanged keep their EXIF data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from module.attributes.image import ImageConfig, ImageFormat
from module.errors import EncodeError

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels: TypeAlias = npt.NDArray[Any]

JPEG = "image/jpeg"
PNG = "image/png"
WEBP = "image/webp"
RAW_RGBA = "image/vnd.viam.rgba"
RAW_DEPTH = "image/vnd.viam.dep"

# ".jpeg" is viam-server's choice too.
_EXTENSIONS = {JPEG: ".jpeg", PNG: ".png", WEBP: ".webp"}

_MAGIC = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"RGBA", RAW_RGBA),
    (b"DEPTHMAP", RAW_DEPTH),
)

# What each raw format has before its pixels, in each of two dimensions, and in each pixel: bytes.
_RAW_LAYOUT = {RAW_RGBA: (4, 4, 4), RAW_DEPTH: (8, 8, 2)}

_MAX_PIXELS = 1 << 27
"""Limit of an image to decode (400 MB in colour), because a few bytes can claim to be a huge image."""

_GREY_SIZE = (64, 48)

_DEEP_GREY = bytes((16, 0))
"""Bits and kind of colour in the header of a PNG that is depth."""

_OPAQUE = 0xFF
_GREY_AXES = 2
"""Rows and columns; colour has channels too."""

# Of JPEG's markers (ITU T.81, table B.1): the byte before each, those without a length, the frame headers among which
# stand DHT, JPG and DAC, and those after which no frame header comes.
_MARKER = 0xFF
_ALONE = bytes((0x01, *range(0xD0, 0xD8)))
_FRAMES = bytes(sorted({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}))
_ENDS = b"\xd9\xda"

_WEBP_HEADER = 30


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image as it will be sent, with the true type and extension (dot included) of its bytes."""

    data: bytes
    mime_type: str
    extension: str


@dataclass(frozen=True, slots=True, eq=False)
class GreyCopy:
    """The small copy of an image that the difference filter compares."""

    width: int
    """Pixels, of the image itself."""
    height: int
    pixels: Pixels
    """Rows of at most 64 by 48 pixels: 8-bit grey, or 16-bit depth."""


class _Plan(NamedTuple):
    """The part of an image that is kept, and its final size; in pixels."""

    left: int
    top: int
    width: int
    height: int
    out_width: int
    out_height: int

    def changes(self, size: tuple[int, int]) -> bool:
        # Nothing is ever scaled up, so what was cropped away is missing in the end.
        return (self.out_width, self.out_height) != size


def needs_work(mime_type: str, settings: ImageConfig) -> bool:
    """Return whether ``encode`` may have to decode or encode, so that a caller can do it in another thread.

    False: the bytes need no change, if ``mime_type`` is their true type. ``encode`` looks at the bytes themselves.
    """
    mime_type = _bare(mime_type)
    if mime_type in _RAW_LAYOUT or _shapes(settings):
        return True
    return settings.format is not ImageFormat.PASSTHROUGH and mime_type != f"image/{settings.format}"


def passthrough(data: bytes, mime_type: str) -> EncodedImage:
    """Return the bytes unchanged, even if they are corrupt; raw RGBA and raw depth become PNG, depth with 16 bits.

    The type of the result is the one that the bytes show, otherwise ``mime_type``. The extension follows from it, and
    is ".bin" for an unknown type. Raises EncodeError if raw pixels do not match their header.
    """
    mime_type = _true_type(data, mime_type)
    if mime_type in _RAW_LAYOUT:
        return _encoded(_decode_raw(data, mime_type), PNG, 0)
    return EncodedImage(data, mime_type, _extension(mime_type))


def encode(data: bytes, mime_type: str, settings: ImageConfig) -> EncodedImage:
    """Return the image cropped, scaled and encoded as set; bytes that need no change are returned unchanged.

    Depth (raw, or a PNG with one channel of 16 bits) is scaled by nearest pixel and always becomes PNG. Only JPEG loses
    transparency. Raises EncodeError if the bytes cannot be read, or if the crop is outside the image.
    """
    if settings.format is ImageFormat.PASSTHROUGH and not _shapes(settings):
        return passthrough(data, mime_type)
    mime_type = _true_type(data, mime_type)
    size = dimensions(data, mime_type)
    target = _target(data, mime_type, settings.format)
    plan = _plan(size, settings) if size else None
    if target == mime_type and plan and size and not plan.changes(size) and _is_complete(data, mime_type):
        return EncodedImage(data, mime_type, _EXTENSIONS[mime_type])
    reduction = 1
    if plan is not None and mime_type == JPEG and settings.crop is None:
        reduction = _reduction(plan.width, plan.height, plan.out_width, plan.out_height)
    pixels = _decode(data, mime_type, reduction)
    if plan is None or reduction == 1:
        plan = _plan((pixels.shape[1], pixels.shape[0]), settings)
        pixels = pixels[plan.top : plan.top + plan.height, plan.left : plan.left + plan.width]
    if _is_depth(pixels):
        target = PNG
    return _encoded(_scaled(pixels, plan.out_width, plan.out_height), target, settings.quality)


def small_grey(data: bytes, mime_type: str) -> GreyCopy:
    """Return a grey copy of at most 64 by 48 pixels; depth keeps its 16 bits. A JPEG is decoded no larger than needed.

    Raises EncodeError if the bytes cannot be read.
    """
    mime_type = _true_type(data, mime_type)
    size = dimensions(data, mime_type)
    reduction = 1
    if size and mime_type == JPEG:
        reduction = _reduction(*size, *_fit(*size, *_GREY_SIZE))
    pixels = _decode(data, mime_type, reduction, grey=True)
    height, width = pixels.shape[:2]
    size = size if size and reduction > 1 else (width, height)
    return GreyCopy(*size, _scaled(pixels, *_fit(width, height, *_GREY_SIZE)))


def dimensions(data: bytes, mime_type: str) -> tuple[int, int] | None:
    """Return width and height in pixels from the header, without decoding; None if the header does not have them.

    Reads JPEG (ITU T.81, annex B), PNG (its IHDR), WebP (RFC 9649) and Viam's raw RGBA and depth.
    """
    size, mime_type = None, _true_type(data, mime_type)
    if mime_type == JPEG:
        frame = _jpeg_frame(data)
        size = None if frame is None else (_integer(data, frame + 7, 2), _integer(data, frame + 5, 2))
    elif mime_type == PNG:
        size = (_integer(data, 16, 4), _integer(data, 20, 4)) if data[12:16] == b"IHDR" else None
    elif mime_type == WEBP:
        size = _webp_size(data)
    elif mime_type in _RAW_LAYOUT:
        magic, width, _ = _RAW_LAYOUT[mime_type]
        size = (_integer(data, magic, width), _integer(data, magic + width, width))
    return size if size and min(size) > 0 else None


def _integer(data: bytes, start: int, length: int, order: Literal["big", "little"] = "big") -> int:
    """Return an unsigned integer; 0 if the data is too short."""
    return int.from_bytes(data[start : start + length], order) if len(data) >= start + length else 0


def _jpeg_frame(data: bytes) -> int | None:
    """Return the position of the marker of the frame header (SOF); None if scans or the end come first."""
    at = 2
    while at + 4 <= len(data) and data[at] == _MARKER:
        marker = data[at + 1]
        if marker == _MARKER:
            # Any number of them may stand before a marker.
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker in _FRAMES:
            return at
        elif marker in _ENDS:
            return None
        else:
            at += 2 + _integer(data, at + 2, 2)
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    if len(data) < _WEBP_HEADER:
        return None
    chunk = data[12:16]
    if chunk == b"VP8X":
        return _integer(data, 24, 3, "little") + 1, _integer(data, 27, 3, "little") + 1
    if chunk == b"VP8L":
        bits = _integer(data, 21, 4, "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return (
        (_integer(data, 26, 2, "little") & 0x3FFF, _integer(data, 28, 2, "little") & 0x3FFF)
        if chunk == b"VP8 "
        else None
    )


def _bare(mime_type: str) -> str:
    """Return the type without parameters and without the SDK's mark of lazy decoding."""
    return mime_type.partition(";")[0].strip().lower().removesuffix("+lazy")


def _true_type(data: bytes, mime_type: str) -> str:
    """Return the type that the first bytes show, otherwise ``mime_type``: some cameras report a wrong type."""
    for magic, shown in _MAGIC:
        if data.startswith(magic):
            return shown
    return WEBP if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else _bare(mime_type)


def _extension(mime_type: str) -> str:
    known = _EXTENSIONS.get(mime_type)
    if known is not None:
        return known
    subtype = re.match(r"[^/]+/(?:x-)?([a-z0-9][a-z0-9.-]*)", mime_type)
    return f".{subtype[1]}" if subtype else ".bin"


def _shapes(settings: ImageConfig) -> bool:
    return settings.crop is not None or settings.max_width is not None or settings.max_height is not None


def _target(data: bytes, mime_type: str, wanted: ImageFormat) -> str:
    """Return the type to encode to; an image that is neither JPEG, PNG nor WebP becomes PNG."""
    deep_png = mime_type == PNG and data[24:26] == _DEEP_GREY
    if deep_png or mime_type == RAW_DEPTH:
        return PNG
    if wanted is ImageFormat.PASSTHROUGH:
        return PNG if mime_type in _RAW_LAYOUT or mime_type not in _EXTENSIONS else mime_type
    return f"image/{wanted}"


def _plan(size: tuple[int, int], settings: ImageConfig) -> _Plan:
    width, height = size
    left, top, right, bottom = 0, 0, width, height
    if settings.crop is not None:
        x, y, crop_width, crop_height = settings.crop
        left, top, right, bottom = max(0, x), max(0, y), min(width, x + crop_width), min(height, y + crop_height)
    if left >= right or top >= bottom:
        raise EncodeError(f"crop {list(settings.crop or ())} lies outside an image of {width}x{height} pixels")
    view = (right - left, bottom - top)
    return _Plan(left, top, *view, *_fit(*view, settings.max_width, settings.max_height))


def _fit(width: int, height: int, max_width: int | None, max_height: int | None) -> tuple[int, int]:
    """Return the size within both bounds with the same aspect, never enlarged and at least one pixel."""
    scale = min(1.0, (max_width or width) / width, (max_height or height) / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _reduction(width: int, height: int, out_width: int, out_height: int) -> int:
    """Return the factor (8, 4, 2 or 1) by which a JPEG can be decoded smaller and is still large enough."""
    scale = min(width / out_width, height / out_height)
    return next((by for by in (8, 4, 2) if scale >= by), 1)


def _opencv() -> Any:
    import cv2  # noqa: PLC0415 - only where an image needs work

    return cv2


def _decode(data: bytes, mime_type: str, reduction: int, *, grey: bool = False) -> Pixels:
    """Return rows of pixels: grey, BGR or BGRA, in 8 or 16 bits; of a JPEG at 1/``reduction`` of its size."""
    if mime_type in _RAW_LAYOUT:
        pixels = _decode_raw(data, mime_type)
    else:
        pixels = _decode_file(data, mime_type, reduction, grey=grey)
    if not grey or _is_depth(pixels):
        return pixels
    cv2 = _opencv()
    pixels = _eight_bits(pixels)
    return pixels if pixels.ndim == _GREY_AXES else cv2.cvtColor(_opaque(pixels), cv2.COLOR_BGR2GRAY)


def _decode_file(data: bytes, mime_type: str, reduction: int, *, grey: bool) -> Pixels:
    import numpy as np  # noqa: PLC0415 - as above

    cv2 = _opencv()
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
    if _is_complete(data, mime_type):
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error as error:
            cause = error
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise EncodeError(f"{_unreadable(data, mime_type)} it may be cut off or corrupt") from cause
    return pixels  # type: ignore[no-any-return]


def _is_complete(data: bytes, mime_type: str) -> bool:
    """Return whether the end is there: some versions of OpenCV fill a missing end with grey and report no error."""
    if mime_type == JPEG:
        # From the frame on: the thumbnail within an EXIF header has an end of its own.
        frame = _jpeg_frame(data)
        return frame is not None and data.rfind(b"\xff\xd9", frame) >= 0
    if mime_type == PNG:
        return data.rfind(b"IEND") >= 0
    if mime_type == WEBP:
        return len(data) >= 8 + _integer(data, 4, 4, "little")
    return bool(data)


def _unreadable(data: bytes, mime_type: str) -> str:
    return f"the image cannot be read ({len(data)} bytes of {mime_type or 'no type'}):"


def _decode_raw(data: bytes, mime_type: str) -> Pixels:
    """Return BGRA pixels, BGR if all are opaque, or depth in millimetres."""
    import numpy as np  # noqa: PLC0415 - as above

    magic, dimension, pixel = _RAW_LAYOUT[mime_type]
    size = dimensions(data, mime_type)
    if size is None or not data.startswith(next(shown for shown, raw in _MAGIC if raw == mime_type)):
        raise EncodeError(f"{_unreadable(data, mime_type)} it has no header of that type")
    width, height = size
    start = magic + 2 * dimension
    expected = start + width * height * pixel
    if len(data) != expected:
        raise EncodeError(f"{_unreadable(data, mime_type)} {width}x{height} pixels would be {expected} bytes")
    if mime_type == RAW_DEPTH:
        return np.frombuffer(data, ">u2", offset=start).reshape(height, width).astype(np.uint16)
    rgba = np.frombuffer(data, np.uint8, offset=start).reshape(height, width, pixel)
    cv2 = _opencv()
    opaque = bool((rgba[:, :, 3] == _OPAQUE).all())
    return cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGR if opaque else cv2.COLOR_RGBA2BGRA)  # type: ignore[no-any-return]


def _is_depth(pixels: Pixels) -> bool:
    return pixels.dtype == "uint16" and pixels.ndim == _GREY_AXES


def _opaque(pixels: Pixels) -> Pixels:
    return pixels if pixels.ndim == _GREY_AXES else pixels[:, :, :3]


def _eight_bits(pixels: Pixels) -> Pixels:
    return pixels if pixels.dtype.itemsize == 1 else (pixels.astype("uint16") >> 8).astype("uint8")


def _scaled(pixels: Pixels, width: int, height: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    cv2 = _opencv()
    # Between two depths there may be nothing at all: mixing them would invent a surface.
    how = cv2.INTER_NEAREST if _is_depth(pixels) else cv2.INTER_AREA
    return cv2.resize(pixels, (width, height), interpolation=how)  # type: ignore[no-any-return]


def _encoded(pixels: Pixels, mime_type: str, quality: int) -> EncodedImage:
    cv2 = _opencv()
    options: list[int] = []
    if mime_type != PNG:
        pixels = _eight_bits(pixels)
        options = [cv2.IMWRITE_JPEG_QUALITY if mime_type == JPEG else cv2.IMWRITE_WEBP_QUALITY, quality]
    if mime_type == JPEG:
        pixels = _opaque(pixels)
    extension = _EXTENSIONS[mime_type]
    data, cause = None, None
    try:
        done, data = cv2.imencode(extension, pixels, options)
    except cv2.error as error:
        done, cause = False, error
    if not done or data is None:
        raise EncodeError(f"{pixels.shape[1]}x{pixels.shape[0]} pixels cannot become {mime_type}") from cause
    return EncodedImage(data.tobytes(), mime_type, extension)
