"""Waiting for what has no event of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

PATIENCE_S = 30.0
"""Longer than a busy computer needs for anything that takes well under a second."""


async def until(holds: Callable[[], object], state: Callable[[], object] = lambda: "no state is known") -> None:
    """Return once it holds. If it never does, the error says what ``state`` returns then."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                await asyncio.sleep(0.005)
            return
    raise AssertionError(f"not within {PATIENCE_S:g} s: {state()}")
