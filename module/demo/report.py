"""What the demo prints: progress, answers, the table and the verdict; pure text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from module.delivery.sender import METHODS


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one source's captures."""

    source: str
    captured: int
    """As the module counts: rows, images, point clouds, files."""
    delivered: int
    """What the cloud has, in the same unit; one whose answer was lost counts twice."""
    distinct: int
    """What the cloud has, each counted once."""
    size: int
    """Bytes that arrived."""
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """All facts of the verdict and the summary."""

    results: tuple[Result, ...]
    by_method: Mapping[str, int]
    """What the module says it delivered by each method."""
    failures: int
    retries: int
    outage_s: float
    drain_s: float | None
    """From the cloud's return until it had all that was captured before; None if that was not seen."""
    images: int
    """How many were opened."""
    broken_images: tuple[str, ...]
    exit_code: int | None
    """The module's, after SIGTERM; None if it had ended before."""


def faults(outcome: Outcome) -> list[str]:
    """Each reason why the demo failed, in a sentence; none if all is well."""
    found = []
    for result in outcome.results:
        missing = result.captured - result.distinct
        if result.captured == 0:
            found.append(f"{result.source}: nothing was captured")
        elif missing > 0:
            found.append(f"{result.source}: {missing} of {result.captured} captures were not delivered")
    if outcome.failures:
        found.append(f"the cloud rejected {outcome.failures} captures; the module's log says why")
    found += [f"nothing was delivered by {method}" for method in METHODS if not outcome.by_method.get(method)]
    found += [f"{name} is an image that does not open" for name in outcome.broken_images]
    if outcome.images == 0:
        found.append("no image arrived")
    if outcome.exit_code is None:
        found.append("the module ended by itself")
    elif outcome.exit_code != 0:
        found.append(f"the module ended with status {outcome.exit_code} after SIGTERM; 0 was expected")
    return found


def table(results: Sequence[Result]) -> str:
    """A line for each source, a heading above and the sums below."""
    sums = [sum(result.captured for result in results), sum(result.delivered for result in results)]
    rows = [("source", "captured", "delivered", "size", "method")]
    for result in results:
        methods = ", ".join(result.methods) or "-"
        if twice := result.delivered - result.distinct:
            methods += f", {twice} twice"
        rows.append((result.source, str(result.captured), str(result.delivered), size(result.size), methods))
    rows.append(("total", str(sums[0]), str(sums[1]), size(sum(result.size for result in results)), ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{name:<{widths[0]}}  {captured:>{widths[1]}}  {delivered:>{widths[2]}}  {how_much:>{widths[3]}}  {methods}"
        for name, captured, delivered, how_much, methods in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def summary(outcome: Outcome) -> str:
    """Return the table, and the facts below it."""
    drained = "the backlog was not seen to drain"
    if outcome.drain_s is not None:
        drained = f"{outcome.drain_s:.1f} s after its return it had all that was captured before"
    twice = sum(result.delivered - result.distinct for result in outcome.results)
    lines = [
        table(outcome.results),
        "",
        f"The cloud was away for {outcome.outage_s:.1f} s; {drained}.",
        f"Retries: {outcome.retries}. Arrived twice: {twice}. Rejected: {outcome.failures}.",
        f"Images opened: {outcome.images}, broken: {len(outcome.broken_images)}.",
    ]
    return "\n".join(lines)


def progress(elapsed_s: float, status: Mapping[str, Any], *, handed_in: int, cloud_is_up: bool) -> str:
    """Return one line about a module's status; ``handed_in``: how much commands have brought to upload."""
    spool, upload = status["spool"], status["upload"]
    taken, delivered = captured(status) + handed_in, int(upload["uploaded_items"])
    waiting, how_much = int(spool["items"]), size(int(spool["bytes"]))
    cloud = "up" if cloud_is_up else "AWAY"
    return (
        f"{elapsed_s:5.1f} s  captured {taken:5}  delivered {delivered:5}  waiting {waiting:4} ({how_much:>8})  "
        f"cloud {cloud:4}  uploads {upload['state']}"
    )


def captured(status: Mapping[str, Any]) -> int:
    """Return how much the sources and folders of a status have captured; data of commands is not counted there."""
    parts = [*status["sources"].values(), *status["folders"].values()]
    return sum(int(part["captured"]) for part in parts)


def answer(verb: str, given: Mapping[str, Any]) -> str:
    """A short form of what a command answered."""
    match verb:
        case "help":
            short = f"{len(given)} verbs: {', '.join(sorted(given))}"
        case "status":
            short = _standing(given["spool"], given["upload"])
        case "capture":
            there = {source: len(file_ids) for source, file_ids in given["uploaded"].items()}
            errors = "".join(f"; {source}: {text}" for source, text in given["errors"].items())
            short = f"captured {_counts(given['captured'])}; in the cloud {_counts(there)}{errors}"
        case "upload_data" | "upload_file":
            short = str(given.get("error", "in the spool"))
            if given.get("file_id"):
                short = f"in the cloud as {given['file_id']}"
        case "pause" | "resume":
            short = f"paused: {', '.join(given['paused']) or 'nothing'}"
        case "trigger":
            short = f"opened {', '.join(given['opened'])}, with what waited before: {_counts(given['kept_before'])}"
        case "flush":
            short = f"{int(given['remaining_items'])} left"
        case "failures":
            short = f"{int(given['total'])} rejected"
        case _:
            short = str(dict(given))
    return short


def _standing(spool: Mapping[str, Any], upload: Mapping[str, Any]) -> str:
    error = f"; {upload['last_error']}" if upload["last_error"] else ""
    oldest = f", the oldest {spool['oldest_age_s']:.1f} s old" if spool["items"] else ""
    return f"uploads {upload['state']}, {int(spool['items'])} waiting{oldest}{error}"


def size(count: int) -> str:
    """Bytes in decimal units: ``640 B``, ``81.3 kB``, ``20.0 MB``."""
    if count < 1000:  # noqa: PLR2004
        return f"{count} B"
    if count < 1_000_000:  # noqa: PLR2004
        return f"{count / 1000:.1f} kB"
    return f"{count / 1_000_000:.1f} MB"


def _counts(counts: Mapping[str, float]) -> str:
    return ", ".join(f"{source} {int(count)}" for source, count in counts.items()) or "nothing"
