"""OpenCV, which is imported only when an image needs work: it takes tens of megabytes."""

from __future__ import annotations

import threading
from typing import Any

_importing = threading.Lock()


def opencv() -> Any:
    """Return OpenCV, which has imported NumPy too. Raises what its import raises, each time."""
    # A thread that waits for the import of another one gets half a module if that import fails.
    with _importing:
        import cv2  # noqa: PLC0415 - see above
    return cv2
