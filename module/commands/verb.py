"""What a verb of DoCommand is, and the arguments that many of them have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from module.collection.collector import Collector
from module.commands.arguments import Argument, mapping, number, refuse, texts
from module.courier.control import Control

Arguments = dict[str, Any]

SOURCES = Argument("sources", texts, None, "list of source ids (default: all)")
TAGS = Argument("tags", texts, (), "list of texts")
DATASETS = Argument("dataset_ids", texts, (), "list of texts")
METHOD_PARAMETERS = Argument("method_parameters", mapping, "", "object")
TIMEOUT = Argument("timeout_s", number(0.001, 3600), 30.0, "seconds (default 30)")


@dataclass(frozen=True, slots=True)
class Verb:
    """One row of the table."""

    name: str
    summary: str
    arguments: tuple[Argument, ...]
    run: Callable[[Control, Arguments], Awaitable[dict[str, Any]]]


def sources_of(control: Control, verb: str, ids: Sequence[str] | None) -> Mapping[str, Collector]:
    """The sources that a command's ``sources`` name, None: all; raises CommandError for an id that is not known."""
    if ids is None:
        return control.sources
    for index, source in enumerate(ids):
        if source not in control.sources:
            raise refuse(f"{verb}.sources[{index}]", source, f"one of {', '.join(control.sources) or 'none'}")
    return {source: control.sources[source] for source in ids}
