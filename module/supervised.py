"""Restarts work that must never end: an error is logged with its traceback and shown, and the work begins again.

The delay before each new beginning doubles from ``FIRST_DELAY_S`` to ``MOST_DELAY_S``. After work that ran for longer
than ``MOST_DELAY_S`` it is ``FIRST_DELAY_S`` again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

FIRST_DELAY_S = 1.0
MOST_DELAY_S = 60.0


class Supervised:
    """One piece of work, which begins again each time it ends with an error. ``run`` is for one task."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], logger: logging.Logger) -> None:
        """``work`` is called once for each beginning; ``name`` is the name of the work in the log."""
        self.error: str | None = None
        """Why the work does not run now, in one line; None: it runs, or it has returned."""
        self._name = name
        self._work = work
        self._logger = logger

    async def run(self) -> None:
        """Return once the work returns. Only the cancellation of its task ends it earlier."""
        clock, delay_s = asyncio.get_running_loop().time, FIRST_DELAY_S
        while True:
            begun = clock()
            try:
                await self._work()
            except (Exception, asyncio.CancelledError) as error:
                if _is_cancelled():
                    raise
                if clock() - begun > MOST_DELAY_S:
                    delay_s = FIRST_DELAY_S
                self.error = said_of(error)
                self._logger.exception(
                    "%s ended with an error of this module's own, and begins again in %g s: %s",
                    self._name,
                    delay_s,
                    self.error,
                )
            else:
                return
            await asyncio.sleep(delay_s)
            self.error = None
            delay_s = min(2 * delay_s, MOST_DELAY_S)


def said_of(error: BaseException) -> str:
    """An unexpected error in one line: its type and its text."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _is_cancelled() -> bool:
    # A future that somebody else cancelled raises CancelledError too, and is no reason to end.
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
