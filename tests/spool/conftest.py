from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from module.spool.store import Store
from tests.spool.rig import LOGGER, Drops, Opener, SlowDisk, spool_config, upload_config


@pytest.fixture
def drops() -> Drops:
    """What the spool of this test says that it dropped."""
    return Drops()


@pytest.fixture
async def opened(tmp_path: Path, drops: Drops) -> AsyncIterator[Opener]:
    """Open the spool of this test, with these settings; closed at its end."""
    stores: list[Store] = []

    async def open_store(*, upload: dict[str, Any] | None = None, **spool: Any) -> Store:
        settings = spool_config(**{"directory": str(tmp_path / "spool"), "min_free_bytes": 0, **spool})
        store = Store(settings, upload_config(**upload or {}), LOGGER, listener=drops)
        stores.append(store)
        await store.open()
        return store

    yield open_store
    for store in stores:
        await store.close()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    disk = SlowDisk(monkeypatch)
    yield disk
    disk.work()
