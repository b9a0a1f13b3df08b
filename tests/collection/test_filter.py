"""What a source remembers of what it kept."""

from __future__ import annotations

import asyncio
import logging
import struct
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from module.attributes.uploader import parse
from module.collection.filter import Filter
from module.collection.kept import KeptOfSource
from module.collection.sources import Blob, Row, Source, find

_GREY = b"RGBA" + struct.pack(">II", 8, 8) + bytes(8 * 8 * 4)


def _source(**attributes_of_source: Any) -> Source:
    attributes = {
        "sources": [{"name": "eye", "capture_frequency_hz": 1, **attributes_of_source}],
        "spool": {"directory": "/nowhere"},
        "upload": {"disabled": True},
    }
    (source,) = parse(attributes, service="uploader", environ={}).sources
    return find(source, {})


async def test_a_camera_that_names_each_image_afresh_does_not_fill_the_memory() -> None:
    with ThreadPoolExecutor(1) as workers:
        source = _source(on_change={"min_difference": 0.1})
        kept = Filter(source, {}, workers, logging.getLogger("test"), on_release=lambda _: None, kept=KeptOfSource())

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


async def test_readings_are_not_compared_with_those_that_a_closed_gate_dropped() -> None:
    """A value that is the same for ever is kept once, when the gate opens."""
    source, count = _source(gate={}, on_change={"deadband": 0.5}), KeptOfSource()
    with ThreadPoolExecutor(1) as workers:
        kept = Filter(source, {}, workers, logging.getLogger("test"), on_release=lambda _: None, kept=count)

        async def polled() -> int:
            at = asyncio.get_running_loop().time()
            answers = await kept.changed([Row({"readings": {"temperature": 20.0}})], at)
            if kept.is_needed(at):
                return len(answers)
            kept.skip(len(answers))
            return 0

        assert [await polled() for _ in range(3)] == [0, 0, 0]
        kept.trigger(60)
        assert [await polled() for _ in range(3)] == [1, 0, 0]
        assert count.filtered == 5
