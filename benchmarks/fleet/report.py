"""The figures of docs/scale.md."""

from __future__ import annotations

import math
from pathlib import Path

from benchmarks.fleet.acts import Outcome, Size
from benchmarks.fleet.plot import svg

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
_COLUMNS = (
    "act",
    "tries a second while away",
    "busiest second after",
    "times the steady",
    "seconds above 5 times",
    "authentications: all, busiest second",
    "connections, busiest second",
    "not served",
    "back after s: median, last",
    "drained after s: median, last",
)


def table(outcome: Outcome) -> str:
    """One row an act, in Markdown."""
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|---|{'---:|' * (len(_COLUMNS) - 1)}"]
    for act in outcome.acts:
        drained = f"{act.drained[0]:.1f}, {act.drained[1]:.1f}" + (f" ({act.left} not)" if act.left else "")
        cells = (
            act.name,
            "-" if math.isnan(act.away) else f"{act.away:.0f}",
            f"{act.peak:.0f}",
            f"{act.peak / act.steady:.1f}",
            f"{act.above_s}",
            f"{act.authentications}, {act.authentications_peak:.0f}",
            f"{act.connections_peak:.0f}",
            f"{act.refused}",
            f"{act.back[0]:.1f}, {act.back[1]:.1f}",
            drained,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def section(outcome: Outcome, size: Size, command: str) -> str:
    """The part of docs/scale.md that is made of figures."""
    machines = outcome.books.machines
    captured, delivered = (sum(machine[key] for machine in machines) for key in ("captured", "delivered"))
    waiting = sum(machine["waiting"] for machine in machines)
    return f"""{BEGIN}
`{command}` wrote this: {size.machines} uploaders in {size.processes} processes, outages of {size.outage_s:g} s, and
{outcome.acts[0].steady:.0f} uploads a second while all is well. {captured:,} captures, {delivered:,} delivered,
{waiting:,} waiting at the end.

{table(outcome)}

![Uploads, tries and authentications a second, act by act](scale.svg)
{END}
"""


def write(page: Path, outcome: Outcome, size: Size, command: str) -> None:
    """Put the figures between the marks of the page, and the picture beside it."""
    before, rest = page.read_text().split(BEGIN, 1)
    _, after = rest.split(f"{END}\n", 1)
    page.write_text(before + section(outcome, size, command) + after)
    page.with_name("scale.svg").write_text(svg(outcome.curves, outcome.acts[0].steady))
