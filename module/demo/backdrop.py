"""What stands still in the scene: wall, conveyor and floor, their light and their depth; and the belt's surface.

Lengths are in heights of the picture, from its upper edge and from the gripper's place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from module.demo.cell import PITCH_M

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels: TypeAlias = npt.NDArray[Any]

STATION = 0.60
"""The gripper's place in the picture, as a fraction of its width."""
PITCH = 0.54
"""From one part to the next."""
PER_METRE = PITCH / PITCH_M
BELT_TOP, BELT_END = 0.60, 0.81
"""The rows of the belt: its far edge and its near one."""
BASE_LINE = 0.755
"""The row of the belt on which parts stand."""
WALL_MM, FAR_MM, NEAR_MM = 2600, 1750, 1250
"""How far the wall is, the belt's far edge and its near one."""

_FLOOR = 0.93
_STRIP = 64
"""How many rows are lit at a time: no more than the processor's cache holds."""
_WALL = (128, 122, 104)
_PANEL = 0.36
_DETAILS = ((0.21, 7), (0.055, 4), (0.0145, 4))
"""Dirt and paint: from one shade to the next, and how far apart they are, of 255."""
_FINE_PIXELS, _FINE = 1.9, 16
"""The same of the finest, in pixels: a large picture shows more of it."""


def backdrop(random_numbers: np.random.Generator, width: int, height: int) -> tuple[Pixels, Pixels]:
    """The picture without belt, parts and gripper, 8 bits each; and its light, as a factor for each pixel."""
    import numpy as np  # noqa: PLC0415 - only the demo's cameras need it

    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = _WALL
    _draw_wall(picture)
    _draw_conveyor(picture)
    light = _light(width, height)
    dirt = _dirt(random_numbers, width, height, height) - 14
    for top in range(0, height, _STRIP):
        rows = slice(top, top + _STRIP)
        picture[rows] = np.clip((picture[rows] + dirt[rows, :, None]) * light[rows, :, None], 0, 255)
    return picture, light


def backdrop_depth(width: int, height: int) -> Pixels:
    """How far what stands still is: rows of millimetres, 16 bits each."""
    import numpy as np  # noqa: PLC0415 - as above

    far = np.full((height, width), WALL_MM, np.uint16)
    rows = np.arange(height)
    top, end, floor = (round(part * height) for part in (BELT_TOP, BELT_END, _FLOOR))
    # A plane is seen so: one over its depth changes evenly from row to row.
    plane = 1 / np.interp(rows, (top, end), (1 / FAR_MM, 1 / NEAR_MM))
    far[top:end] = plane[top:end, None]
    far[end:floor] = NEAR_MM - 20
    far[floor:] = (1 / np.interp(rows, (floor, height), (1 / 1900, 1 / 1500)))[floor:, None]
    return far


