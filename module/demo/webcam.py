"""A webcam of this computer, if one is found."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels: TypeAlias = npt.NDArray[Any]

_DEVICE = Path("/dev/video0")


class Webcam:
    """The first webcam, opened; any thread may read it, one at a time."""

    def __init__(self, capture: Any) -> None:
        self._capture = capture
        self._lock = threading.Lock()

    @classmethod
    def find(cls) -> Self | None:
        """Open the first webcam that returns pictures, within a few seconds, silently; None if there is none."""
        device: int | str = str(_DEVICE)
        if sys.platform == "darwin":
            device = 0
        elif not os.access(_DEVICE, os.R_OK | os.W_OK):
            return None
        # OpenCV reads these when it is loaded.
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")
        os.environ.setdefault("OPENCV_AVFOUNDATION_SKIP_AUTH", "1")
        import cv2  # noqa: PLC0415 - after its settings

        capture = cv2.VideoCapture(device)
        if capture.isOpened() and capture.read()[0]:
            return cls(capture)
        capture.release()
        return None

    def picture(self) -> Pixels:
        """The next picture, rows of BGR pixels; blocks until it is there. Raises OSError if the webcam returns none."""
        with self._lock:
            there, picture = self._capture.read()
        if not there:
            raise OSError("the webcam returns no more pictures")
        return picture  # type: ignore[no-any-return]

    def close(self) -> None:
        """Let go of the webcam."""
        with self._lock:
            self._capture.release()
