"""A scene that moves, in colour and in depth, and that compresses like a photograph of one.

A camera pans over a wall with a relief while three balls cross before it. All of it is worked out once, so that a
picture costs a few copies; a grain as of a sensor, never twice the same, makes its JPEG as large as a photograph's:
1.5 to 3 bits a pixel.
"""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels: TypeAlias = npt.NDArray[Any]

JPEG_QUALITY = 85

_DETAILS = ((107, 70), (27, 35), (7, 22), (1.7, 12))
"""The wall's pattern: pixels from one colour to the next, and how far apart they are."""
_GRAIN = 7
"""Standard deviation of the noise, of 255."""
_GRAIN_MARGIN = 64
_PAN = 4
"""The camera pans over this part of its view: a fourth."""
_WALL_MM = 3000
_RELIEF_MM = 400
_FOCAL_LENGTH = 0.9
"""In widths of the picture."""


class _Ball(NamedTuple):
    colour: tuple[int, int, int]
    depth_mm: int
    radius: float
    """In heights of the picture."""
    pace: float
    """Radians a second, of its way from side to side."""


_BALLS = (
    _Ball((60, 60, 200), 2300, 0.10, 0.5),
    _Ball((180, 140, 40), 1700, 0.14, 0.8),
    _Ball((70, 170, 90), 1100, 0.19, 1.1),
)


class Scene:
    """A view of the scene in a given size; any thread may ask for any time.

    Making one takes up to two seconds, a picture milliseconds.
    """

    def __init__(self, width: int, height: int, seed: int = 1) -> None:
        import numpy as np  # noqa: PLC0415 - only the demo's cameras need it

        self.width, self.height = width, height
        random_numbers = np.random.default_rng(seed)
        size = (width + width // _PAN, height + height // _PAN)
        wall = np.full((size[1], size[0], 3), 110, np.float32)
        for pixels, contrast in _DETAILS:
            wall += contrast * _mottled(random_numbers, size, pixels, channels=3)
        self._wall = np.clip(wall, 0, 255).astype(np.uint8)
        relief = _WALL_MM + _RELIEF_MM * _mottled(random_numbers, size, width / 6, channels=1)
        self._relief = relief.astype(np.uint16)
        grain = random_numbers.standard_normal((height + _GRAIN_MARGIN, width + _GRAIN_MARGIN, 3), np.float32)
        self._grain = np.clip(128 + _GRAIN * grain, 0, 255).astype(np.uint8)

    def picture(self, at_s: float) -> Pixels:
        """The scene at a time, in seconds: rows of BGR pixels, 8 bits each."""
        import cv2  # noqa: PLC0415 - as above

        view = self._view(self._wall, at_s)
        for ball in _BALLS:
            centre, radius = self._place(ball, at_s)
            cv2.circle(view, centre, radius, ball.colour, cv2.FILLED, cv2.LINE_AA)
        scale = self.height / 480
        where = (round(16 * scale), round(36 * scale))
        clock = time.strftime("%H:%M:%S", time.gmtime(at_s)) + f".{int(at_s % 1 * 100):02}"
        cv2.putText(view, clock, where, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), round(2 * scale))
        down, right = random.randrange(_GRAIN_MARGIN), random.randrange(_GRAIN_MARGIN)
        grain = self._grain[down : down + self.height, right : right + self.width]
        return cv2.addWeighted(view, 1, grain, 1, -128)

    def depth(self, at_s: float) -> Pixels:
        """How far the scene is at a time: rows of millimetres, 16 bits each; the same view as the picture's."""
        import cv2  # noqa: PLC0415 - as above

        view = self._view(self._relief, at_s)
        for ball in _BALLS:
            centre, radius = self._place(ball, at_s)
            cv2.circle(view, centre, radius, ball.depth_mm, cv2.FILLED)
        return view

    def _view(self, plane: Pixels, at_s: float) -> Pixels:
        right = round(self.width / _PAN * (0.5 + 0.5 * math.sin(0.30 * at_s)))
        down = round(self.height / _PAN * (0.5 + 0.5 * math.sin(0.23 * at_s)))
        return plane[down : down + self.height, right : right + self.width].copy()

    def _place(self, ball: _Ball, at_s: float) -> tuple[tuple[int, int], int]:
        across = self.width * (0.5 + 0.45 * math.sin(ball.pace * at_s))
        down = self.height * (0.5 + 0.30 * math.sin(1.7 * ball.pace * at_s + 1))
        return (round(across), round(down)), round(ball.radius * self.height)


def jpeg(picture: Pixels) -> bytes:
    """The picture as JPEG of quality 85."""
    import cv2  # noqa: PLC0415 - as above

    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return bytes(data)


def raw_depth(depth: Pixels) -> bytes:
    """Depth as ``image/vnd.viam.dep``: "DEPTHMAP", width and height in 8 bytes each, then millimetres; big-endian."""
    height, width = depth.shape
    return b"".join((b"DEPTHMAP", width.to_bytes(8), height.to_bytes(8), depth.astype(">u2").tobytes()))


def point_cloud(picture: Pixels, depth: Pixels) -> bytes:
    """Every other pixel of every other row as a binary PCD: x, y and z in metres, and a colour."""
    import numpy as np  # noqa: PLC0415 - as above

    far, colours = depth[::2, ::2], picture[::2, ::2].astype(np.uint32)
    rows, columns = np.indices(far.shape, np.float32)
    focal_length = _FOCAL_LENGTH * far.shape[1]
    points = np.empty(far.shape, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4")])
    points["z"] = far / np.float32(1000)
    points["x"] = (columns - far.shape[1] / 2) / focal_length * points["z"]
    points["y"] = (rows - far.shape[0] / 2) / focal_length * points["z"]
    points["rgb"] = colours[..., 2] << 16 | colours[..., 1] << 8 | colours[..., 0]
    header = (
        "VERSION .7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F I\nCOUNT 1 1 1 1\n"
        f"WIDTH {points.size}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {points.size}\nDATA binary\n"
    )
    return header.encode() + points.tobytes()


def _mottled(random_numbers: np.random.Generator, size: tuple[int, int], pixels: float, *, channels: int) -> Pixels:
    """Values from -1 to 1, more or less, that change softly from one to the next over so many pixels."""
    import cv2  # noqa: PLC0415 - as above
    import numpy as np  # noqa: PLC0415 - as above

    columns, rows = (max(2, round(length / pixels)) for length in size)
    coarse = random_numbers.random((rows, columns, channels), np.float32) * 2 - 1
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