def belt(random_numbers: np.random.Generator, width: int, height: int) -> Pixels:
    """The belt's surface without light, as wide as the picture and one pitch, after which it repeats itself."""
    import cv2  # noqa: PLC0415 - as above
    import numpy as np  # noqa: PLC0415 - as above

    period, rows = round(PITCH * height), round(BELT_END * height) - round(BELT_TOP * height)
    rubber = 52 + 0.8 * _dirt(random_numbers, period, rows, height)
    rubber *= np.linspace(0.82, 1.15, rows, dtype=np.float32)[:, None]
    surface = np.repeat(np.clip(rubber, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    thick = max(1, round(0.006 * height))
    for cleat in range(3):
        across = round((cleat + 0.5) * period / 3)
        cv2.line(surface, (across, 0), (across, rows), (40, 42, 42), 2 * thick, cv2.LINE_AA)
        cv2.line(surface, (across + thick, 0), (across + thick, rows), (112, 116, 112), thick, cv2.LINE_AA)
    repeated: Pixels = np.tile(surface, (1, -(-(width + period) // period), 1))
    return repeated[:, : width + period]


def _draw_wall(picture: Pixels) -> None:
    import cv2  # noqa: PLC0415 - as above

    height, width = picture.shape[:2]

    def box(left: float, top: float, right: float, bottom: float, colour: tuple[int, int, int]) -> None:
        corners = [(round(STATION * width + x * height), round(y * height)) for x, y in ((left, top), (right, bottom))]
        cv2.rectangle(picture, corners[0], corners[1], colour, cv2.FILLED)

    for panel in range(-6, 6):
        box(panel * _PANEL + 0.1, 0, panel * _PANEL + 0.107, BELT_TOP, (92, 88, 76))
        box(panel * _PANEL + 0.107, 0, panel * _PANEL + 0.111, BELT_TOP, (158, 152, 134))
    box(-3, 0.435, 3, 0.44, (150, 146, 130))
    box(-3, 0.44, 3, BELT_TOP, (96, 88, 74))
    # A cabinet with vents and a screen, and a tray of cables above.
    box(-0.90, 0.155, -0.50, 0.53, (70, 66, 60))
    box(-0.89, 0.165, -0.51, 0.52, (168, 164, 154))
    for vent in range(6):
        box(-0.86, 0.37 + 0.02 * vent, -0.70, 0.378 + 0.02 * vent, (104, 100, 94))
    box(-0.86, 0.20, -0.67, 0.33, (48, 42, 38))
    for line, (length, colour) in enumerate(((0.13, (150, 190, 90)), (0.09, (190, 160, 90)), (0.11, (150, 190, 90)))):
        box(-0.845, 0.222 + 0.033 * line, -0.845 + length, 0.237 + 0.033 * line, colour)
    box(-0.60, 0.22, -0.55, 0.27, (60, 60, 190))
    box(-3, 0.075, 3, 0.083, (62, 60, 56))
    box(-3, 0.083, 3, 0.105, (118, 114, 106))
    for hanger in range(-8, 9):
        box(0.22 * hanger, 0, 0.22 * hanger + 0.01, 0.105, (62, 60, 56))
    # The column that the gripper hangs from.
    box(-0.12, 0, 0.12, 0.135, (66, 64, 62))
    box(-0.112, 0, 0.112, 0.125, (136, 132, 124))
    box(-0.03, 0, 0.03, 0.125, (84, 82, 78))


def _draw_conveyor(picture: Pixels) -> None:
    import cv2  # noqa: PLC0415 - as above

    height, width = picture.shape[:2]

    def band(top: float, bottom: float, colour: tuple[int, int, int]) -> None:
        picture[round(top * height) : round(bottom * height)] = colour

    band(BELT_TOP - 0.026, BELT_TOP - 0.018, (214, 210, 202))
    band(BELT_TOP - 0.018, BELT_TOP, (150, 146, 140))
    band(BELT_END, BELT_END + 0.008, (222, 218, 210))
    band(BELT_END + 0.008, BELT_END + 0.045, (164, 160, 152))
    band(BELT_END + 0.045, BELT_END + 0.052, (84, 82, 78))
    band(BELT_END + 0.052, _FLOOR, (52, 50, 48))
    band(_FLOOR, 1, (102, 104, 104))
    stripe, top, bottom = 0.05 * height, round((BELT_END + 0.060) * height), round((BELT_END + 0.095) * height)
    picture[top:bottom] = (40, 186, 226)
    for start in range(-1, round(width / stripe / 2) + 1):
        left = start * 2 * stripe
        corners = (
            (left, bottom),
            (left + stripe, bottom),
            (left + 1.7 * stripe, top - 1),
            (left + 0.7 * stripe, top - 1),
        )
        _fill(picture[:bottom], corners, (38, 38, 38))
    for bolt in range(-10, 10):
        centre = (round(STATION * width + (0.18 * bolt + 0.05) * height), round((BELT_END + 0.027) * height))
        cv2.circle(picture, centre, max(1, round(0.007 * height)), (92, 90, 86), cv2.FILLED, cv2.LINE_AA)


def _fill(picture: Pixels, corners: Any, colour: tuple[int, int, int]) -> None:
    import cv2  # noqa: PLC0415 - as above
    import numpy as np  # noqa: PLC0415 - as above

    cv2.fillPoly(picture, [np.round(corners).astype(np.int32)], colour, cv2.LINE_AA)


def _light(width: int, height: int) -> Pixels:
    """A lamp above the gripper's place, its cone on the wall and the belt, and the dark towards the corners."""
    import cv2  # noqa: PLC0415 - as above
    import numpy as np  # noqa: PLC0415 - as above

    # It changes softly, so that few points of it are enough.
    points = (max(2, width // 8), max(2, height // 8))
    down, across = np.mgrid[0 : points[1], 0 : points[0]].astype(np.float32) / points[1]
    across -= STATION * width / height
    cone = np.exp(-((across / (0.20 + 0.42 * down)) ** 2))
    pool = np.exp(-((across / 0.62) ** 2) - ((down - 0.70) / 0.22) ** 2)
    # What the belt's frame keeps the light from.
    shadow = 1 - 0.35 * np.exp(-(((down - BELT_TOP + 0.05) / 0.06) ** 2)) * (down < BELT_TOP)
    light = ((0.66 + 0.40 * cone + 0.30 * pool) * shadow).astype(np.float32)
    lit: Pixels = cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)
    return lit


def _dirt(random_numbers: np.random.Generator, width: int, rows: int, height: int) -> Pixels:
    """What makes a surface look used, around 0; ``height`` is the whole picture's."""
    import cv2  # noqa: PLC0415 - as above
    import numpy as np  # noqa: PLC0415 - as above

    dirt: Pixels = np.zeros((rows, width), np.float32)
    for pixels, contrast in (*((size * height, contrast) for size, contrast in _DETAILS), (_FINE_PIXELS, _FINE)):
        coarse = (max(2, round(rows / pixels)), max(2, round(width / pixels)))
        shades = random_numbers.random(coarse, np.float32) * 2 - 1
        dirt += contrast * cv2.resize(shades, (width, rows), interpolation=cv2.INTER_CUBIC)
    return dirt
