"""The readings of the machine's clock in the spool's file, as the event loop reaches them."""

from __future__ import annotations

from collections.abc import Sequence

from module.clock.machine_clock import Stand
from module.spool.messages import OnThread


class ClockLedger:
    """The readings, as the event loop reaches them."""

    def __init__(self, call: OnThread) -> None:
        self._call = call

    async def of_boot(self, boot: str) -> Sequence[Stand]:
        """Return the readings of a boot, the oldest first; raises SpoolError."""
        found: list[Stand] = []
        await self._call(lambda db: found.extend(db.clocks.of_boot(boot)), writes=False)
        return found

    async def keep(self, stand: Stand) -> None:
        """Write a reading; on the disk when it returns. Raises SpoolError."""
        await self._call(lambda db: db.clocks.keep(stand), writes=True)
