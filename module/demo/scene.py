"""A work cell as a camera sees it, in colour and in depth, that compresses like a photograph of one.

The camera stands before a belt that brings parts to a gripper. What stands still is worked out once, with its light,
and what moves is cut out once, so that a picture costs a few copies; a grain as of a sensor, never twice the same,
makes its JPEG as large as a photograph's: 1.5 to 3 bits a pixel.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, TypeAlias

from module.demo import backdrop, sprites
from module.demo.cell import Cell, Moment, Part

if TYPE_CHECKING:
    import numpy.typing as npt

    from module.demo.sprites import Sprite

    Pixels: TypeAlias = npt.NDArray[Any]

JPEG_QUALITY = 85

_GRAIN = 6.2
"""Standard deviation of the noise, of 255."""
_GRAIN_MARGIN = 64
_SHADES, _DIM, _BRIGHT = 5, 0.40, 0.95
"""In how many brightnesses a part is drawn, from the picture's edge to the lamp above the gripper."""
_FOCAL_LENGTH = 0.9
"""In widths of the picture."""
_PART_MM = 1330
_GRIPPER_MM = 1360
_PALM_UP, _PALM_DOWN = 0.19, 0.570
"""The lower end of the gripper's palm, in heights of the picture."""
_LAMP = (0.47, 0.60)
"""The lower end of the lamp's pole: from the gripper's place, and from above."""
_BLINK_S = 0.5


