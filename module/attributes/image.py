"""The attributes of ``image``: what becomes of a camera's images before they travel."""

from __future__ import annotations

import enum
from typing import Annotated

from module.attributes import allowed
from module.attributes.allowed import choice, number
from module.attributes.part import Part, Texts

_PIXELS = number(at_least=1, at_most=65535, whole=True)


class ImageFormat(enum.StrEnum):
    """The format in which an image is sent."""

    PASSTHROUGH = "passthrough"
    """The bytes unchanged; raw images as PNG."""

    JPEG = "jpeg"
    """Small, with loss."""

    PNG = "png"
    """Large, without loss."""

    WEBP = "webp"
    """Smaller than JPEG, with loss."""


class ImageConfig(Part):
    """How a camera's images are processed before they are sent."""

    format: Annotated[ImageFormat, choice(ImageFormat)] = ImageFormat.PASSTHROUGH
    quality: Annotated[int, number(at_least=1, at_most=100, whole=True)] = 85
    max_width: Annotated[int, _PIXELS] | None = None
    max_height: Annotated[int, _PIXELS] | None = None
    crop: Annotated[tuple[int, int, int, int], allowed.CROP] | None = None
    names: Texts = ()
