"""A service that takes over spools which nobody opens any more, and such spools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from module.capture import Capture, Kind, Origin
from module.errors import SpoolError
from module.spool.store import Store
from tests.spool.rig import LOGGER, Opener, drain, spool_config, upload_config

ROWS = Origin(source="s", kind=Kind.ROW, api="rdk:component:sensor", name="s", method="Readings")


def row(number: int) -> Capture:
    return Capture(ROWS, number, number, b"%d" % number)


class Service:
    """A store of this name below one folder, with its adopter at work."""

    def __init__(self, folder: Path, name: str = "ours", **spool: Any) -> None:
        self.directory = folder / name
        settings = spool_config(**{"directory": str(self.directory), "min_free_bytes": 0, **spool})
        self.store = Store(settings, upload_config(), LOGGER)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.store.open()
        self._task = asyncio.create_task(self.store.adopter.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.store.close()

    async def adopt(self, directory: Path | str) -> int:
        return await asyncio.wait_for(self.store.adopter.adopt(str(directory)), 20)

    async def until(self, holds: Callable[[], bool], pause_s: float = 0.01) -> None:
        async with asyncio.timeout(20):
            while not holds():
                await asyncio.sleep(pause_s)

    async def half_way(self) -> None:
        # Looks in each turn of the loop, so that most parts are still to come.
        await self.until(lambda: self.store.items >= 3, pause_s=0)


async def payloads(store: Store) -> list[bytes]:
    return sorted(item.payload for item in await drain(store))


async def make_orphan(opened: Opener, directory: Path, rows: int = 10) -> None:
    store = await opened(directory=str(directory))
    await store.append([row(number) for number in range(1, rows + 1)])
    await store.close()


EXPECTED = sorted(b"%d" % number for number in range(1, 11))


async def interrupt_adoption(folder: Path, name: str = "ours") -> None:
    """Let a service adopt the spool ``old``, and end it half way."""
    async with Service(folder, name) as service:
        adopting = asyncio.create_task(service.store.adopter.adopt(str(folder / "old")))
        await service.half_way()
    with pytest.raises(SpoolError, match="interrupted"):
        await adopting
