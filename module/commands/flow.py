"""The verbs that stop, continue or speed up captures and uploads: ``pause``, ``resume``, ``flush``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from module.commands.arguments import Argument, choice
from module.commands.verb import SOURCES, TIMEOUT, Arguments, Verb, collectors_of
from module.courier import Courier
from module.errors import CLOSING, SpoolClosed, Unavailable
from module.pauses import What


def _switch(*, on: bool) -> Callable[[Courier, Arguments], Awaitable[dict[str, Any]]]:
    async def switch(courier: Courier, arguments: Arguments) -> dict[str, Any]:
        what, named = arguments["what"], arguments["sources"]
        chosen = collectors_of(courier, "resume" if on else "pause", named)
        if what in ("capture", "all"):
            for part in (*chosen.values(), *(courier.watches if named is None else ())):
                (part.resume if on else part.pause)()
            _note(courier, What.SOURCE, list(chosen), on=on, every=named is None)
            if named is None:
                _note(courier, What.FOLDER, [folder.path for folder in courier.config.folders], on=on, every=True)
        # Uploads belong to the whole service: a command that names sources means only their captures.
        if what == "upload" or (what == "all" and named is None):
            (courier.uploader.resume if on else courier.uploader.pause)()
            _note(courier, What.UPLOAD, [""], on=on, every=True)
        if what != "upload" and not on:
            await asyncio.gather(*(collector.settled() for collector in chosen.values()))
        problem = await courier.keep_pauses()
        paused = [key for key, collector in courier.collectors.items() if collector.paused]
        answer: dict[str, Any] = {"paused": [*paused, *(["upload"] if courier.uploader.paused else [])]}
        return answer if problem is None else {**answer, "error": problem}

    return switch


def _note(courier: Courier, what: What, names: Sequence[str], *, on: bool, every: bool) -> None:
    if on:
        # All also means what was paused while it was in the config, and is not in it now.
        courier.carried.pauses.resume(what, None if every else names)
    else:
        courier.carried.pauses.pause(what, names)


async def _flush(courier: Courier, arguments: Arguments) -> dict[str, Any]:
    await courier.opened()
    try:
        items, size = await courier.uploader.flush(arguments["timeout_s"])
    except SpoolClosed as error:
        raise Unavailable(CLOSING) from error
    remains: dict[str, Any] = {"remaining_items": items, "remaining_bytes": size}
    if items:
        remains["reason"] = courier.uploader.obstacle or f"not done in {arguments['timeout_s']:g} s"
    return remains


_WHAT = Argument("what", choice("capture", "upload", "all"), "all", "capture, upload or all (default)")

VERBS = (
    Verb("pause", "stop capturing, uploading, or both", (_WHAT, SOURCES), _switch(on=False)),
    Verb("resume", "go on with what pause stopped", (_WHAT, SOURCES), _switch(on=True)),
    Verb("flush", "upload now what was captured before", (TIMEOUT,), _flush),
)
