"""Every verb of DoCommand by its name, and how a command finds its own: parse → call → answer.

If anything is wrong with a command, CommandError is raised; its text says what is allowed. Numbers arrive as floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from module.attributes.allowed import nearest
from module.commands import adoption, capture, failures, pause, recent, sequences, settings, uploads
from module.commands.arguments import read_all, refuse
from module.commands.verb import Arguments, Verb
from module.courier.control import Control


async def run(control: Control, command: Mapping[str, Any]) -> dict[str, Any]:
    """Carry a command out and return its answer.

    Raises CommandError for an unknown verb or a bad argument, Unavailable while the spool is not open.
    """
    verb = VERBS.get(command["command"]) if isinstance(command.get("command"), str) else None
    if verb is None:
        given = command.get("command")
        near = nearest(given, list(VERBS))
        hint = f" (did you mean {near}?)" if near else ""
        raise refuse("command", given, f"one of {', '.join(VERBS)}{hint}")
    return await verb.run(control, read_all(verb.name, verb.arguments, command))


async def _help(_control: Control, _arguments: Arguments) -> dict[str, Any]:
    return {
        verb.name: {
            "summary": verb.summary,
            "arguments": {argument.name: argument.allowed for argument in verb.arguments},
        }
        for verb in VERBS.values()
    }


async def _status(control: Control, _arguments: Arguments) -> dict[str, Any]:
    return control.status()


VERBS = {
    verb.name: verb
    for verb in (
        Verb("help", "every verb with its arguments", (), _help),
        Verb("status", "the state of sources, spool and uploads", (), _status),
        *capture.VERBS,
        *settings.VERBS,
        *uploads.VERBS,
        *failures.VERBS,
        *pause.VERBS,
        *recent.VERBS,
        *sequences.VERBS,
        *adoption.VERBS,
    )
}
