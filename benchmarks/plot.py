"""A case as a picture: a panel of bars for each figure, the median with a line from the least to the most; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from benchmarks.figures import Series, Spread

_WIDTH, _LEFT, _RIGHT = 900, 300, 120
_BAR, _GAP, _HEAD = 18, 6, 34
_OURS, _OTHER, _LINE, _INK = "#1f6feb", "#9aa4b2", "#24292f", "#24292f"


def file_name(case: str) -> str:
    """Where the picture of a case stands, e.g. ``growth-round-trip-frames.svg``."""
    return re.sub(r"[^a-z0-9]+", "-", case.lower()).strip("-") + ".svg"


def svg(case: str, series: Sequence[Series]) -> str:
    """The picture of at least one series, as SVG 1.1; bars of one panel share a scale that begins at zero."""
    figures = list(dict.fromkeys(each.figure for each in series))
    body: list[str] = []
    top = 40
    for figure in figures:
        panel = [each for each in series if each.figure == figure]
        body += _panel(panel, top)
        top += _HEAD + len(panel) * (_BAR + _GAP)
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top + 10}" '
                f'viewBox="0 0 {_WIDTH} {top + 10}" font-family="sans-serif" font-size="12" fill="{_INK}">'
            ),
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            f'<text x="12" y="24" font-size="16" font-weight="bold">{escape(case)}</text>',
            *body,
            "</svg>",
            "",
        ]
    )


def _panel(panel: Sequence[Series], top: int) -> list[str]:
    unit = f" ({panel[0].unit})" if panel[0].unit else ""
    lines = [f'<text x="12" y="{top + 20}" font-weight="bold">{escape(panel[0].figure + unit)}</text>']
    spreads = [Spread.of(each.values) for each in panel]
    most = max(spread.high for spread in spreads) or 1.0
    for index, (each, spread) in enumerate(zip(panel, spreads, strict=True)):
        y = top + _HEAD + index * (_BAR + _GAP) - _GAP
        middle = y + _BAR / 2
        colour = _OTHER if not each.subject.startswith("ours") and "growth" not in each.case else _OURS
        low, median, high = (_x(value, most) for value in (spread.low, spread.median, spread.high))
        lines += [
            f'<text x="{_LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(each.subject)}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{max(0.5, median - _LEFT):.1f}" height="{_BAR}" fill="{colour}"/>',
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" stroke="{_LINE}" stroke-width="2"/>',
            f'<text x="{high + 8:.1f}" y="{middle + 4}">{spread.median:,.4g}</text>',
        ]
    return lines


def _x(value: float, most: float) -> float:
    return _LEFT + max(0.0, value) / most * (_WIDTH - _LEFT - _RIGHT)
