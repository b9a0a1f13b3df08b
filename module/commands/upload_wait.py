"""The captures of one command that waits until the cloud has them (``"wait": "uploaded"``)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from module.commands.arguments import Argument, choice
from module.courier.control import Control
from module.errors import CLOSING

WAIT = Argument("wait", choice("spooled", "uploaded"), "spooled", "spooled (default) or uploaded")
_STAYS = "it stays in the spool"


class Waiting:
    """Add captures right after they were spooled; call ``end`` once, whatever has happened in between."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._futures: list[asyncio.Future[str]] = []

    def add(self, ids: Iterable[int]) -> None:
        """Wait for these captures too."""
        self._futures += [self._control.wait_for(capture_id) for capture_id in ids]

    async def until_ended(self) -> None:
        """Return once each has been delivered or rejected, or the service closes."""
        if self._futures:
            await asyncio.wait(self._futures)

    def end(self, timeout_s: float) -> tuple[list[str], str | None]:
        """Stop waiting. Returns the cloud's ids of the captures that it has, and why it lacks others; None: it has all.

        ``timeout_s``: for how long this has waited.
        """
        ended = [future for future in self._futures if future.done()]
        for future in self._futures:
            # Otherwise the uploader would keep them for ever.
            future.cancel()
        file_ids, error = [], None
        for future in ended:
            if future.cancelled():
                error = error or f"{CLOSING}; {_STAYS}"
            elif (rejected := future.exception()) is not None:
                error = str(rejected)
            else:
                file_ids.append(future.result())
        if error is None and len(ended) < len(self._futures):
            why = self._control.obstacle
            error = f"not uploaded within {timeout_s:g} s; {_STAYS}" + (f"; {why}" if why else "")
        return list(dict.fromkeys(file_ids)), error
