"""The verbs for what the cloud rejected: ``failures``, ``retry``, ``discard``."""

from __future__ import annotations

from typing import Any

from module.clock.machine_clock import iso
from module.commands.arguments import Argument, ids, whole
from module.commands.verb import Arguments, Verb
from module.courier.control import Control


async def _failures(control: Control, arguments: Arguments) -> dict[str, Any]:
    found, total = await control.failures(arguments["limit"])
    failures = [
        {
            "id": failure.id,
            "source": failure.source,
            "captured_at": iso(failure.requested_us),
            "size": failure.size,
            "error": failure.error,
            "attempts": failure.attempts,
        }
        for failure in found
    ]
    return {"failures": failures, "total": total}


async def _retry(control: Control, arguments: Arguments) -> dict[str, Any]:
    return {"retried": await control.retry(arguments["ids"])}


async def _discard(control: Control, arguments: Arguments) -> dict[str, Any]:
    return {"discarded": await control.discard(arguments["ids"])}


_FAILURE_IDS = Argument("ids", ids, None, "list of ids of failures (default: all)")

VERBS = (
    Verb(
        "failures",
        "captures that the cloud rejected, newest first",
        (Argument("limit", whole(1, 1000), 20, "how many (default 20)"),),
        _failures,
    ),
    Verb("retry", "try failures again", (_FAILURE_IDS,), _retry),
    Verb("discard", "delete failures for good", (_FAILURE_IDS,), _discard),
)
