"""The answers of a machine's sensors and cameras → the config of an uploader within a budget of bytes; pure.

Periods come from a list. Every source starts with the first one, a poll a second, or with the first that is at least
twice as long as its answer took. While a day's bytes exceed the budget, the source with the most bytes gets the next
longer period.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from module.attributes.api_methods import GETS_IMAGES

LADDER_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
"""Periods that a person would choose, in seconds."""
HEALTH_S = 60
DAY_S = 86_400
_HEALTH_BYTES = 600
_SLACK = 2.0
"""A period is at least this many times as long as an answer took."""
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of one resource that was asked once."""

    name: str
    api: str
    method: str = ""
    answers: int = 0
    size: int = 0
    """Bytes of all answers of one poll, as they would be sent."""
    took_s: float = 0.0
    gives: str = ""
    """The answer in words, e.g. "640x480 image/jpeg"."""
    image_format: str | None = None
    """The format for images that would be too large unchanged; None: they stay unchanged."""
    problem: str | None = None
    """Why it returned nothing; then it is not polled."""

    def plain(self) -> dict[str, Any]:
        """Return it as a JSON object, for the ``report`` command."""
        known = {"name": self.name, "api": self.api, "method": self.method}
        if self.problem is not None:
            return {**known, "problem": self.problem}
        took_ms = round(self.took_s * 1000, 1)
        return {**known, "gives": self.gives, "answers": self.answers, "bytes": self.size, "took_ms": took_ms}


@dataclass(frozen=True, slots=True)
class Proposal:
    """An uploader's attributes, and the bytes of a day with them."""

    attributes: dict[str, Any]
    bytes_per_day: int
    periods_s: dict[tuple[str, str], int]
    """The period of each polled resource, by API and name."""


def propose(
    findings: Sequence[Finding], *, names: Iterable[str], health: str, daily_budget_bytes: int, cloud_is_known: bool
) -> Proposal:
    """Return the attributes of an uploader that polls all resources that answered.

    The others are in it too, disabled, with the reason in their comment. ``names`` are those of all resources of the
    machine, one of each. ``health`` is the name of the health sensor, which is captured too. Without a cloud (no part
    id or API key) uploads are disabled: captures stay on the disk.
    """
    working = [each for each in findings if each.problem is None]
    periods_s = _periods_s(working, daily_budget_bytes - _HEALTH_BYTES * DAY_S // HEALTH_S)
    counts = Counter(names)
    sources = []
    for each, source_id in zip(findings, _ids(findings, health), strict=True):
        period_s = periods_s.get((each.api, each.name))
        sources.append(_source(each, period_s, source_id, is_twin=counts[each.name] > 1))
    sources.append({"name": health, "interval_s": HEALTH_S, "comment": "the health of this uploader, as readings"})
    total = _HEALTH_BYTES * DAY_S // HEALTH_S
    total += sum(each.size * DAY_S // periods_s[each.api, each.name] for each in working)
    broken = len(findings) - len(working)
    comment = f"about {amount(total)} a day, with a budget of {amount(daily_budget_bytes)}"
    if total > daily_budget_bytes:
        comment += ", which one poll a day of each would exceed"
    if broken:
        comment += f"; disabled, because they returned nothing: {broken} of {len(findings)}"
    attributes: dict[str, Any] = {"comment": comment, "sources": sources}
    if not cloud_is_known:
        attributes["upload"] = {"disabled": True}
        attributes["comment"] += "; uploads are disabled until cloud has part_id, api_key_id and api_key"
    return Proposal(attributes, total, periods_s)


def _periods_s(working: Sequence[Finding], budget_bytes: int) -> dict[tuple[str, str], int]:
    rungs = {}
    for each in working:
        slow = [rung for rung, period_s in enumerate(LADDER_S) if period_s >= _SLACK * each.took_s]
        rungs[each] = slow[0] if slow else len(LADDER_S) - 1

    def daily(each: Finding) -> float:
        return each.size * DAY_S / LADDER_S[rungs[each]]

    while sum(map(daily, working)) > budget_bytes:
        movable = [each for each in working if rungs[each] < len(LADDER_S) - 1]
        if not movable:
            break
        rungs[max(movable, key=daily)] += 1
    return {(each.api, each.name): LADDER_S[rungs[each]] for each in working}


def _ids(findings: Sequence[Finding], health: str) -> list[str]:
    """Return an id for each source: its name, or for those of one name a longer one that no other source has."""
    counts = Counter(each.name for each in findings)
    taken = {health, *(name for name, count in counts.items() if count == 1)}
    ids = []
    for each in findings:
        found = each.name
        if counts[each.name] > 1:
            base = f"{each.name}-{each.api.rpartition(':')[2]}"
            numbered = (f"{base}-{number}" for number in itertools.count(2))
            found = next(new for new in itertools.chain([base], numbered) if new not in taken)
            taken.add(found)
        ids.append(found)
    return ids


def _source(finding: Finding, period_s: int | None, source_id: str, *, is_twin: bool) -> dict[str, Any]:
    source: dict[str, Any] = {"name": finding.name}
    if is_twin:
        # Two resources have this name: the config must say which is meant.
        source["api"] = finding.api
    if source_id != finding.name:
        source["id"] = source_id
    if period_s is None:
        return source | {"disabled": True, "comment": finding.problem}
    if finding.method != "Readings":
        source["method"] = finding.method
    source["interval_s"] = period_s
    if finding.image_format is not None and finding.method == GETS_IMAGES:
        source["image"] = {"format": finding.image_format}
    daily = finding.size * DAY_S // period_s
    took = f"in {finding.took_s * 1000:.0f} ms"
    return source | {"comment": f"{finding.gives}, {amount(finding.size)} a poll {took}; {amount(daily)} a day"}


def amount(size: float) -> str:
    """Return bytes in words, with the decimal unit that needs at most three digits before the point."""
    unit = 0
    while size >= 999.5 and unit < len(_UNITS) - 1:  # noqa: PLR2004 - what would be shown as 1000
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 or size >= 99.5 else f"{size:.1f} {_UNITS[unit]}"  # noqa: PLR2004