class Scene:
    """A view of a cell in a given size; any thread may ask for any time.

    Making one takes up to two seconds, a picture milliseconds.
    """

    def __init__(self, width: int, height: int, seed: int = 1, cell: Cell | None = None) -> None:
        import numpy as np  # noqa: PLC0415 - only the demo's cameras need it

        self.width, self.height = width, height
        self._cell = cell or Cell()
        random_numbers = np.random.default_rng(seed)
        self._still, light = backdrop.backdrop(random_numbers, width, height)
        self._still_depth = backdrop.backdrop_depth(width, height)
        self._belt = backdrop.belt(random_numbers, width, height)
        rows = slice(round(backdrop.BELT_TOP * height), round(backdrop.BELT_END * height))
        self._belt_rows, self._belt_light = rows, np.repeat((light[rows, :, None] * 160).astype(np.uint8), 3, axis=2)
        line = light[round(backdrop.BASE_LINE * height)]
        self._line_light, self._brightest = line, float(line.max())
        kinds = range(len(sprites.PART_COLOURS))
        self._upright = [self._shaded(sprites.part(height, kind)) for kind in kinds]
        self._lifted = [sprites.part(height, kind, lifted=True).dimmed(_BRIGHT) for kind in kinds]
        self._askew = [sprites.part(height, kind, askew=True).dimmed(_BRIGHT) for kind in kinds]
        self._palm, self._shaft = sprites.palm(height), sprites.shaft(height)
        self._palm_height = round(sprites.PALM_HEIGHT * height) - 1
        self._fingers = sprites.finger(height, left=True), sprites.finger(height, left=False)
        left, top = self._across(_LAMP[0] - 0.2), round((_LAMP[1] - 0.45) * height)
        self._lamp_area = slice(top, round(_LAMP[1] * height)), slice(left, width)
        self._lamp_lit = {lit: self._with_lamp(lit) for lit in ("red", "green", "none")}
        grain = random_numbers.standard_normal((height + _GRAIN_MARGIN, width + _GRAIN_MARGIN, 3), np.float32)
        # It only brightens: that is one sum of bytes, a fifth of the work of one that may go both ways.
        self._grain = np.clip(3 * _GRAIN + _GRAIN * grain, 0, 255).astype(np.uint8)

    def picture(self, at_s: float) -> Pixels:
        """The scene at a time, in seconds since the epoch: rows of BGR pixels, 8 bits each."""
        import cv2  # noqa: PLC0415 - as above

        moment = self._cell.moment(at_s)
        view = self._still.copy()
        period = round(backdrop.PITCH * self.height)
        # Modulo by the pitch: after it the belt's surface repeats itself.
        left = period - 1 - round(moment.belt_m * backdrop.PER_METRE * self.height) % period
        surface = self._belt[:, left : left + self.width]
        view[self._belt_rows] = cv2.multiply(surface, self._belt_light, scale=1 / 160)
        lit = "green" if not moment.jam else "red" if at_s % (2 * _BLINK_S) < _BLINK_S else "none"
        view[self._lamp_area] = self._lamp_lit[lit]
        for part in moment.parts:
            x, y = self._place(part)
            self._sprite(part, x).put(view, x, y)
        self._draw_gripper(view, moment)
        self._draw_clock(view, at_s)
        down, right = random.randrange(_GRAIN_MARGIN), random.randrange(_GRAIN_MARGIN)
        grain = self._grain[down : down + self.height, right : right + self.width]
        return cv2.add(view, grain)

    def depth(self, at_s: float) -> Pixels:
        """How far the scene is at a time: rows of millimetres, 16 bits each; the same view as the picture's."""
        moment = self._cell.moment(at_s)
        view = self._still_depth.copy()
        for part in moment.parts:
            x, y = self._place(part)
            self._sprite(part, x).put_depth(view, x, y, _PART_MM)
        x, y = self._across(0), self._palm_row(moment)
        self._palm.put_depth(view, x, y, _GRIPPER_MM)
        self._shaft.put_depth(view, x, y - self._palm_height, _GRIPPER_MM)
        for sprite, finger_x in zip(self._fingers, self._finger_columns(moment), strict=True):
            sprite.put_depth(view, finger_x, y, _GRIPPER_MM)
        return view

    def _draw_gripper(self, view: Pixels, moment: Moment) -> None:
        y = self._palm_row(moment)
        for sprite, x in zip(self._fingers, self._finger_columns(moment), strict=True):
            sprite.put(view, x, y)
        self._shaft.put(view, self._across(0), y - self._palm_height)
        self._palm.put(view, self._across(0), y)

    def _draw_clock(self, view: Pixels, at_s: float) -> None:
        import cv2  # noqa: PLC0415 - as above

        scale = self.height / 480
        where = (round(16 * scale), round(30 * scale))
        clock = time.strftime("%H:%M:%S", time.gmtime(at_s)) + f".{int(at_s % 1 * 100):02}"
        cv2.putText(view, clock, where, cv2.FONT_HERSHEY_SIMPLEX, 0.7 * scale, (255, 255, 255), round(2 * scale))

    def _sprite(self, part: Part, x: int) -> Sprite:
        kind = part.number % len(self._upright)
        if part.tilt > 0.5:  # noqa: PLR2004 - it falls back into place at once
            return self._askew[kind]
        if part.lift > 0:
            return self._lifted[kind]
        light = float(self._line_light[min(max(x, 0), self.width - 1)])
        return self._upright[kind][round(light / self._brightest * (_SHADES - 1))]

    def _shaded(self, sprite: Sprite) -> list[Sprite]:
        """A part in each brightness, the brightest last."""
        return [sprite.dimmed(_DIM + (_BRIGHT - _DIM) * shade / (_SHADES - 1)) for shade in range(_SHADES)]

    def _with_lamp(self, lit: str) -> Pixels:
        view = self._still.copy()
        sprites.lamp(self.height, lit).put(view, self._across(_LAMP[0]), round(_LAMP[1] * self.height))
        return view[self._lamp_area].copy()

    def _place(self, part: Part) -> tuple[int, int]:
        """Where a part stands."""
        lifted = part.lift * (_PALM_DOWN - _PALM_UP)
        across = self._across(part.offset_m * backdrop.PER_METRE)
        return across, round((backdrop.BASE_LINE - lifted) * self.height)

    def _across(self, from_station: float) -> int:
        return round(backdrop.STATION * self.width + from_station * self.height)

    def _palm_row(self, moment: Moment) -> int:
        return round((_PALM_UP + (_PALM_DOWN - _PALM_UP) * moment.reach) * self.height)

    def _finger_columns(self, moment: Moment) -> tuple[int, int]:
        """Where the inner edges of the fingers are: at a part's sides when they hold it."""
        half = sprites.PART_WIDTH / 2 * moment.opening_mm / sprites.PART_MM
        return self._across(-half), self._across(half)


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
