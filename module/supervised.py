"""Work that must go on: whatever ends it is logged with its traceback and shown, and it begins again.

The delay before a new beginning doubles from ``FIRST_DELAY_S`` to ``MOST_DELAY_S`` while the work ends soon after each
beginning, and is the first one again after work that ran for longer than ``MOST_DELAY_S``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

FIRST_DELAY_S = 1.0
MOST_DELAY_S = 60.0


class Supervised:
    """One piece of work, begun again for as long as it ends with an error. ``run`` is one task's work."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], logger: logging.Logger) -> None:
        """``work`` makes the work; it is called once for each beginning. ``name`` is the work's in the log."""
        self.error: str | None = None
        """Why the work does not run now, in one line; None: it runs, or it has returned."""
        self._name = name
        self._work = work
        self._logger = logger

    async def run(self) -> None:
        """Return once the work returns; ends otherwise only by the cancellation of the task that it runs in."""
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
    """An error that nobody foresaw in one line: its type, and what it says."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _is_cancelled() -> bool:
    # A future that somebody else cancelled raises CancelledError too, and is no reason to end.
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
