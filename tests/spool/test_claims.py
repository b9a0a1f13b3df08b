"""What happens on the event loop while the spool's thread reads the disk for a claim."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from module.attributes.uploader import parse
from module.capture import Capture, Item, Kind, Origin
from module.errors import SpoolError
from module.spool.database import Database
from module.spool.store import Store
from tests.spool import rig

IMAGES = Origin("eye", Kind.BINARY)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A spool with three captures, the bytes of which are their numbers."""
    attributes = {"spool": {"directory": str(tmp_path / "spool"), "min_free_bytes": 0}, "upload": {"disabled": True}}
    config = parse(attributes, service="uploader", environ={})
    store = Store(config.spool, config.upload, logging.getLogger("test"))
    await store.open()
    await store.append([Capture(IMAGES, n, n, b"%d" % n) for n in range(3)])
    yield store
    await store.close()


async def claim(store: Store) -> list[Item]:
    stream, _ = store.choose(0.0, flushing=True)
    return [] if stream is None else list(itertools.chain.from_iterable(await store.claim(stream)))


async def drain(store: Store) -> list[bytes]:
    taken: list[bytes] = []
    while items := await claim(store):
        taken += [item.payload for item in items]
        await store.acknowledge(items)
    return taken


@pytest.mark.parametrize("put_back_before", [False, True])
async def test_what_is_released_while_others_are_claimed_is_found_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, put_back_before: bool
) -> None:
    """It comes back behind the reader, and at the very place where the reader began if one came back before."""
    read, select = threading.Event(), Database.select

    def select_and_tell(*args: Any, **options: Any) -> tuple[list[Item], list[int]]:
        found = select(*args, **options)
        read.set()
        return found

    held = await claim(store)
    if put_back_before:
        first, held = held, await claim(store)
        store.release(first)
        await store.acknowledge(await claim(store))
    monkeypatch.setattr(Database, "select", select_and_tell)
    claiming = asyncio.ensure_future(claim(store))
    await asyncio.sleep(0)
    assert read.wait(30)
    store.release(held)
    (item,) = await claiming
    left = {b"1", b"2"} if put_back_before else {b"0", b"1", b"2"}
    assert set(await drain(store)) == left - {item.payload}
    assert store.items == 1


async def test_a_claim_that_fails_takes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """And whatever the error is, the spool goes on."""
    with monkeypatch.context() as patch:
        patch.setattr(Database, "select", lambda *_, **__: 1 // 0)
        with pytest.raises(SpoolError, match="division"):
            await claim(store)
    assert await drain(store) == [b"0", b"1", b"2"]


async def test_a_stream_of_damaged_captures_ends_neither_claims_nor_what_waits_behind_them(
    opened: rig.Opener, disk: rig.SlowDisk, tmp_path: Path
) -> None:
    store = await opened()
    await store.append([Capture(IMAGES, n, n, b"damaged") for n in range(1500)])
    with closing(sqlite3.connect(tmp_path / "spool" / "spool.sqlite3")) as other:
        other.execute("UPDATE capture SET crc = crc + 1")
        other.commit()
    await store.append([Capture(IMAGES, 1500, 1500, b"whole")])
    before = disk.commits
    assert [item.payload for item in await rig.drain(store)] == [b"whole"]
    assert disk.commits - before < 10
    assert (store.items, store.failed) == (0, 1500)


async def test_a_claim_that_is_given_up_takes_nothing(store: Store) -> None:
    claiming = asyncio.ensure_future(claim(store))
    await asyncio.sleep(0)
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    assert await drain(store) == [b"0", b"1", b"2"]
