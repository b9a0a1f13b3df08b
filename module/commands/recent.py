"""The verb ``recent``: the last captures of a source, and what became of each."""

from __future__ import annotations

from typing import Any

from module.commands.arguments import Argument, refuse, text, whole
from module.commands.verb import Arguments, Verb
from module.courier.control import Control
from module.recent import MOST


async def _recent(control: Control, arguments: Arguments) -> dict[str, Any]:
    source = arguments["source"]
    if source not in control.sources:
        raise refuse("recent.source", source, f"one of {', '.join(control.sources) or 'none'}")
    return {"captures": control.recent(source, arguments["limit"])}


VERBS = (
    Verb(
        "recent",
        "the last captures of a source, newest first",
        (Argument("source", text, None, "its id"), Argument("limit", whole(1, MOST), 10, "how many (default 10)")),
        _recent,
    ),
)
