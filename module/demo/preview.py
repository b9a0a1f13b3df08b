"""Small pictures of large ones, and pictures of depth that show something."""

from __future__ import annotations

import functools
from pathlib import Path

_PNG = b"\x89PNG\r\n\x1a\n"
_BIT_DEPTH_AT = 24
_DEEP = 16
_QUALITY = 80


def is_deep(path: Path) -> bool:
    """Whether it is a PNG of 16 bits, of which a browser shows the upper 8: depth in millimetres is black there."""
    with path.open("rb") as file:
        head = file.read(_BIT_DEPTH_AT + 1)
    return head.startswith(_PNG) and head[-1] == _DEEP


@functools.lru_cache(maxsize=512)
def preview(path: Path, most_pixels: int) -> bytes | None:
    """A JPEG, at most so many pixels wide and high; what is deep in false colours. None if it is no image.

    Takes milliseconds to tenths of a second. Files of the local cloud do not change once they have their name.
    """
    import cv2  # noqa: PLC0415 - only who looks at images needs it
    import numpy as np  # noqa: PLC0415 - as above

    deep = is_deep(path)
    picture = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH if deep else cv2.IMREAD_COLOR)
    if picture is None:
        return None
    scale = most_pixels / max(picture.shape[:2])
    if scale < 1:
        # Depths must not be mixed: the mean of near and far lies where there is nothing.
        how = cv2.INTER_NEAREST if deep else cv2.INTER_AREA
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=how)
    if deep:
        known = picture[picture > 0]
        near, far = (int(np.min(known)), int(np.max(known))) if known.size else (0, 1)
        nearness = np.clip((far - picture.astype(np.float32)) * (255 / max(1, far - near)), 0, 255).astype(np.uint8)
        picture = np.where(picture[..., None] > 0, cv2.applyColorMap(nearness, cv2.COLORMAP_VIRIDIS), 0)
    _, data = cv2.imencode(".jpg", picture.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes(data)
