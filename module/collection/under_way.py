"""Counts the polls of one source that are under way, on schedule or on command."""

from __future__ import annotations

import asyncio
import contextlib


class UnderWay:
    """A context for each poll; the same object for all of them."""

    __slots__ = ("_at_rest", "_polls")

    def __init__(self) -> None:
        self._polls = 0
        self._at_rest = asyncio.Event()
        self._at_rest.set()

    def __enter__(self) -> None:
        self._polls += 1
        self._at_rest.clear()

    def __exit__(self, *_: object) -> None:
        self._polls -= 1
        if not self._polls:
            self._at_rest.set()

    async def settled(self, at_most_s: float) -> None:
        """Return once no poll is under way, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._at_rest.wait()
