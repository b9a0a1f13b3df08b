"""An event loop whose timers are exact to some microseconds; Python's own, on Linux, are up to a millisecond late."""

from __future__ import annotations

import asyncio
import select
import selectors


def event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop. On systems without epoll it is Python's own, whose timers are exact there."""
    if not hasattr(selectors, "EpollSelector"):
        return asyncio.new_event_loop()
    return asyncio.SelectorEventLoop(_ExactSelector())


if hasattr(selectors, "EpollSelector"):

    class _ExactSelector(selectors.EpollSelector):
        """Waits by ``select``, whose timeout is in microseconds; that of epoll is in whole milliseconds."""

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is not None and timeout > 0:
                # One descriptor stands for all of them. It is made with the loop, so it is far below select's limit.
                select.select((self.fileno(),), (), (), timeout)
                timeout = 0
            return super().select(timeout)
