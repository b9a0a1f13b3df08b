"""Decides which captures of one source are kept: those that changed, while the gate is open, and the seconds before.

A sensor opens the gate (a watch asks it beside the polls), or a vision service (asked about each frame), or only a
command. While the sensor or the vision service fails, the gate stays as it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from module.attributes.api_methods import GETS_IMAGES
from module.attributes.on_change import OnChangeConfig
from module.capture import Capture
from module.collection import images
from module.collection.changes import ImageChange, ReadingsChange
from module.collection.condition_watch import ConditionWatch
from module.collection.gate import Gate
from module.collection.image_header import true_type
from module.collection.kept import KeptOfSource, TriggerOrder
from module.collection.sources import Answer, Blob, Row, Source
from module.collection.vision import Eye, EyeWatch
from module.errors import PollError
from module.throttled_log import ThrottledLog

_MOST_IMAGES = 100
"""Names of one camera's images: a camera with a new name for each image must not fill the memory."""


class Filter:
    """The filter of one source: call ``changed`` and then ``admit`` for each poll; ``run`` runs beside them."""

    def __init__(
        self,
        source: Source,
        dependencies: Mapping[Any, Any],
        workers: Executor,
        logger: logging.Logger,
        *,
        on_release: Callable[[list[Capture]], object],
        kept: KeptOfSource,
    ) -> None:
        """``on_release`` gets the captures that waited in memory, when the gate opens between two polls."""
        self._kept = kept
        config = source.config
        self._on_change = config.on_change
        self._workers = workers
        self._on_release = on_release
        self._log = ThrottledLog(logger)
        self._name = config.id
        self._readings = None if config.on_change is None else ReadingsChange(config.on_change)
        self._images: dict[str, ImageChange] = {}
        self._gate: Gate | None = None
        self._watch: ConditionWatch | EyeWatch | None = None
        self._eye: Eye | None = None
        self._eye_problem: str | None = None
        gate = config.gate
        if gate is None:
            return
        self._after_s = gate.after_s
        self._gate = Gate(
            before_s=gate.before_s, after_s=gate.after_s, max_buffer_bytes=gate.max_buffer_bytes, kept=kept
        )
        condition = gate.condition
        if gate.sensor is not None and condition is not None:
            self._watch = ConditionWatch(
                gate.sensor, condition, dependencies, logger, poll_hz=gate.poll_hz, on_answer=self._set
            )
        elif gate.vision is not None:
            eye = Eye(gate, dependencies)
            if gate.camera is None or (gate.camera, GETS_IMAGES) == (config.name, source.method):
                self._eye = eye
            else:
                self._watch = EyeWatch(eye, gate.camera, logger, poll_hz=gate.poll_hz, on_answer=self._set)

    async def run(self) -> None:
        """Ask for ever whether the gate should open; returns at once if nothing is asked beside the polls."""
        if self._watch is not None:
            await self._watch.run()

    # ------------------------------------------------------------------ of one poll

    async def changed(self, answers: Sequence[Answer], at: float) -> Sequence[Answer]:
        """Return the answers that differ enough from the last ones kept, with what the vision service found in them.

        ``at``: when the poll began, in seconds of the loop's clock. Raises EncodeError if an image cannot be compared.
        """
        # What a closed gate drops is not kept, so nothing is compared with it once the gate is open.
        if self._gate is not None and self._gate.has_lost_newest and self._gate.is_open(at):
            self.forget_last()
        if self._on_change is not None and (self._eye is not None or self.is_needed(at)):
            polled, on_change = len(answers), self._on_change
            answers = [answer for answer in answers if await self._differs(answer, at, on_change)]
            self._kept.filtered += polled - len(answers)
        return answers if self._eye is None or not answers else await self._look(self._eye, answers, at)

    def forget_last(self) -> None:
        """Compare the next answers with nothing: what was compared last has not been kept."""
        self._readings = None if self._on_change is None else ReadingsChange(self._on_change)
        self._images.clear()

    async def _differs(self, answer: Answer, at: float, on_change: OnChangeConfig) -> bool:
        if isinstance(answer, Row):
            return self._readings is None or self._readings.keep(answer.readings, at)
        loop = asyncio.get_running_loop()
        if answer.extension is not None or not true_type(answer.data, answer.mime_type).startswith("image/"):
            digest = await loop.run_in_executor(self._workers, _digest, answer.data)
            return self._readings is None or self._readings.keep({"digest": digest}, at)
        copy = await loop.run_in_executor(self._workers, images.small_grey, answer.data, answer.mime_type)
        change = self._images.pop(answer.name, None) or ImageChange(on_change)
        if len(self._images) >= _MOST_IMAGES:
            del self._images[next(iter(self._images))]
        self._images[answer.name] = change
        return change.keep(copy, at)

    async def _look(self, eye: Eye, answers: Sequence[Answer], at: float) -> Sequence[Answer]:
        seen: list[Answer] = []
        found = False
        for answer in answers:
            if not isinstance(answer, Blob):
                seen.append(answer)
                continue
            try:
                sighting = await eye.look(answer)
            except PollError as error:
                self._eye_problem = f"gate: {error}"
                self._log.warning(self._name, self._eye_problem)
                return answers
            found = found or sighting.found
            seen.append(replace(answer, annotations=answer.annotations + sighting.annotations))
        self._eye_problem = None
        self._set(found, at)
        return seen

    def _set(self, holds: bool, at: float | None = None) -> None:
        if self._gate is not None:
            self._release(self._gate.set(holds, asyncio.get_running_loop().time() if at is None else at))

    def _release(self, captures: list[Capture]) -> None:
        if captures:
            self._on_release(captures)

    def is_needed(self, at: float) -> bool:
        """Whether captures of a poll at that time would be kept, or would wait for the gate."""
        return self._gate is None or self._gate.is_open(at) or self._gate.waits

    def skip(self, count: int) -> None:
        """Count captures that were never made because the gate was closed."""
        self._kept.filtered += count
        if self._gate is not None and self._eye is not None and count:
            # To spare the vision service, frames are compared while the gate is closed too.
            self._gate.lose_newest()

    def admit(self, captures: list[Capture], at: float) -> list[Capture]:
        """Return those captures of one poll that are kept now; the others wait for the gate, or are dropped."""
        return captures if self._gate is None else self._gate.offer(captures, at)

    # ------------------------------------------------------------------ commands and status

    def trigger(self, for_s: float) -> int:
        """Open the gate by command, if there is a gate; returns how many captures had waited."""
        if self._gate is None:
            return 0
        at, now_us = asyncio.get_running_loop().time(), time.time_ns() // 1000
        waited = self._gate.open_for(for_s, at)
        until = max(self._kept.open_until, at + for_s + self._after_s)
        self._kept.trigger = TriggerOrder(until, now_us, now_us + round((until - at) * 1e6))
        self._release(waited)
        return len(waited)

    @property
    def gated(self) -> bool:
        """Whether the gate is closed now."""
        return self._gate is not None and not self._gate.is_open(asyncio.get_running_loop().time())

    @property
    def problem(self) -> str | None:
        """Why the gate's sensor or vision service does not answer; None: it does."""
        if self._watch is not None and self._watch.problem is not None:
            return f"gate: {self._watch.problem}"
        return self._eye_problem


def _digest(data: bytes) -> str:
    """Return a hash of data, which may be large: call it in a thread."""
    return hashlib.blake2b(data).hexdigest()
