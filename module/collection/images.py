"""Image bytes → image bytes: unchanged if they need no change, otherwise decoded, cropped, scaled and encoded.

Pure. OpenCV and numpy are imported only when an image needs work, so a service without such a source saves their
memory. An EXIF orientation is not applied: ``crop`` counts in pixels as they are stored. Only images that are sent
unchanged keep their EXIF data. ``image_header`` reads types and sizes, ``image_codec`` decodes and encodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from module.attributes.image import ImageConfig, ImageFormat
from module.collection.image_codec import EncodedImage, decode, decode_raw, encoded, is_depth
from module.collection.image_header import (
    DEEP_GREY,
    EXTENSIONS,
    JPEG,
    PNG,
    RAW_DEPTH,
    RAW_LAYOUT,
    bare,
    dimensions,
    extension_of,
    is_complete,
    true_type,
)
from module.collection.opencv import opencv
from module.errors import EncodeError

if TYPE_CHECKING:
    from module.collection.image_codec import Pixels

_GREY_SIZE = (64, 48)


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
    mime_type = bare(mime_type)
    if mime_type in RAW_LAYOUT or _shapes(settings):
        return True
    return settings.format is not ImageFormat.PASSTHROUGH and mime_type != f"image/{settings.format}"


def passthrough(data: bytes, mime_type: str) -> EncodedImage:
    """Return the bytes unchanged, even if they are corrupt; raw RGBA and raw depth become PNG, depth with 16 bits.

    The type of the result is the one that the bytes show, otherwise ``mime_type``. The extension follows from it, and
    is ".bin" for an unknown type. Raises EncodeError if raw pixels do not match their header.
    """
    mime_type = true_type(data, mime_type)
    if mime_type in RAW_LAYOUT:
        return encoded(decode_raw(data, mime_type), PNG, 0)
    return EncodedImage(data, mime_type, extension_of(mime_type))


def encode(data: bytes, mime_type: str, settings: ImageConfig) -> EncodedImage:
    """Return the image cropped, scaled and encoded as set; bytes that need no change are returned unchanged.

    Depth (raw, or a PNG with one channel of 16 bits) is scaled by nearest pixel and always becomes PNG. Only JPEG loses
    transparency. Raises EncodeError if the bytes cannot be read, or if the crop is outside the image.
    """
    if settings.format is ImageFormat.PASSTHROUGH and not _shapes(settings):
        return passthrough(data, mime_type)
    mime_type = true_type(data, mime_type)
    size = dimensions(data, mime_type)
    target = _target(data, mime_type, settings.format)
    plan = _plan(size, settings) if size else None
    if target == mime_type and plan and size and not plan.changes(size) and is_complete(data, mime_type):
        return EncodedImage(data, mime_type, EXTENSIONS[mime_type])
    reduction = 1
    if plan is not None and mime_type == JPEG and settings.crop is None:
        reduction = _reduction(plan.width, plan.height, plan.out_width, plan.out_height)
    pixels = decode(data, mime_type, reduction)
    if plan is None or reduction == 1:
        plan = _plan((pixels.shape[1], pixels.shape[0]), settings)
        pixels = pixels[plan.top : plan.top + plan.height, plan.left : plan.left + plan.width]
    if is_depth(pixels):
        target = PNG
    return encoded(_scaled(pixels, plan.out_width, plan.out_height), target, settings.quality)


def small_grey(data: bytes, mime_type: str) -> GreyCopy:
    """Return a grey copy of at most 64 by 48 pixels; depth keeps its 16 bits. A JPEG is decoded no larger than needed.

    Raises EncodeError if the bytes cannot be read.
    """
    mime_type = true_type(data, mime_type)
    size = dimensions(data, mime_type)
    reduction = 1
    if size and mime_type == JPEG:
        reduction = _reduction(*size, *_fit(*size, *_GREY_SIZE))
    pixels = decode(data, mime_type, reduction, grey=True)
    height, width = pixels.shape[:2]
    size = size if size and reduction > 1 else (width, height)
    return GreyCopy(*size, _scaled(pixels, *_fit(width, height, *_GREY_SIZE)))


def _shapes(settings: ImageConfig) -> bool:
    return settings.crop is not None or settings.max_width is not None or settings.max_height is not None


def _target(data: bytes, mime_type: str, wanted: ImageFormat) -> str:
    """Return the type to encode to; an image that is neither JPEG, PNG nor WebP becomes PNG."""
    deep_png = mime_type == PNG and data[24:26] == DEEP_GREY
    if deep_png or mime_type == RAW_DEPTH:
        return PNG
    if wanted is ImageFormat.PASSTHROUGH:
        return PNG if mime_type in RAW_LAYOUT or mime_type not in EXTENSIONS else mime_type
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


def _scaled(pixels: Pixels, width: int, height: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    cv2 = opencv()
    # Between two depths there may be nothing at all: mixing them would invent a surface.
    how = cv2.INTER_NEAREST if is_depth(pixels) else cv2.INTER_AREA
    return cv2.resize(pixels, (width, height), interpolation=how)  # type: ignore[no-any-return]
