"""The verbs that change sources until their attributes change: ``set_schedule``, ``set_tags``."""

from __future__ import annotations

import math
import time
from typing import Any

from module.attributes.timetable import check_cron
from module.clock.machine_clock import iso
from module.collection.kept import Labels
from module.commands.arguments import Argument, number, refuse, text, text_of
from module.commands.verb import DATASETS, SOURCES, TAGS, Arguments, Verb, sources_of
from module.courier.control import Control
from module.errors import CommandError

_MOST_CRON_BYTES = 1000
_SCHEDULES = ("capture_frequency_hz", "interval_s", "cron")


async def _set_schedule(control: Control, arguments: Arguments) -> dict[str, Any]:
    if arguments["source"] is None:
        raise refuse("set_schedule.source", None, f"one of {', '.join(control.sources) or 'none'}")
    (collector,) = sources_of(control, "set_schedule", [arguments["source"]]).values()
    given = {name: arguments[name] for name in _SCHEDULES if arguments[name] is not None}
    if len(given) != 1:
        raise CommandError(f"set_schedule: allowed is exactly one of {', '.join(_SCHEDULES)}")
    if "cron" in given:
        try:
            check_cron(given["cron"], collector.timezone)
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


VERBS = (
    Verb(
        "set_schedule",
        "poll a source on another schedule, for a while or until the attributes change",
        (
            Argument("source", text, None, "its id"),
            Argument("capture_frequency_hz", number(1e-6, 1000), None, "polls a second"),
            Argument("interval_s", number(0.001, 1e9), None, "or seconds between polls"),
            Argument("cron", text_of(_MOST_CRON_BYTES), None, "or a cron expression of 5 or 6 fields"),
            Argument(
                "for_s", number(0.001, 1e9), None, "seconds until the configured schedule returns (default: never)"
            ),
        ),
        _set_schedule,
    ),
    Verb("set_tags", "add tags and datasets to what is captured from now on", (TAGS, DATASETS, SOURCES), _set_tags),
)
