"""What a source remembers of what it kept."""

from __future__ import annotations

import asyncio
import logging
import struct
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from module.attributes.uploader import parse
from module.capture import Capture, Kind, Origin
from module.collection.filter import Filter
from module.collection.kept import KeptOfSource
from module.collection.sources import Answer, Blob, Row, Source, find
from tests.collection.image_files import file, scene

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


@pytest.mark.parametrize("declared", ["", "application/octet-stream"])
async def test_images_are_compared_as_images_whatever_type_they_declare(declared: str) -> None:
    with ThreadPoolExecutor(1) as workers:
        source = _source(on_change={"min_difference": 0.1})
        kept = Filter(source, {}, workers, logging.getLogger("test"), on_release=lambda _: None, kept=KeptOfSource())
        frames = [Blob(file(".jpg", (scene(160, 120) * share).astype("uint8")), declared) for share in (1, 0.99, 0.3)]
        assert [len(await kept.changed([frame], 0.0)) for frame in frames] == [1, 0, 1]


async def test_point_clouds_are_compared_in_a_thread() -> None:
    """A large one would hold up every other source."""
    began = threading.Event()
    with ThreadPoolExecutor(1, initializer=began.set) as workers:
        source = _source(method="NextPointCloud", on_change={})
        kept = Filter(source, {}, workers, logging.getLogger("test"), on_release=lambda _: None, kept=KeptOfSource())
        clouds = [Blob(data, "pointcloud/pcd", extension=".pcd") for data in (b"one", b"one", b"other")]
        assert [len(await kept.changed([cloud], 0.0)) for cloud in clouds] == [1, 0, 1]
        assert began.is_set()


def _reading(received_us: int) -> Capture:
    return Capture(Origin(source="eye", kind=Kind.ROW), received_us, received_us, b"20.0")


_ROW = Row({"readings": {"temperature": 20.0}})
_FRAME = Blob(_GREY, "image/vnd.viam.rgba")


@pytest.mark.parametrize(
    ("answer", "gate", "polls_s"),
    [
        (_ROW, {}, [-3, -2, -1]),
        (_ROW, {"before_s": 5}, [-9, -8, -7]),
        (_ROW, {"before_s": 5}, [-9, -4, -1]),
        (_FRAME, {"vision": "people"}, [-3, -2, -1]),
        (_FRAME, {"vision": "people", "before_s": 5}, [-9, -8, -7]),
    ],
)
async def test_answers_are_not_compared_with_those_that_a_closed_gate_dropped(
    answer: Answer, gate: dict[str, Any], polls_s: list[float]
) -> None:
    """What is the same for ever is kept once, when the gate opens."""
    assert await _kept_of_constant(answer, gate, polls_s) == (0, [1, 0, 0])


async def test_readings_are_compared_with_those_that_waited_for_the_gate() -> None:
    assert await _kept_of_constant(_ROW, {"before_s": 5}, [-4, -3, -1]) == (1, [0, 0, 0])


async def _kept_of_constant(answer: Answer, gate: dict[str, Any], polls_s: list[float]) -> tuple[int, list[int]]:
    """Poll what stays the same: at these times before the gate opens by command, and three times after it."""
    source, count = _source(gate=gate, on_change={}), KeptOfSource()
    released: list[Capture] = []
    with ThreadPoolExecutor(1) as workers:
        kept = Filter(source, {}, workers, logging.getLogger("test"), on_release=released.extend, kept=count)

        async def polled(at: float) -> int:
            answers = await kept.changed([answer], at)
            if kept.is_needed(at):
                return len(kept.admit([_reading(number) for number, _ in enumerate(answers)], at))
            kept.skip(len(answers))
            return 0

        now = asyncio.get_running_loop().time()
        assert [await polled(now + each) for each in polls_s] == [0] * len(polls_s)
        kept.trigger(60)
        after = [await polled(now + each) for each in (1, 2, 3)]
    assert count.filtered == len(polls_s) + 3 - len(released) - sum(after)
    return len(released), after
