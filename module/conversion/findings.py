"""The lines of the report: how each part of a data manager's config was converted."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Kind(enum.StrEnum):
    """How a part of the data manager's config was converted; the value is the report's heading."""

    LOST = "cannot be mapped"
    """The machine did this before, and does not do it any more."""

    DIFFERS = "mapped, but not the same"
    """It is done in another way, and the difference may matter."""

    MAPPED = "mapped"
    """It is done as before."""

    UNNEEDED = "not needed"
    """There is nothing left to set."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    kind: Kind
    path: str
    """Its path in the original config."""
    text: str


def report(findings: Iterable[Finding]) -> str:
    """Return the findings under their headings, one line each; what cannot be mapped comes first."""
    found = list(findings)
    lines = []
    for kind in Kind:
        of_kind = [f"  {finding.path}: {finding.text}" for finding in found if finding.kind is kind]
        lines += [f"{kind.value}:", *of_kind] if of_kind else []
    return "\n".join(lines)
