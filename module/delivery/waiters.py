"""Futures of the cloud's id, for callers that wait until a capture is delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from module.capture import Item
from module.errors import Rejected


class Waiters:
    """The futures of all captures that somebody waits for."""

    def __init__(self) -> None:
        self._of_capture: dict[int, asyncio.Future[str]] = {}

    def wait_for(self, capture_id: int) -> asyncio.Future[str]:
        """Return a future of the cloud's id for a capture; it raises Rejected."""
        waiter = self._of_capture.get(capture_id)
        if waiter is None:
            waiter = self._of_capture[capture_id] = asyncio.get_running_loop().create_future()
            # Also if nobody waits any more: nothing else would remove it.
            waiter.add_done_callback(lambda _: self._of_capture.pop(capture_id, None))
        return waiter

    def delivered(self, items: Iterable[Item], file_id: str) -> None:
        """Note that the cloud has these captures, under this id."""
        if not self._of_capture:
            return
        for item in items:
            waiter = self._of_capture.get(item.id)
            if waiter is not None and not waiter.done():
                waiter.set_result(file_id)

    def rejected(self, item: Item, error: str) -> None:
        """Note that the cloud does not take this capture."""
        waiter = self._of_capture.get(item.id)
        if waiter is not None and not waiter.done():
            waiter.set_exception(Rejected(error))

    def close(self) -> None:
        """Cancel the futures of all who still wait."""
        for waiter in self._of_capture.values():
            waiter.cancel()
