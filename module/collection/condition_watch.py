"""Asks regularly whether a condition holds. Gates and uploads use the answer."""

from __future__ import annotations

import abc
import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from module.attributes.condition import Condition
from module.attributes.uploader import SourceConfig
from module.collection.readings import plain
from module.collection.schedule import Periodic
from module.collection.sources import Row, Source, find
from module.errors import EncodeError, NothingToCapture, PollError
from module.supervised import said_of
from module.throttled_log import ThrottledLog

_TIMEOUT_S = 10.0


class Watch(abc.ABC):
    """One question. If there is no answer, the last one stays valid."""

    def __init__(
        self,
        subject: str,
        problem: str | None,
        logger: logging.Logger,
        *,
        poll_hz: float,
        on_answer: Callable[[bool], None],
    ) -> None:
        """``on_answer`` is called with each answer, also if it is the same as before."""
        self.holds: bool | None = None
        """The last answer; None: there has been none yet."""
        self.answered_s: float | None = None
        """The time of the last answer, in monotonic seconds."""
        self.problem = problem
        """Why there is no answer now."""
        self._subject = subject
        self._is_there = problem is None
        self._poll_hz = poll_hz
        self._on_answer = on_answer
        self._log = ThrottledLog(logger)

    @abc.abstractmethod
    async def ask(self) -> bool:
        """Ask once. Raises PollError, NothingToCapture or EncodeError; any other exception is a defect."""

    async def run(self) -> None:
        """Ask for ever; returns at once if there is no resource to ask."""
        if not self._is_there:
            return
        loop, ticks = asyncio.get_running_loop(), Periodic(1 / self._poll_hz)
        while True:
            await self._ask_once()
            await asyncio.sleep(max(0.0, ticks.next_after(loop.time()) - loop.time()))

    async def _ask_once(self) -> None:
        try:
            holds = await self.ask()
        except (PollError, NothingToCapture, EncodeError) as error:
            self.problem = str(error)
            self._log.warning(f"condition on {self._subject}", self.problem.removeprefix(f"{self._subject}: "))
            return
        except Exception as error:  # noqa: BLE001, whatever it is, it is this answer that is missing
            self.problem = f"{self._subject}: {said_of(error)}"
            self._log.warning(f"condition on {self._subject}", self.problem, error)
            return
        if self.problem is not None:
            self._log.recovered(f"condition on {self._subject}", "it answers again")
        self.problem, self.holds, self.answered_s = None, holds, time.monotonic()
        self._on_answer(holds)


class ConditionWatch(Watch):
    """Asks a sensor whether a condition on its readings holds."""

    def __init__(
        self,
        sensor: str,
        condition: Condition,
        dependencies: Mapping[Any, Any],
        logger: logging.Logger,
        *,
        poll_hz: float,
        on_answer: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """``on_answer`` is called with each answer, also if it is the same as before."""
        self.sensor = sensor
        self._source = _readings_of(sensor, dependencies)
        self._condition = condition
        super().__init__(sensor, self._source.problem, logger, poll_hz=poll_hz, on_answer=on_answer)

    async def ask(self) -> bool:
        """Poll the sensor once."""
        _, answers = await self._source.poll()
        return all(self._condition.holds(plain(row.readings)) for row in answers if isinstance(row, Row))


def _readings_of(sensor: str, dependencies: Mapping[Any, Any]) -> Source:
    config = SourceConfig.model_construct(name=sensor, id=sensor, method="Readings", timeout_s=_TIMEOUT_S)
    return find(config, dependencies, remedy="rename one")
