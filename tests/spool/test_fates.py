"""What the spool tells of each capture that comes, moves or goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

import pytest

from module.attributes.uploader import parse
from module.capture import Capture, Fate, Kind, Origin
from module.errors import SpoolFull
from module.spool.listener import Listener
from module.spool.store import Store
from tests.spool.rig import claim

ORIGIN = Origin(source="s", kind=Kind.BINARY)
IMAGE = Capture(ORIGIN, 1, 1, bytes(300_000))
LOW = Capture(Origin(source="low", kind=Kind.BINARY, priority=1), 1, 1, bytes(300_000))


class Told(Listener):
    """All that one spool has said."""

    def __init__(self) -> None:
        self.appended: list[int] = []
        self.refused: list[Capture] = []
        self.fates: list[tuple[int, Fate]] = []

    def on_append(self, captures: Sequence[Capture], ids: Sequence[int]) -> None:
        self.appended.extend(ids)

    def on_refuse(self, captures: Sequence[Capture]) -> None:
        self.refused.extend(captures)

    def on_fate(self, ids: Iterable[int], fate: Fate) -> None:
        self.fates.extend((capture_id, fate) for capture_id in ids)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def store(tmp_path: Path, told: Told) -> AsyncIterator[Store]:
    cloud = {"part_id": "part", "api_key_id": "id", "api_key": "key"}
    spool = {"directory": str(tmp_path), "min_free_bytes": 0, "max_bytes": 2**20}
    config = parse({"spool": spool, "cloud": cloud}, service="uploader", environ={})
    store = Store(config.spool, config.upload, logging.getLogger("test"), listener=told)
    await store.open()
    yield store
    await store.close()


async def test_the_listener_hears_of_captures_before_their_caller_continues(store: Store, told: Told) -> None:
    waiting = store.append_soon([IMAGE, IMAGE])
    seen: list[list[int]] = []
    waiting.add_done_callback(lambda _: seen.append(list(told.appended)))
    assert await waiting == [1, 2]
    await asyncio.sleep(0)
    assert seen == [[1, 2]]
    assert (told.refused, told.fates) == ([], [])


async def test_the_listener_hears_of_failures_retries_and_discards(store: Store, told: Told) -> None:
    await store.append([IMAGE, IMAGE])
    await store.fail([*await claim(store), *await claim(store)], "bad", 1)
    await store.retry([1])
    await store.discard()
    assert told.fates == [(1, Fate.FAILED), (2, Fate.FAILED), (1, Fate.SPOOLED), (2, Fate.DROPPED)]


async def test_the_listener_hears_of_drops_and_refusals(store: Store, told: Told) -> None:
    await store.append([IMAGE])
    await store.fail(await claim(store), "bad", 1)
    for _ in range(4):
        await store.append([IMAGE])
    assert told.fates == [(1, Fate.FAILED), (1, Fate.DROPPED), (2, Fate.DROPPED)]
    with pytest.raises(SpoolFull):
        await store.append([LOW])
    assert told.refused == [LOW]


async def test_the_listener_does_not_hear_of_deliveries(store: Store, told: Told) -> None:
    await store.append([IMAGE])
    await store.acknowledge(await claim(store))
    assert told.fates == []
