"""The task that watches the machine's clock. It stores what it finds in the spool, and logs each change."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from module.clock.machine_clock import LOOK_S, NOT_SET_TAG, Clock, Reading, Stamp, Stand
from module.errors import SpoolError


class Ledger(Protocol):
    """What the spool stores about the clock (``module.spool.clock_ledger.ClockLedger``)."""

    def of_boot(self, boot: str) -> Awaitable[Sequence[Stand]]:
        """Return the readings of a boot, the oldest first; raises SpoolError."""

    def keep(self, stand: Stand) -> Awaitable[None]:
        """Store a reading; raises SpoolError."""


class ClockWatch:
    """``begin`` once the spool is open, then ``run`` until cancelled."""

    def __init__(self, clock: Clock, ledger: Ledger, logger: logging.Logger, *, on_change: Callable[[], None]) -> None:
        """``on_change`` is called when uploads need not wait for the clock any more."""
        self._clock = clock
        self._ledger = ledger
        self._logger = logger
        self._on_change = on_change
        self._was_set = True
        self._waited = False
        self._true: Reading | None = None
        self._step: Stamp | None = None

    async def begin(self) -> None:
        """Take over the readings of this boot from the spool."""
        try:
            kept = await self._ledger.of_boot(self._clock.boot)
        except SpoolError as error:
            self._logger.warning("the spool's record of the machine's clock cannot be read: %s", error)
            kept = ()
        self._clock.begin(kept)
        self._true = self._clock.true
        await self._look()

    async def run(self) -> None:
        """Look once a second, at whole seconds of the loop's clock: together with the ticks of sources."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_S - loop.time() % LOOK_S)
            await self._look()

    async def _look(self) -> None:
        stand = self._clock.look()
        if stand is not None:
            try:
                await self._ledger.keep(stand)
            except SpoolError as error:
                # The next look tries it again. Until a restart this process has it in memory.
                self._logger.debug("the reading of the clock could not be stored: %s", error)
            else:
                self._clock.note_kept(stand)
        self._tell()

    def _tell(self) -> None:
        clock, reason = self._clock, self._clock.waits(time.monotonic())
        if self._was_set and not clock.is_set:
            self._logger.warning("%s", reason or "the machine's clock is not set")
        if not clock.is_set and self._waited and reason is None:
            self._logger.warning("the machine's clock is still not set: captures are sent with the tag %s", NOT_SET_TAG)
        if clock.true != self._true and clock.step not in (None, self._step):
            status, self._step = clock.status(), clock.step
            text = "the machine's clock was set, by %s s at %s: captures that wait get their true times"
            self._logger.warning(text, status["by_s"], status["at"])
        if self._waited and reason is None:
            self._on_change()
        self._was_set, self._waited, self._true = clock.is_set, reason is not None, clock.true
