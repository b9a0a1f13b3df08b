"""The figures that a run gathers, and what is computed from them; pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Spread:
    """Several rounds of one figure."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Series:
    """One figure of one subject, a value a round."""

    case: str
    subject: str
    figure: str
    unit: str
    values: list[float] = field(default_factory=list)


class Results:
    """All series of a run, in the order in which they were begun."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, str], Series] = {}

    def add(self, case: str, subject: str, figure: str, unit: str, value: float) -> None:
        """Add a round's value."""
        key = (case, subject, figure)
        if key not in self._series:
            self._series[key] = Series(case, subject, figure, unit)
        self._series[key].values.append(value)

    def cases(self) -> list[str]:
        """The cases that have figures."""
        return list(dict.fromkeys(case for case, _, _ in self._series))

    def of(self, case: str) -> list[Series]:
        """The series of a case."""
        return [series for series in self._series.values() if series.case == case]

    def values(self, case: str, subject: str, figure: str) -> list[float]:
        """The rounds of a figure; empty where it was not measured."""
        series = self._series.get((case, subject, figure))
        return [] if series is None else series.values

    def ratios(self, case: str, figure: str, subject: str, peer: str) -> list[float]:
        """Subject ÷ peer, round by round: what the machine did meanwhile slowed both."""
        pairs = zip(self.values(case, subject, figure), self.values(case, peer, figure), strict=False)
        return [ours / theirs for ours, theirs in pairs if theirs]

    def as_json(self) -> list[dict[str, Any]]:
        """All of it as plain values."""
        return [asdict(series) for series in self._series.values()]

    def take(self, plain: Sequence[dict[str, Any]]) -> None:
        """Take over what ``as_json`` returned, except the cases that are here already."""
        here = set(self.cases())
        for each in plain:
            if each["case"] not in here:
                self._series[each["case"], each["subject"], each["figure"]] = Series(**each)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of at least one value lies: the nearest rank, no interpolation."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
