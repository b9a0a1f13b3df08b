"""What became of each part of a data manager's config: the lines of the report."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Kind(enum.StrEnum):
    """How a part of the data manager's config carries over; the value is the report's heading."""

    LOST = "cannot be mapped"
    """The machine did this before, and does it no more."""

    DIFFERS = "mapped, but not the same"
    """It is done in another way, which may matter."""

    MAPPED = "mapped"
    """It is done as before."""

    UNNEEDED = "not needed"
    """There is nothing left to set."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    kind: Kind
    path: str
    """Where it stands in the config that was given."""
    text: str


def report(findings: Iterable[Finding]) -> str:
    """Return the findings under their headings, what is lost first; a line each."""
    found = list(findings)
    lines = []
    for kind in Kind:
        of_kind = [f"  {finding.path}: {finding.text}" for finding in found if finding.kind is kind]
        lines += [f"{kind.value}:", *of_kind] if of_kind else []
    return "\n".join(lines)
