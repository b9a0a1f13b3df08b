"""The verb ``adopt`` moves what waits in a spool that nobody opens any more into this one."""

from __future__ import annotations

from typing import Any

from module.commands.arguments import Argument, text_of
from module.commands.verb import Arguments, Verb
from module.courier.control import Control
from module.errors import CommandError

_MOST_PATH_BYTES = 4096


async def _adopt(control: Control, arguments: Arguments) -> dict[str, Any]:
    directory = arguments["directory"]
    if directory is None:
        found = ", ".join(map(str, control.orphans)) or "none is known now"
        raise CommandError(f"adopt.directory: nothing given; allowed is the directory of one of spool.orphans: {found}")
    return {"adopted": await control.adopt(directory)}


VERBS = (
    Verb(
        "adopt",
        "take over the captures of a spool that nobody opens any more",
        (Argument("directory", text_of(_MOST_PATH_BYTES), None, "its directory, one of spool.orphans in the status"),),
        _adopt,
    ),
)
