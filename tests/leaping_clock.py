"""A clock of the event loop that leaps: a test of waiting takes no time, and no bound depends on the computer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest


def leap_over_waits(loop: asyncio.AbstractEventLoop, patch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let the clock of a loop stand still while there is work, and leap to the next timer when there is none.

    Returns what lets so many seconds pass at once, as work does that holds the loop up.
    Only for tests without threads, processes and sockets: they go by the real clock.
    """
    selector = vars(loop)["_selector"]
    select, now = selector.select, loop.time()

    def leap(timeout: float | None = None) -> Any:
        nonlocal now
        if timeout is None:
            return select(None)
        ready = select(0)
        now += 0 if ready else timeout
        return ready

    def work(seconds: float) -> None:
        nonlocal now
        now += seconds

    patch.setattr(selector, "select", leap)
    patch.setattr(loop, "time", lambda: now)
    return work


def let_time_pass(loop: asyncio.AbstractEventLoop, patch: pytest.MonkeyPatch) -> Callable[[float], Awaitable[None]]:
    """Return what lets so many seconds pass at once on the clock of a loop, which otherwise runs as usual.

    When it has been awaited, what was due meanwhile has been done, except by threads.
    """
    time, passed = loop.time, 0.0

    async def leap(seconds: float) -> None:
        nonlocal passed
        passed += seconds
        await asyncio.sleep(0.01)

    patch.setattr(loop, "time", lambda: time() + passed)
    return leap
