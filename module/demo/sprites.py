"""What moves in the scene, cut out: parts, their shadow, the gripper and its fingers, the lamp's lights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, TypeAlias

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels: TypeAlias = npt.NDArray[Any]
    Colour: TypeAlias = tuple[float, float, float]

PART_COLOURS: tuple[Colour, ...] = ((44, 112, 226), (188, 124, 44), (96, 160, 62))
"""Blue, green, red, of 255: by these the kinds of parts are distinguished."""
PART_WIDTH = 0.20
"""In heights of the picture, as the other lengths."""
PART_MM = 52.0
"""The same in millimetres."""
PART_FRONT, PART_TOP = 0.115, 0.050
"""How high the front of a part is, and above it what is seen of its top."""
PALM_WIDTH, PALM_HEIGHT, FINGER_HEIGHT = 0.40, 0.105, 0.145
_SHAFT_HEIGHT = 0.62
_SOFTER = 8
_FINER, _FINE_HEIGHT = 3, 800
"""Drawn so many times larger first, in pictures of at most that height: that makes edges smooth."""


@dataclass(frozen=True, slots=True)
class Sprite:
    """A picture and how much of it covers what is behind it."""

    picture: Pixels
    cover: Pixels
    """From 0 to 1."""
    rest: Pixels
    """1 - cover."""
    anchor: tuple[int, int]
    """The pixel of it, from its left and its upper edge, that is put to a place."""
    solid: bool
    """It covers all of its rectangle."""

    def dimmed(self, brightness: float) -> Self:
        """The same in another light."""
        import cv2  # noqa: PLC0415 - only the demo's cameras need it

        return replace(self, picture=cv2.convertScaleAbs(self.picture, alpha=brightness))

    def put(self, view: Pixels, x: int, y: int) -> None:
        """Draw it into a picture; what lies outside is left out."""
        import cv2  # noqa: PLC0415 - as above

        if (cut := self._cut(view, x, y)) is None:
            return
        there, own = cut
        if self.solid:
            view[there] = self.picture[own]
        else:
            view[there] = cv2.blendLinear(view[there], self.picture[own], self.rest[own], self.cover[own])

    def put_depth(self, view: Pixels, x: int, y: int, depth_mm: int) -> None:
        """Set what it covers to that depth."""
        if (cut := self._cut(view, x, y)) is not None:
            there, own = cut
            view[there][self.cover[own] > 0.5] = depth_mm  # noqa: PLR2004

    def _cut(self, view: Pixels, x: int, y: int) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
        left, top = x - self.anchor[0], y - self.anchor[1]
        height, width = self.cover.shape
        right, bottom = min(view.shape[1], left + width), min(view.shape[0], top + height)
        if right <= max(0, left) or bottom <= max(0, top):
            return None
        there = (slice(max(0, top), bottom), slice(max(0, left), right))
        return there, (slice(max(0, -top), bottom - top), slice(max(0, -left), right - left))


class _Canvas:
    """Draws at several times the size, in lengths of heights of the picture."""

    def __init__(self, width: float, height: float, scale: int) -> None:
        import numpy as np  # noqa: PLC0415 - as above

        self.finer = _FINER if scale <= _FINE_HEIGHT else 1
        self.scale = scale * self.finer
        size = (round(height * self.scale), round(width * self.scale))
        self.picture: Pixels = np.zeros((*size, 3), np.uint8)
        self.cover: Pixels = np.zeros(size, np.uint8)

    def polygon(self, corners: list[tuple[float, float]], colour: Colour, opacity: float = 1.0) -> None:
        import cv2  # noqa: PLC0415 - as above
        import numpy as np  # noqa: PLC0415 - as above

        points = [np.round(np.array(corners) * self.scale).astype(np.int32)]
        cv2.fillPoly(self.picture, points, colour)
        cv2.fillPoly(self.cover, points, (255 * opacity,))

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def ellipse(self, centre: tuple[float, float], radii: tuple[float, float], colour: Colour) -> None:
        import cv2  # noqa: PLC0415 - as above

        where, size = ((round(x * self.scale), round(y * self.scale)) for x, y in (centre, radii))
        cv2.ellipse(self.picture, where, size, 0, 0, 360, colour, cv2.FILLED)
        cv2.ellipse(self.cover, where, size, 0, 0, 360, (255,), cv2.FILLED)

    def shade(self, top: float, bottom: float, from_: float, to: float) -> None:
        """Make rows darker or lighter, evenly from one factor to the other."""
        import numpy as np  # noqa: PLC0415 - as above

        rows = slice(round(top * self.scale), round(bottom * self.scale))
        factors = np.linspace(from_, to, self.picture[rows].shape[0])[:, None, None]
        self.picture[rows] = np.clip(self.picture[rows] * factors, 0, 255).astype(np.uint8)

    def glow(self, blur: float, opacity: float) -> None:
        """Soften what has been drawn so far, and let it cover so much at most."""
        import cv2  # noqa: PLC0415 - as above

        # What is soft has nothing fine in it: an eighth of the pixels is enough.
        small = cv2.resize(self.cover, None, fx=1 / _SOFTER, fy=1 / _SOFTER, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), blur * self.scale / _SOFTER)
        softened = cv2.resize(small, self.cover.shape[::-1], interpolation=cv2.INTER_LINEAR)
        self.picture[:] = self.picture[self.cover > 0][0] if self.cover.any() else 0
        self.cover = cv2.convertScaleAbs(softened, alpha=opacity)

    def sprite(self, anchor: tuple[float, float], *, turn: float = 0.0) -> Sprite:
        """Cut it out, in the picture's own size; ``turn`` in degrees about its anchor."""
        import cv2  # noqa: PLC0415 - as above
        import numpy as np  # noqa: PLC0415 - as above

        picture, cover = self.picture, self.cover
        if turn:
            about = (anchor[0] * self.scale, anchor[1] * self.scale)
            matrix = cv2.getRotationMatrix2D(about, turn, 1)
            picture, cover = (cv2.warpAffine(one, matrix, one.shape[1::-1]) for one in (picture, cover))
        size = (max(1, cover.shape[1] // self.finer), max(1, cover.shape[0] // self.finer))
        # Colours at the edge are mixed from what is covered only.
        weight = cv2.resize(cover.astype(np.float32) / 255, size, interpolation=cv2.INTER_AREA)
        weighted = picture.astype(np.float32) * (cover.astype(np.float32) / 255)[..., None]
        mixed = cv2.resize(weighted, size, interpolation=cv2.INTER_AREA) / np.maximum(weight, 1e-3)[..., None]
        scale = self.scale / self.finer
        rows, columns = (_bounds(weight.max(axis=axis)) for axis in (1, 0))
        where = (round(anchor[0] * scale) - columns.start, round(anchor[1] * scale) - rows.start)
        colours, weight = np.clip(mixed, 0, 255).astype(np.uint8)[rows, columns], weight[rows, columns]
        return Sprite(colours.copy(), weight.copy(), 1 - weight, where, bool(weight.min() > 0.99))  # noqa: PLR2004


def _bounds(cover: Pixels) -> slice:
    """From the first that covers something to the last."""
    there = cover.nonzero()[0]
    return slice(int(there[0]), int(there[-1]) + 1)


def part(height: int, kind: int, *, askew: bool = False, lifted: bool = False) -> Sprite:
    """A part of one kind, put by the middle of its lower edge; with its shadow, unless it is ``lifted``."""
    colour, dark = PART_COLOURS[kind], (44.0, 42.0, 40.0)
    margin, top = 0.05, 0.05
    canvas = _Canvas(PART_WIDTH + 2 * margin, PART_FRONT + PART_TOP + 2 * margin, height)
    left, right = margin, margin + PART_WIDTH
    edge, bottom = top + PART_TOP, top + PART_TOP + PART_FRONT
    if not lifted:
        ground = [
            (left, bottom - 0.03),
            (right, bottom - 0.03),
            (right + 0.02, bottom + 0.006),
            (left - 0.02, bottom + 0.006),
        ]
        canvas.polygon(ground, (14, 14, 14))
        canvas.glow(0.011, 0.72)
    canvas.polygon([(left + 0.012, top), (right - 0.012, top), (right, edge), (left, edge)], _scaled(colour, 1.22))
    canvas.shade(top, edge, 0.86, 1.06)
    canvas.box(left, edge, right, bottom, _scaled(colour, 0.86))
    canvas.shade(edge, bottom, 1.02, 0.66)
    canvas.box(left, edge, right, edge + 0.005, _scaled(colour, 1.5))
    canvas.box(left, bottom - 0.008, right, bottom, _scaled(colour, 0.40))
    middle = (left + right) / 2
    canvas.ellipse((middle, (top + edge) / 2), (0.052, 0.017), (206, 204, 200))
    canvas.ellipse((middle, (top + edge) / 2 + 0.002), (0.034, 0.0105), dark)
    # A label on its front, with what looks like print.
    canvas.box(middle - 0.050, edge + 0.028, middle + 0.050, edge + 0.086, (226, 228, 230))
    for line, length in enumerate((0.078, 0.056, 0.066)):
        canvas.box(
            middle - 0.040, edge + 0.037 + 0.016 * line, middle - 0.040 + length, edge + 0.044 + 0.016 * line, dark
        )
    for bolt in (left + 0.018, right - 0.018):
        canvas.ellipse((bolt, edge + 0.022), (0.008, 0.008), (190, 190, 188))
        canvas.ellipse((bolt, edge + 0.094), (0.008, 0.008), (150, 150, 148))
    return canvas.sprite((middle, bottom), turn=11 if askew else 0)


def shaft(height: int) -> Sprite:
    """What the gripper hangs from; put by the middle of its lower edge."""
    canvas = _Canvas(0.06, _SHAFT_HEIGHT, height)
    canvas.box(0, 0, 0.060, _SHAFT_HEIGHT, (148, 146, 142))
    canvas.box(0, 0, 0.012, _SHAFT_HEIGHT, (92, 90, 88))
    canvas.box(0.024, 0, 0.038, _SHAFT_HEIGHT, (222, 222, 220))
    canvas.box(0.052, 0, 0.060, _SHAFT_HEIGHT, (80, 78, 76))
    return canvas.sprite((0.03, _SHAFT_HEIGHT))


def palm(height: int) -> Sprite:
    """The gripper without shaft and fingers; put by the middle of its lower edge."""
    width, top, bottom = PALM_WIDTH, 0.040, PALM_HEIGHT
    canvas = _Canvas(width, bottom, height)
    middle = width / 2
    canvas.box(middle - 0.055, 0, middle + 0.055, top, (176, 118, 40))
    canvas.shade(0, top, 1.2, 0.75)
    canvas.box(0, top, width, bottom, (108, 106, 104))
    canvas.shade(top, bottom, 1.35, 0.7)
    canvas.box(0, top, width, top + 0.005, (196, 196, 194))
    canvas.box(0, bottom - 0.012, width, bottom, (58, 57, 56))
    canvas.box(middle - 0.042, top + 0.018, middle + 0.042, top + 0.038, (60, 190, 226))
    return canvas.sprite((middle, bottom))


def finger(height: int, *, left: bool) -> Sprite:
    """One of its fingers; put by the inner end of its upper edge."""
    canvas = _Canvas(0.05, FINGER_HEIGHT, height)
    inner, outer, out = (0.042, 0.010, -1) if left else (0.008, 0.040, 1)
    canvas.polygon(
        [(inner, 0), (outer, 0), (outer, 0.085), (inner + 0.010 * out, FINGER_HEIGHT), (inner, FINGER_HEIGHT)],
        (186, 184, 180),
    )
    canvas.shade(0, FINGER_HEIGHT, 1.15, 0.8)
    canvas.polygon(
        [(inner, 0.07), (inner + 0.008 * out, 0.07), (inner + 0.008 * out, FINGER_HEIGHT), (inner, FINGER_HEIGHT)],
        (52, 52, 54),
    )
    return canvas.sprite((inner, 0))


def lamp(height: int, lit: str) -> Sprite:
    """The lamp that says how the cell is: ``red``, ``green`` or ``none`` of its lights lit; put by its lower end."""
    top, step = 0.13, 0.052
    canvas = _Canvas(0.30, 0.40, height)
    middle = 0.15
    colours = {"red": (60, 56, 236), "amber": (60, 170, 240), "green": (96, 214, 84)}
    rows = {name: top + row * step for row, name in enumerate(colours)}
    if lit in rows:
        canvas.ellipse((middle, rows[lit] + step / 2), (0.062, 0.062), colours[lit])
        canvas.glow(0.024, 0.55)
    canvas.box(middle - 0.008, top + 3 * step, middle + 0.008, 0.39, (150, 148, 144))
    canvas.box(middle - 0.028, top - 0.012, middle + 0.028, top, (60, 58, 56))
    for name, colour in colours.items():
        row = rows[name]
        strength = 1.0 if name == lit else 0.34
        canvas.box(middle - 0.025, row, middle + 0.025, row + step - 0.004, _scaled(colour, strength))
        if name == lit:
            canvas.box(middle - 0.012, row, middle + 0.004, row + step - 0.004, _scaled(colour, 1.7))
    canvas.box(middle - 0.032, top + 3 * step - 0.004, middle + 0.032, top + 3 * step + 0.012, (60, 58, 56))
    return canvas.sprite((middle, 0.39))


def _scaled(colour: Colour, factor: float) -> Colour:
    blue, green, red = (min(255.0, factor * value) for value in colour)
    return blue, green, red
