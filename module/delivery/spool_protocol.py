"""What delivery needs from the spool; ``module.spool.store`` and ``module.spool.barrier`` have the promises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from module.capture import FileMark, Item


class Barrier(Protocol):
    """What delivery asks about captures up to one of them."""

    async def last(self) -> int:
        """Return the id of the newest capture that waits."""

    async def waiting(self, last: int) -> tuple[int, int]:
        """Return how many captures up to this id wait, and their footprint."""


class Spool(Protocol):
    """What delivery needs from the spool's store."""

    work: asyncio.Event
    items: int

    def choose(self, now: float, *, flushing: bool, above: int = -1) -> tuple[int | None, float]:
        """Decide from which stream to claim."""

    async def claim(self, stream: int, most: int = 1) -> list[list[Item]]:
        """Take captures for at most so many uploads."""

    def acknowledge(
        self, items: Sequence[Item], *, sent: Sequence[FileMark] = (), soon: bool = False
    ) -> asyncio.Future[None]:
        """Take delivered captures out of the spool."""

    def release(self, items: Sequence[Item]) -> None:
        """Put claimed captures back."""

    def rest(self, stream: int, seconds: float) -> None:
        """Claim nothing from a stream for so many seconds."""

    async def fail(self, items: Sequence[Item], error: str, attempts: int) -> None:
        """Move claimed captures to the failures."""

    async def retry(self, ids: Sequence[int] | None = None) -> int:
        """Put failures back."""

    @property
    def barrier(self) -> Barrier:
        """Answers what waits up to one capture."""
