"""The verbs of DoCommand: parse → call → answer, one row of the table each.

If anything is wrong with a command, CommandError is raised; its text says what is allowed. Numbers arrive as floats.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping
from typing import Any

from module.attributes.allowed import nearest
from module.attributes.timetable import parse_cron
from module.capture import UploadAs
from module.clock.machine_clock import iso
from module.collection.collector import Collector
from module.collection.kept import Labels
from module.collection.shot import Order, Shot
from module.commands.adoption import VERBS as ADOPTION_VERBS
from module.commands.arguments import Argument, choice, ids, mapping, number, read_all, refuse, text, text_of, whole
from module.commands.flow import VERBS as FLOW_VERBS
from module.commands.history import VERBS as TIMELINE_VERBS
from module.commands.upload_wait import Waiting
from module.commands.uploads import VERBS as UPLOAD_VERBS
from module.commands.uploads import WAIT
from module.commands.verb import DATASETS, METHOD_PARAMETERS, SOURCES, TAGS, TIMEOUT, Arguments, Verb, sources_of
from module.control import Control
from module.errors import CLOSING, CommandError, CourierError, SpoolClosed, Unavailable

_MOST_CRON_BYTES = 1000
_MOST_CAPTURES = 10_000


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


_SCHEDULES = ("capture_frequency_hz", "interval_s", "cron")


# ---------------------------------------------------------------------- the verbs


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


class _Burst:
    """The captures of one source for a ``capture`` command."""

    def __init__(self, control: Control, collector: Collector, shot: Shot, arguments: Arguments) -> None:
        self.captured = 0
        self.uploaded: list[str] = []
        self.error: str | None = None
        self._collector = collector
        self._shot = shot
        self._arguments = arguments
        self._shots = 0
        self._waiting = Waiting(control)

    async def shoot(self) -> None:
        """Take all captures, and wait until the cloud has them if the command asks for that."""
        start = time.monotonic()
        for shot in range(self._arguments["count"]):
            await asyncio.sleep(max(0.0, start + shot * self._arguments["interval_s"] - time.monotonic()))
            try:
                taken = await self._collector.capture(self._shot)
            except (SpoolClosed, Unavailable):
                self.error = CLOSING
                break
            except CourierError as error:
                self.error = str(error)
            else:
                self.captured += len(taken)
                if self._arguments["wait"] == "uploaded":
                    self._waiting.add(taken)
            self._shots += 1
        await self._waiting.until_ended()

    def end(self) -> None:
        """Note the result, once all is done or the time is over."""
        timeout_s = self._arguments["timeout_s"]
        self.uploaded, error = self._waiting.end(timeout_s)
        if self.error is None and self._shots < self._arguments["count"]:
            self.error = (
                f"not done in {timeout_s:g} s; what was captured stays in the spool; "
                f"{self._shots} of {self._arguments['count']} polls have ended"
            )
        self.error = self.error or error


async def _capture(control: Control, arguments: Arguments) -> dict[str, Any]:
    chosen = sources_of(control, "capture", arguments["sources"])
    order = Order(
        tags=arguments["tags"],
        dataset_ids=arguments["dataset_ids"],
        upload_as=None if arguments["upload_as"] is None else UploadAs(arguments["upload_as"]),
        extra=json.loads(arguments["extra"] or "null"),
        method_parameters=json.loads(arguments["method_parameters"] or "null"),
    )
    shots = {source: collector.shot(order) for source, collector in chosen.items()}
    await control.opened()
    bursts = {source: _Burst(control, chosen[source], shot, arguments) for source, shot in shots.items()}
    tasks = [asyncio.create_task(burst.shoot(), name=f"courier-burst-{source}") for source, burst in bursts.items()]
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=arguments["timeout_s"])
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for burst in bursts.values():
            burst.end()
    for error in ended:
        if isinstance(error, Exception):
            raise error
    return {
        "captured": {source: burst.captured for source, burst in bursts.items()},
        "uploaded": {source: burst.uploaded for source, burst in bursts.items() if burst.uploaded},
        "errors": {source: burst.error for source, burst in bursts.items() if burst.error is not None},
    }


async def _trigger(control: Control, arguments: Arguments) -> dict[str, Any]:
    chosen = sources_of(control, "trigger", arguments["sources"])
    await control.opened()
    for source in arguments["sources"] or ():
        if not chosen[source].has_gate:
            raise refuse("trigger.sources", source, "sources that have a gate")
    kept = {source: collector.trigger(arguments["for_s"]) for source, collector in chosen.items() if collector.has_gate}
    return {"opened": list(kept), "kept_before": kept}


async def _set_schedule(control: Control, arguments: Arguments) -> dict[str, Any]:
    if arguments["source"] is None:
        raise refuse("set_schedule.source", None, f"one of {', '.join(control.sources) or 'none'}")
    (collector,) = sources_of(control, "set_schedule", [arguments["source"]]).values()
    given = {name: arguments[name] for name in _SCHEDULES if arguments[name] is not None}
    if len(given) != 1:
        raise CommandError(f"set_schedule: allowed is exactly one of {', '.join(_SCHEDULES)}")
    if "cron" in given:
        try:
            parse_cron(given["cron"], collector.timezone)
        except ValueError as error:
            raise CommandError(f"set_schedule.cron: {error}") from error
    for_s = arguments["for_s"]
    text = collector.set_schedule(**given, for_s=math.inf if for_s is None else for_s)
    until = None if for_s is None else iso(time.time_ns() // 1000 + round(for_s * 1e6))
    return {"source": arguments["source"], "schedule": text, "until": until}


async def _set_tags(control: Control, arguments: Arguments) -> dict[str, Any]:
    chosen = sources_of(control, "set_tags", arguments["sources"])
    for collector in chosen.values():
        collector.set_tags(Labels(arguments["tags"], arguments["dataset_ids"]))
    return {
        "tags": list(arguments["tags"]),
        "dataset_ids": list(arguments["dataset_ids"]),
        "sources": list(chosen),
    }


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


_FAILURE_IDS = Argument("ids", ids, None, "list of ids of failures; all")

VERBS = {
    verb.name: verb
    for verb in (
        Verb("help", "every verb with its arguments", (), _help),
        Verb("status", "sources, spool and uploads at a glance", (), _status),
        Verb(
            "capture",
            "poll sources now, beside their schedules",
            (
                SOURCES,
                Argument("count", whole(1, _MOST_CAPTURES), 1, "how many polls of each; 1"),
                Argument("interval_s", number(0, 3600), 0.0, "seconds between them; 0"),
                TAGS,
                DATASETS,
                Argument("upload_as", choice(*UploadAs), None, f"one of {', '.join(UploadAs)}; the source's"),
                Argument("extra", mapping, "", "object, merged over the source's"),
                METHOD_PARAMETERS,
                WAIT,
                TIMEOUT,
            ),
            _capture,
        ),
        Verb(
            "trigger",
            "open gates, with the seconds before and after",
            (SOURCES, Argument("for_s", number(0, 86_400), 0.0, "seconds that they stay open; 0")),
            _trigger,
        ),
        Verb(
            "set_schedule",
            "poll a source on another schedule, for a while or until the attributes change",
            (
                Argument("source", text, None, "its id"),
                Argument("capture_frequency_hz", number(1e-6, 1000), None, "polls a second"),
                Argument("interval_s", number(0.001, 1e9), None, "seconds between polls, instead"),
                Argument("cron", text_of(_MOST_CRON_BYTES), None, "5 or 6 fields, instead"),
                Argument("for_s", number(0.001, 1e9), None, "seconds until the configured one holds again; for good"),
            ),
            _set_schedule,
        ),
        Verb("set_tags", "add tags and datasets to what is captured from now on", (TAGS, DATASETS, SOURCES), _set_tags),
        *UPLOAD_VERBS,
        Verb(
            "failures",
            "captures that the cloud rejected, newest first",
            (Argument("limit", whole(1, 1000), 20, "how many; 20"),),
            _failures,
        ),
        Verb("retry", "try failures again", (_FAILURE_IDS,), _retry),
        Verb("discard", "delete failures for good", (_FAILURE_IDS,), _discard),
        *FLOW_VERBS,
        *TIMELINE_VERBS,
        *ADOPTION_VERBS,
    )
}
