"""The verbs that capture without a schedule: ``capture`` polls sources now, ``trigger`` opens their gates."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from module.capture import UploadAs
from module.collection.collector import Collector
from module.collection.shot import Order, Shot
from module.commands.arguments import Argument, choice, mapping, number, refuse, whole
from module.commands.upload_wait import WAIT, Waiting
from module.commands.verb import DATASETS, METHOD_PARAMETERS, SOURCES, TAGS, TIMEOUT, Arguments, Verb, sources_of
from module.courier.control import Control
from module.errors import CLOSING, CourierError, SpoolClosed, Unavailable

_MOST_CAPTURES = 10_000


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


VERBS = (
    Verb(
        "capture",
        "poll sources now, beside their schedules",
        (
            SOURCES,
            Argument("count", whole(1, _MOST_CAPTURES), 1, "how many polls of each (default 1)"),
            Argument("interval_s", number(0, 3600), 0.0, "seconds between them (default 0)"),
            TAGS,
            DATASETS,
            Argument("upload_as", choice(*UploadAs), None, f"one of {', '.join(UploadAs)} (default: the source's)"),
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
        (SOURCES, Argument("for_s", number(0, 86_400), 0.0, "seconds that they stay open (default 0)")),
        _trigger,
    ),
)
