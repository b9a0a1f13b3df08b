"""What a machine is made of here, that may go wrong: a clock, a sensor, a vision service, a camera."""

from __future__ import annotations

import asyncio
import enum
import hashlib
import math
import os
import random
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grpclib import GRPCError, Status
from viam.components.sensor import Sensor
from viam.media.video import NamedImage
from viam.proto.common import ResponseMetadata
from viam.services.vision import Detection

from tests.process.rig import CountingSensor, StillCamera
from tests.process.test_keeping import Watcher

COMPILER = shutil.which("cc")

Span = tuple[float, float]
"""From when to when, in seconds of the monotonic clock."""


class Clock:
    """The wall clock of a process that is started with ``environ``: the real one, until it is set."""

    def __init__(self, folder: Path) -> None:
        """Compile it into ``folder``; needs ``COMPILER``."""
        folder.mkdir(parents=True, exist_ok=True)
        library = folder / "clock.so"
        command = [str(COMPILER), "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(library)]
        subprocess.run([*command, str(Path(__file__).with_name("clock.c"))], check=True)
        self._file = folder / "clock"
        self.ahead_s = 0
        self.jump(0)
        libraries = [str(library), *filter(None, [os.environ.get("LD_PRELOAD")])]
        self.environ = {"LD_PRELOAD": " ".join(libraries), "CLOCK_OFFSET": str(self._file)}

    def jump(self, seconds: int) -> None:
        """Step forward, or back."""
        self.ahead_s += seconds
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, struct.pack("=q", self.ahead_s * 1_000_000_000))
        finally:
            os.close(descriptor)


class Mood(enum.Enum):
    """What a fickle sensor gives."""

    WELL = "readings"
    HANGS = "nothing, for ever"
    RAISES = "an error"
    HUGE = "5 MB, which no upload takes"
    EMPTY = "readings without a value"
    NOT_FINITE = "NaN and infinities"


class FickleSensor(Sensor):
    """Gives what its mood is; a poll that hangs never gives a reading, even when the mood is better."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._mood = Mood.WELL
        self._changed = asyncio.Event()
        self.hung = 0
        """How many polls have hung."""

    def become(self, mood: Mood) -> None:
        """Change the mood."""
        self._mood = mood
        self._changed.set()
        self._changed = asyncio.Event()

    async def get_readings(self, **_: Any) -> Mapping[str, Any]:
        if self._mood is Mood.HANGS:
            self.hung += 1
            await self._changed.wait()
            raise RuntimeError("woken too late")
        if self._mood is Mood.RAISES:
            raise RuntimeError("the wire came off")
        answers: dict[Mood, Mapping[str, Any]] = {
            Mood.EMPTY: {},
            Mood.HUGE: {"text": "x" * 5_000_000},
            Mood.NOT_FINITE: {"none": math.nan, "most": math.inf, "least": [-math.inf]},
        }
        return answers.get(self._mood, {"value": 1.0})


def still_image() -> bytes:
    """A small JPEG image."""
    import cv2  # noqa: PLC0415, as the module does
    import numpy as np  # noqa: PLC0415

    encoded, data = cv2.imencode(".jpg", np.full((48, 64, 3), 127, np.uint8))
    assert encoded
    return bytes(data.tobytes())


class Sight(enum.Enum):
    """What a moody vision service does when it is asked."""

    WELL = "it answers"
    RESETS = "it resets the stream"
    STATUS = "any status of gRPC"
    RAISES = "a ValueError"
    HANGS = "nothing, until its mood changes"
    LATE = "an answer after a while"


class MoodyVision(Watcher):
    """Sees somebody for some seconds, then nobody; ``somebody`` decides it for all answers."""

    def __init__(self, name: str, chance: random.Random) -> None:
        super().__init__(name)
        self.somebody: bool | None = None
        self._chance = chance
        self._mood = Sight.WELL
        self._changed = asyncio.Event()

    def become(self, mood: Sight) -> None:
        """Change the mood; whoever waits is answered."""
        self._mood = mood
        self._changed.set()
        self._changed = asyncio.Event()

    async def get_detections(self, image: Any, **_: Any) -> list[Detection]:
        self.frames += 1
        match self._mood:
            case Sight.RESETS:
                await _stream().cancel()
            case Sight.STATUS:
                raise GRPCError(self._chance.choice([status for status in Status if status is not Status.OK]), "odd")
            case Sight.RAISES:
                raise ValueError("the model is broken")
            case Sight.HANGS:
                await self._changed.wait()
            case Sight.LATE:
                await asyncio.sleep(self._chance.uniform(0.2, 1.5))
        # Some seconds of somebody, some of nobody.
        somebody = self.frames // 20 % 2 == 0 if self.somebody is None else self.somebody
        return [Detection(x_min=0, y_min=0, x_max=1, y_max=1, confidence=0.9, class_name="person")] * somebody

    async def get_detections_from_camera(self, camera_name: str, **more: Any) -> list[Detection]:
        return await self.get_detections(camera_name, **more)


def _stream() -> Any:
    """Return the server's stream of the call that is served: whoever cancels it resets it (StreamTerminatedError)."""
    frame = sys._getframe()
    while "stream" not in frame.f_locals:
        assert frame.f_back is not None
        frame = frame.f_back
    return frame.f_locals["stream"]


class AnsweringSensor(CountingSensor):
    """Remembers which of its numbers it has answered."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.answered: dict[int, Span] = {}
        """Each number, and when it was asked for."""

    async def get_readings(self, **more: Any) -> Mapping[str, Any]:
        begun = time.monotonic()
        readings = await super().get_readings(**more)
        self.answered[readings["n"]] = (begun, time.monotonic())
        return readings


class Look(enum.Enum):
    """What a moody camera gives."""

    WELL = "an image"
    EMPTY = "0 bytes"
    BROKEN = "half a JPEG"
    UNDATED = "an image without captured_at"
    RAISES = "an error"


class MoodyCamera(StillCamera):
    """Gives no image twice: a number follows the JPEG."""

    def __init__(self, name: str, image: bytes) -> None:
        super().__init__(name, [])
        self.mood = Look.WELL
        self.answered: dict[str, Span] = {}
        """SHA-256 of each image of at least one byte, and when it was asked for."""
        self._image = image

    async def get_images(self, **_: Any) -> tuple[list[NamedImage], ResponseMetadata]:
        begun = time.monotonic()
        if self.mood is Look.RAISES:
            raise RuntimeError("no frame")
        image = self._image[: len(self._image) // 2] if self.mood is Look.BROKEN else self._image
        data = b"" if self.mood is Look.EMPTY else image + self.polls.to_bytes(8)
        self.captured_at = None if self.mood is Look.UNDATED else time.time()
        self.images = [("front", data, "image/jpeg")]
        answer = await super().get_images()
        if data:
            self.answered[hashlib.sha256(data).hexdigest()] = (begun, time.monotonic())
        return answer
