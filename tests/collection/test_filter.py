"""What a source remembers of what it kept."""

from __future__ import annotations

import logging
import struct
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

from module.attributes.uploader import parse
from module.collection.filter import Filter
from module.collection.kept import KeptOfSource
from module.collection.sources import Blob, Source, find

_GREY = b"RGBA" + struct.pack(">II", 8, 8) + bytes(8 * 8 * 4)


def _source() -> Source:
    attributes = {
        "sources": [{"name": "eye", "capture_frequency_hz": 1, "on_change": {"min_difference": 0.1}}],
        "spool": {"directory": "/nowhere"},
        "upload": {"disabled": True},
    }
    (source,) = parse(attributes, service="uploader", environ={}).sources
    return find(source, {})


async def test_a_camera_that_names_each_image_afresh_does_not_fill_the_memory() -> None:
    with ThreadPoolExecutor(1) as workers:
        kept = Filter(_source(), {}, workers, logging.getLogger("test"), on_release=lambda _: None, kept=KeptOfSource())

        async def look(*names: str) -> int:
            blobs = [Blob(name=name, data=_GREY, mime_type="image/vnd.viam.rgba") for name in names]
            return len(await kept.changed(blobs, 0.0))

        assert await look("left", "right") == 2
        assert await look("left", "right") == 0
        await look(*(f"frame-{number}" for number in range(200)))
        tracemalloc.start()
        try:
            assert await look(*(f"frame-{number}" for number in range(200, 700))) == 500
            assert tracemalloc.get_traced_memory()[0] < 100_000
        finally:
            tracemalloc.stop()
