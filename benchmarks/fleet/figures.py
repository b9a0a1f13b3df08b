"""What moments say: rates, peaks and delays; pure."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass


def rates(moments: Sequence[float], begin: float, end: float, width_s: float = 1.0) -> list[float]:
    """Events a second in each bucket of ``width_s`` from ``begin`` on, as many as fit; ``moments`` are sorted."""
    edges = [begin + index * width_s for index in range(math.floor((end - begin) / width_s + 1e-9) + 1)]
    places = [bisect.bisect_left(moments, edge) for edge in edges]
    return [(after - before) / width_s for before, after in itertools.pairwise(places)]


def peak(moments: Sequence[float], begin: float, end: float, width_s: float = 1.0) -> float:
    """The most events a second in any window of ``width_s`` that begins in [begin, end); ``moments`` are sorted."""
    first, beyond = bisect.bisect_left(moments, begin), bisect.bisect_left(moments, end)
    most = 0
    for index in range(first, beyond):
        most = max(most, bisect.bisect_left(moments, moments[index] + width_s) - index)
    return most / width_s


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which so large a share lies; nan of none."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, math.floor(share * len(ranked)))] if ranked else math.nan


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happens to the whole fleet, and its figures. Rates are events a second of the whole fleet."""

    name: str
    outage_s: float
    """0: the cloud was there all the time."""
    machines: int
    steady: float
    """Requests, before the first act."""
    away: float
    """Tries while the cloud was away, after its first 5 s."""
    peak: float
    """Requests in the busiest second from the cloud's return on."""
    peak_tenth: float
    """Of the same, in the busiest tenth of a second."""
    above_s: int
    """Seconds in which there were more than 5 times the steady requests."""
    connections_peak: float
    authentications_peak: float
    authentications: int
    refused: int
    """Calls from the cloud's return on that it did not serve."""
    back: tuple[float, float]
    """Seconds from the return to the first delivery of a machine: median, last."""
    drained: tuple[float, float]
    """Seconds from the return until all was delivered that a machine held then: median, last."""
    left: int
    """Machines that had not drained at the act's end."""


def act(
    name: str,
    span: tuple[float, float, float],
    *,
    steady: float,
    times: dict[str, list[float]],
    attempts: Sequence[float],
    back: Sequence[float],
    drained: Sequence[float],
) -> Act:
    """The figures of an act whose outage began, ended, and whose end was at the three moments of ``span``.

    ``back`` and ``drained`` hold a moment a machine, 0 where it never came.
    """
    away, home, end = span
    calm = min(home, away + 5.0)
    tries = bisect.bisect_left(attempts, home) - bisect.bisect_left(attempts, calm)
    # Who has nothing to drain says so right before the return.
    done = [max(0.0, moment - home) for moment in drained if 0 < moment <= end]
    came = [moment - home for moment in back if home <= moment <= end]

    def count(kind: str) -> int:
        return bisect.bisect_left(times[kind], end) - bisect.bisect_left(times[kind], home)

    return Act(
        name=name,
        outage_s=round(home - away),
        machines=len(drained),
        steady=steady,
        away=tries / (home - calm) if home - calm > 1 else math.nan,
        peak=peak(times["requests"], home, end),
        peak_tenth=peak(times["requests"], home, end, 0.1),
        above_s=sum(1 for rate in rates(times["requests"], home, end) if rate > 5 * steady),
        connections_peak=peak(times["connections"], home, end),
        authentications_peak=peak(times["authentications"], home, end),
        authentications=count("authentications"),
        refused=count("refused"),
        back=(quantile(came, 0.5), max(came, default=math.nan)),
        drained=(quantile(done, 0.5), max(done, default=math.nan)),
        left=len(drained) - len(done),
    )
