"""What a verb of DoCommand is, and the arguments that many of them have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from module.collection.collector import Collector
from module.commands.arguments import Argument, mapping, number, refuse, texts
from module.courier import Courier

Arguments = dict[str, Any]

SOURCES = Argument("sources", texts, None, "list of source ids; all")
TAGS = Argument("tags", texts, (), "list of texts")
DATASETS = Argument("dataset_ids", texts, (), "list of texts")
METHOD_PARAMETERS = Argument("method_parameters", mapping, "", "object")
TIMEOUT = Argument("timeout_s", number(0.001, 3600), 30.0, "seconds; 30")


@dataclass(frozen=True, slots=True)
class Verb:
    """One row of the table."""

    name: str
    summary: str
    arguments: tuple[Argument, ...]
    run: Callable[[Courier, Arguments], Awaitable[dict[str, Any]]]


def collectors_of(courier: Courier, verb: str, ids: Sequence[str] | None) -> dict[str, Collector]:
    """The collectors that a command's ``sources`` name, None: all; raises CommandError for an id that is not known."""
    if ids is None:
        return courier.collectors
    for index, source in enumerate(ids):
        if source not in courier.collectors:
            raise refuse(f"{verb}.sources[{index}]", source, f"one of {', '.join(courier.collectors) or 'none'}")
    return {source: courier.collectors[source] for source in ids}
