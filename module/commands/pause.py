"""The verbs that stop, continue or speed up captures and uploads: ``pause``, ``resume``, ``flush``."""

from __future__ import annotations

from typing import Any

from module.commands.arguments import Argument, choice, refuse
from module.commands.verb import SOURCES, TIMEOUT, Arguments, Verb, sources_of
from module.courier.control import Control


async def _pause(control: Control, arguments: Arguments) -> dict[str, Any]:
    return _answer(control, await control.pause(**_chosen(control, "pause", arguments)))


async def _resume(control: Control, arguments: Arguments) -> dict[str, Any]:
    return _answer(control, await control.resume(**_chosen(control, "resume", arguments)))


def _chosen(control: Control, verb: str, arguments: Arguments) -> dict[str, Any]:
    what, named = arguments["what"], arguments["sources"]
    # Refuses what is no source.
    sources_of(control, verb, named)
    # Uploads belong to the whole service: a command that names sources means only their captures.
    if what == "upload" and named:
        raise refuse(f"{verb}.sources", named, "nothing beside what: upload, but a list beside what: capture or all")
    uploads = what == "upload" or (what == "all" and named is None)
    return {"captures": what != "upload", "uploads": uploads, "sources": named}


def _answer(control: Control, problem: str | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"paused": control.paused}
    return answer if problem is None else {**answer, "error": problem}


async def _flush(control: Control, arguments: Arguments) -> dict[str, Any]:
    items, size = await control.flush(arguments["timeout_s"])
    remains: dict[str, Any] = {"remaining_items": items, "remaining_bytes": size}
    if items:
        remains["reason"] = control.obstacle or f"not done in {arguments['timeout_s']:g} s"
    return remains


_WHAT = Argument("what", choice("capture", "upload", "all"), "all", "capture, upload or all (default)")

VERBS = (
    Verb("pause", "stop capturing, uploading, or both", (_WHAT, SOURCES), _pause),
    Verb("resume", "continue what pause stopped", (_WHAT, SOURCES), _resume),
    Verb("flush", "upload now what was captured before", (TIMEOUT,), _flush),
)
