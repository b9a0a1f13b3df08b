"""The figures as a page of Markdown; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.explanations import Explanation
from benchmarks.figures import Results, Series, Spread
from benchmarks.plot import file_name
from benchmarks.promises import Promise


@dataclass(frozen=True, slots=True)
class Taken:
    """How a case was run."""

    when: str
    """ISO 8601, UTC."""
    scale: str
    load: float
    """The machine's load average over a minute, just before."""


def page(
    results: Results,
    promises: Sequence[Promise],
    explanations: Mapping[str, Explanation],
    taken: Mapping[str, Taken],
    machine: Mapping[str, str],
) -> str:
    """The whole page."""
    parts = [
        "# What it costs",
        (
            "Made by `benchmarks/run.sh`. It runs ours and the others in turn, round by round, each in its own process "
            "on one machine. Compare ratios: they are computed for each round, and this page shows the median."
        ),
        "\n".join(f"- {name}: {value}" for name, value in machine.items()),
        "## Promises",
        _promises(results, promises),
    ]
    for case in results.cases():
        note = taken[case]
        explanation = explanations.get(case, Explanation("", ""))
        parts += [
            f"## {case[0].upper()}{case[1:]}",
            explanation.how,
            f"Taken {note.when}, {note.scale}; load average before: {note.load:.2f}.",
            f"![{case}](plots/{file_name(case)})",
            _series(results, case, explanation.reference),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _promises(results: Results, promises: Sequence[Promise]) -> str:
    lines = ["| what | asked | median | min to max | |", "|---|---|---|---|---|"]
    for promise in promises:
        values = promise.measured(results)
        if not values:
            lines.append(f"| {promise.what} | {promise.asked} | | | not measured |")
            continue
        spread = Spread.of(values)
        verdict = "met" if promise.kept(spread) else "**not met**"
        lines.append(f"| {promise.what} | {promise.asked} | {number(spread.median)} | {_range(spread)} | {verdict} |")
    return "\n".join(lines)


def _series(results: Results, case: str, reference: str) -> str:
    lines = ["| figure | of | median | min to max | ÷ reference |", "|---|---|---|---|---|"]
    for figure in dict.fromkeys(series.figure for series in results.of(case)):
        of_figure = [series for series in results.of(case) if series.figure == figure]
        beside = reference if results.values(case, reference, figure) else of_figure[0].subject
        lines += [_line(results, series, beside) for series in of_figure]
    return "\n".join(lines)


def _line(results: Results, series: Series, reference: str) -> str:
    spread = Spread.of(series.values)
    ratios = results.ratios(series.case, series.figure, series.subject, reference)
    ratio = number(Spread.of(ratios).median) if ratios else ""
    if series.subject == reference:
        ratio = "reference"
    unit = f", {series.unit}" if series.unit else ""
    return f"| {series.figure}{unit} | {series.subject} | {number(spread.median)} | {_range(spread)} | {ratio} |"


def _range(spread: Spread) -> str:
    return f"{number(spread.low)} to {number(spread.high)}"


def number(value: float) -> str:
    """Three digits that count, thousands apart: 1,234 · 12.3 · 0.0123."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"
