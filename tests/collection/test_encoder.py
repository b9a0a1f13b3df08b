"""The captures that a source's answers become."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from module.attributes.image import ImageConfig
from module.attributes.source import SourceConfig
from module.clock.machine_clock import Clock
from module.collection.encoder import Encoder
from module.collection.kept import NO_LABELS
from module.collection.sources import Blob, Source
from module.throttled_log import ThrottledLog
from tests.collection.image_files import JPEG_FILE, PNG_FILE, raw_rgba, scene


@pytest.mark.parametrize(
    ("data", "declared", "image", "in_a_thread"),
    [
        (raw_rgba(scene(160, 120, 4)), "image/jpeg", {}, True),
        (PNG_FILE, "image/jpeg", {"format": "jpeg"}, True),
        (JPEG_FILE, "image/png", {"format": "jpeg"}, False),
    ],
    ids=["raw pixels", "another format", "no work"],
)
async def test_images_that_need_work_are_processed_in_a_thread_whatever_type_they_declare(
    data: bytes, declared: str, image: dict[str, Any], in_a_thread: bool
) -> None:
    """On the event loop they would hold up every other source."""
    began = threading.Event()
    config = SourceConfig.model_construct(name="eye", id="eye", image=ImageConfig.model_validate(image))
    source = Source(config, "rdk:component:camera", "GetImages")
    with ThreadPoolExecutor(1, initializer=began.set) as workers:
        clock, log = Clock(), ThrottledLog(logging.getLogger("test"))
        encoder = Encoder(source, workers, log, clock, tags=(), dataset_ids=())
        await encoder.encode(Blob(data, declared), NO_LABELS, clock.stamp(), 0)
        assert began.is_set() == in_a_thread
