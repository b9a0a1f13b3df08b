"""The verbs of sequences, stretches of time that the cloud knows by name: ``start_sequence``, ``stop_sequence``."""

from __future__ import annotations

from typing import Any

from module.clock.machine_clock import iso
from module.commands.arguments import Argument, refuse, text
from module.commands.verb import SOURCES, TAGS, Arguments, Verb, sources_of
from module.courier.control import Control
from module.errors import CommandError


async def _start_sequence(control: Control, arguments: Arguments) -> dict[str, Any]:
    chosen = sources_of(control, "start_sequence", arguments["sources"])
    if not chosen:
        raise CommandError("start_sequence.sources: [] given; allowed is a list of at least one source")
    started = await control.start_sequence(list(chosen), arguments["tags"])
    return {"id": started.id, "sources": list(chosen), "start": iso(started.start_us)}


async def _stop_sequence(control: Control, arguments: Arguments) -> dict[str, Any]:
    stopped = None if arguments["id"] is None else await control.stop_sequence(arguments["id"])
    if stopped is None:
        open_ids = ", ".join(await control.open_sequences()) or "none, as no sequence is open"
        raise refuse("stop_sequence.id", arguments["id"], f"one of those that are open: {open_ids}")
    return {"id": stopped.id, "end": iso(stopped.end_us), "waiting_for": stopped.waiting_for}


VERBS = (
    Verb(
        "start_sequence",
        "begin a sequence: a stretch of time over some sources",
        (SOURCES, TAGS),
        _start_sequence,
    ),
    Verb(
        "stop_sequence",
        "end a sequence; the cloud makes it once everything captured in it has been delivered",
        (Argument("id", text, None, "as start_sequence returned it"),),
        _stop_sequence,
    ),
)
