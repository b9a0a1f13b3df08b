"""What a machine is made of here, that may go wrong: a clock, and a sensor."""

from __future__ import annotations

import asyncio
import enum
import math
import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viam.components.sensor import Sensor

COMPILER = shutil.which("cc")


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

    def become(self, mood: Mood) -> None:
        """Change the mood."""
        self._mood = mood
        self._changed.set()
        self._changed = asyncio.Event()

    async def get_readings(self, **_: Any) -> Mapping[str, Any]:
        if self._mood is Mood.HANGS:
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
