"""Reads an image's bytes without decoding them: its type, its size in pixels, and whether its end is there.

Pure, and without OpenCV or numpy.
"""

from __future__ import annotations

import re
from typing import Literal

JPEG = "image/jpeg"
PNG = "image/png"
WEBP = "image/webp"
RAW_RGBA = "image/vnd.viam.rgba"
RAW_DEPTH = "image/vnd.viam.dep"

# ".jpeg" is viam-server's choice too.
EXTENSIONS = {JPEG: ".jpeg", PNG: ".png", WEBP: ".webp"}

MAGIC = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"RGBA", RAW_RGBA),
    (b"DEPTHMAP", RAW_DEPTH),
)

# What each raw format has before its pixels, in each of two dimensions, and in each pixel: bytes.
RAW_LAYOUT = {RAW_RGBA: (4, 4, 4), RAW_DEPTH: (8, 8, 2)}

DEEP_GREY = bytes((16, 0))
"""Bits and kind of colour in the header of a PNG that is depth."""

# Of JPEG's markers (ITU T.81, table B.1): the byte before each, those without a length, the frame headers among which
# stand DHT, JPG and DAC, and those after which no frame header comes.
_MARKER = 0xFF
_ALONE = bytes((0x01, *range(0xD0, 0xD8)))
_FRAMES = bytes(sorted({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}))
_ENDS = b"\xd9\xda"

_WEBP_HEADER = 30


def dimensions(data: bytes, mime_type: str) -> tuple[int, int] | None:
    """Return width and height in pixels from the header, without decoding; None if the header does not have them.

    Reads JPEG (ITU T.81, annex B), PNG (its IHDR), WebP (RFC 9649) and Viam's raw RGBA and depth.
    """
    size, mime_type = None, true_type(data, mime_type)
    if mime_type == JPEG:
        frame = _jpeg_frame(data)
        size = None if frame is None else (_integer(data, frame + 7, 2), _integer(data, frame + 5, 2))
    elif mime_type == PNG:
        size = (_integer(data, 16, 4), _integer(data, 20, 4)) if data[12:16] == b"IHDR" else None
    elif mime_type == WEBP:
        size = _webp_size(data)
    elif mime_type in RAW_LAYOUT:
        magic, width, _ = RAW_LAYOUT[mime_type]
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


def bare(mime_type: str) -> str:
    """Return the type without parameters and without the SDK's mark of lazy decoding."""
    return mime_type.partition(";")[0].strip().lower().removesuffix("+lazy")


def true_type(data: bytes, mime_type: str) -> str:
    """Return the type that the first bytes show, otherwise ``mime_type``: some cameras report a wrong type."""
    for magic, shown in MAGIC:
        if data.startswith(magic):
            return shown
    return WEBP if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else bare(mime_type)


def extension_of(mime_type: str) -> str:
    """Return the extension of a type, dot included; ".bin" if the type is not known."""
    known = EXTENSIONS.get(mime_type)
    if known is not None:
        return known
    subtype = re.match(r"[^/]+/(?:x-)?([a-z0-9][a-z0-9.-]*)", mime_type)
    return f".{subtype[1]}" if subtype else ".bin"


def is_complete(data: bytes, mime_type: str) -> bool:
    """Return whether the end is there: some versions of OpenCV fill a missing end with grey and report no error."""
    if mime_type == JPEG:
        # From the frame on: the thumbnail within an EXIF header has an end too.
        frame = _jpeg_frame(data)
        return frame is not None and data.rfind(b"\xff\xd9", frame) >= 0
    if mime_type == PNG:
        return data.rfind(b"IEND") >= 0
    if mime_type == WEBP:
        return len(data) >= 8 + _integer(data, 4, 4, "little")
    return bool(data)
