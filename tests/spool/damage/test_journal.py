"""A spool whose journal was damaged, cut short or lost: what it held is delivered or counted, and nothing else is."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from module.spool.schema import PAGE_BYTES
from tests.spool.numbered import MORE_THAN_CACHED, capture, check, copied, drain_damaged, filled, overwrite, spool_file
from tests.spool.rig import Opener, claim, drain


@pytest.mark.parametrize("seed", range(16))
async def test_damage_to_the_journal_costs_no_capture_unnamed(opened: Opener, tmp_path: Path, seed: int) -> None:
    """SQLite takes the place where the journal breaks off for its end: the mark beside it says how many followed."""
    await filled(opened)
    path, dice = copied(spool_file(tmp_path), tmp_path / "copy"), random.Random(seed)
    log = Path(f"{path}-wal")
    size = log.stat().st_size
    assert size > 20 * PAGE_BYTES
    for _ in range(seed % 3 + 1):
        overwrite(log, 0 if seed == 0 else dice.randrange(size), dice.randbytes(dice.choice((16, 100, 40_000))))
    os.truncate(log, size)
    store = await opened(directory=str(path.parent), max_bytes=10**9)
    delivered = check(await drain(store))
    assert len(delivered) + store.failed + store.unreadable >= 500
    assert len(delivered) + store.unreadable <= 500
    assert (store.items, store.bytes) == (0, 0)


@pytest.mark.parametrize("seed", range(8))
async def test_a_journal_that_is_cut_short_in_use_costs_no_capture_unnamed(
    opened: Opener, tmp_path: Path, seed: int
) -> None:
    store = await filled(opened, MORE_THAN_CACHED)
    log = Path(f"{spool_file(tmp_path)}-wal")
    os.truncate(log, random.Random(seed).randrange(log.stat().st_size))
    delivered = await drain_damaged(store)
    assert store.damaged is not None
    assert len(delivered) + store.failed + store.unreadable >= MORE_THAN_CACHED
    assert store.unreadable <= MORE_THAN_CACHED
    assert store.items == 0


async def test_what_a_file_does_not_even_tell_of_is_counted_too(opened: Opener, tmp_path: Path) -> None:
    """Zeros where its streams and counters stood, as holes of a journal leave them: the mark beside it tells."""
    store = await filled(opened)
    assert len(await claim(store)) == 1
    await store.close()
    file = spool_file(tmp_path)
    overwrite(file, PAGE_BYTES, bytes(file.stat().st_size - PAGE_BYTES))
    store = await opened()
    assert (store.items, store.unreadable) == (0, 500)


async def test_what_was_delivered_is_not_among_what_a_lost_journal_cost(opened: Opener, tmp_path: Path) -> None:
    store = await filled(opened, 300)
    assert len(await drain(store)) == 300
    await store.append([capture(number) for number in range(300, 320)])
    path = copied(spool_file(tmp_path), tmp_path / "copy")
    Path(f"{path}-wal").write_bytes(b"")
    store = await opened(directory=str(path.parent))
    assert (store.items, store.unreadable) == (0, 20)
    (new_id,) = await store.append([capture(1000)])
    assert new_id > 320


async def test_a_journal_that_has_begun_again_brings_nothing_back(opened: Opener, tmp_path: Path) -> None:
    """Behind its end stand frames of its last time, with captures that have been delivered since."""
    store = await filled(opened, 300)
    delivered = check(await drain(store))
    assert len(delivered) == 300
    with closing(sqlite3.connect(spool_file(tmp_path))) as other:
        assert other.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0] == 0
    await store.append([capture(1000)])
    path = copied(spool_file(tmp_path), tmp_path / "copy")
    log = Path(f"{path}-wal").read_bytes()
    assert log[16:24] not in log[-24 - PAGE_BYTES :], "there is nothing of an earlier time behind its end"
    store = await opened(directory=str(path.parent))
    assert check(await drain(store)) == {1000}
    assert store.unreadable == 0


async def test_what_a_power_cut_tore_before_it_was_safe_is_not_counted_as_lost(opened: Opener, tmp_path: Path) -> None:
    """It had not been said to be captured; what came before the tear is delivered all the same."""
    store = await filled(opened, 300)
    safe = copied(spool_file(tmp_path), tmp_path / "safe")
    for first in range(300, 500, 50):
        await store.append([capture(number) for number in range(first, first + 50)])
    path = copied(spool_file(tmp_path), tmp_path / "copy")
    (path.parent / "last-id").write_bytes((safe.parent / "last-id").read_bytes())
    begin, end = (Path(f"{each}-wal").stat().st_size for each in (safe, path))
    overwrite(Path(f"{path}-wal"), begin, bytes((end - begin) // 2))
    store = await opened(directory=str(path.parent), max_bytes=10**9)
    assert 300 <= len(check(await drain(store))) < 500
    assert store.unreadable == 0
