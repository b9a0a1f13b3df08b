"""The acts as a picture: a panel each, events a second over the seconds around the cloud's return; pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from benchmarks.fleet.acts import Curve

_WIDTH, _LEFT, _RIGHT, _PANEL, _HEAD, _FOOT = 900, 60, 20, 130, 44, 26
_TRIES, _REQUESTS, _AUTHENTICATIONS, _GRID, _INK = "#9aa4b2", "#1f6feb", "#d1242f", "#d8dee4", "#24292f"
_LEGEND = (
    (_TRIES, "tried by the machines"),
    (_REQUESTS, "uploads seen by the cloud"),
    (_AUTHENTICATIONS, "authentications"),
)


def svg(curves: Sequence[Curve], steady: float) -> str:
    """The picture, as SVG 1.1; panels share both scales, and ``steady`` is a dashed line."""
    first = min(curve.first_s for curve in curves)
    last = max(curve.first_s + len(curve.requests) for curve in curves)
    most = max(max(*curve.tries, *curve.requests, *curve.authentications) for curve in curves) or 1.0
    body: list[str] = []
    x = float(_LEFT)
    for colour, text in _LEGEND:
        body += [
            f'<rect x="{x}" y="12" width="14" height="4" fill="{colour}"/>',
            f'<text x="{x + 20}" y="19">{text}, a second</text>',
        ]
        x += 250
    top = 30
    for curve in curves:
        body += _panel(curve, top + _HEAD, (first, last), steady, most)
        top += _HEAD + _PANEL + _FOOT
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top + 10}" '
                f'viewBox="0 0 {_WIDTH} {top + 10}" font-family="sans-serif" font-size="12" fill="{_INK}">'
            ),
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *body,
            "</svg>",
            "",
        ]
    )


def _panel(curve: Curve, top: int, span: tuple[int, int], steady: float, most: float) -> list[str]:
    first, last = span

    def x(second: float) -> float:
        return _LEFT + (second - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    def y(rate: float) -> float:
        return top + _PANEL * (1 - rate / most)

    bottom = top + _PANEL
    lines = [
        f'<text x="{_LEFT}" y="{top - 10}" font-weight="bold">{escape(curve.name)}</text>',
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{bottom}" y2="{bottom}" stroke="{_INK}"/>',
        f'<text x="{_LEFT - 6}" y="{top + 4}" text-anchor="end">{most:,.0f}</text>',
        f'<text x="{_LEFT - 6}" y="{bottom + 4}" text-anchor="end">0</text>',
        f'<line x1="{x(0):.1f}" x2="{x(0):.1f}" y1="{top}" y2="{bottom}" stroke="{_INK}" stroke-dasharray="2 3"/>',
        (
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(steady):.1f}" y2="{y(steady):.1f}" '
            f'stroke="{_GRID}" stroke-width="2" stroke-dasharray="6 4"/>'
        ),
    ]
    lines += [
        f'<text x="{x(second):.1f}" y="{bottom + 16}" text-anchor="middle">{second} s</text>'
        for second in range(-(-first // 10) * 10, last + 1, 10)
    ]
    for colour, values in (
        (_TRIES, curve.tries),
        (_REQUESTS, curve.requests),
        (_AUTHENTICATIONS, curve.authentications),
    ):
        points = " ".join(f"{x(curve.first_s + n + 0.5):.1f},{y(rate):.1f}" for n, rate in enumerate(values))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return lines
