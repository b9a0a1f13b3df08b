"""Which captures a stream has, in memory and by the list: whatever happens, none is forgotten and none comes twice."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from module.spool import listing
from tests.spool.numbered import capture, check, copied, drain_damaged, filled, spool_file
from tests.spool.rig import Opener, claim, drain


def _listed(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM listed").fetchone()[0])


def _count(path: Path, sql: str) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute(sql).fetchone()[0])


async def test_what_is_soon_delivered_is_never_listed(opened: Opener, tmp_path: Path) -> None:
    store = await opened()
    for number in range(100):
        await store.append([capture(number)])
        assert _listed(spool_file(tmp_path)) == 0
        await drain(store)
    assert _count(spool_file(tmp_path), "SELECT count(*) FROM capture") == 0


async def test_a_backlog_is_listed_except_its_newest(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_FRESH", 100)
    store = await opened()
    for first in range(0, 500, 50):
        await store.append([capture(number) for number in range(first, first + 50)])
    assert 390 <= _listed(spool_file(tmp_path)) < 500
    assert check(await drain(store)) == set(range(500))
    assert _listed(spool_file(tmp_path)) == 0


@pytest.mark.parametrize("seed", range(8))
async def test_all_that_happens_to_captures_keeps_them_in_one_place(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Appends, deliveries, rejections, retries, restarts and kills in any order."""
    monkeypatch.setattr(listing, "MOST_FRESH", 20)
    dice, number, delivered = random.Random(seed), 0, set[int]()
    store = await opened(max_bytes=10**9)
    for step in range(120):
        match dice.choice(("append", "append", "deliver", "deliver", "reject", "retry", "restart", "kill")):
            case "append":
                count = dice.randrange(1, 12)
                await store.append([capture(each) for each in range(number, number + count)])
                number += count
            case "deliver":
                items = await claim(store)
                delivered |= check(items)
                await store.acknowledge(items)
            case "reject":
                await store.fail((await claim(store))[:3], "no", 1)
            case "retry":
                await store.retry()
            case "restart":
                await store.close()
                store = await opened(directory=str(store.directory), max_bytes=10**9)
            case _:
                path = copied(store.directory / "spool.sqlite3", tmp_path / f"killed-{step}")
                await store.close()
                store = await opened(directory=str(path.parent), max_bytes=10**9)
        assert store.items + store.failed + len(delivered) == number
    await store.retry()
    left = check(await drain(store))
    # What was claimed and not settled in this life is in flight.
    await store.close()
    store = await opened(directory=str(store.directory), max_bytes=10**9)
    left |= check(await drain(store))
    assert left.isdisjoint(delivered)
    assert left | delivered == set(range(number))
    assert (store.items, store.bytes, store.damaged, store.unreadable) == (0, 0, None, 0)


async def test_no_id_is_used_twice_though_the_newest_captures_have_gone(opened: Opener, tmp_path: Path) -> None:
    store = await opened()
    await store.append([capture(1), capture(2)])
    await drain(store)
    path = copied(spool_file(tmp_path), tmp_path / "killed")
    (path.parent / "last-id").unlink()
    store = await opened(directory=str(path.parent))
    assert await store.append([capture(3)]) == [3]


async def test_a_list_that_leads_to_no_capture_is_damage_and_costs_none(opened: Opener, tmp_path: Path) -> None:
    """A flipped bit in it is none to SQLite: a capture would wait for ever."""
    store = await filled(opened, 50)
    await store.close()
    with closing(sqlite3.connect(spool_file(tmp_path))) as db, db:
        db.execute("UPDATE listed SET id = id + 1000 WHERE id = 25")
    store = await opened()
    assert await drain_damaged(store) == set(range(50))
    assert store.damaged is not None
    assert (store.items, store.unreadable) == (0, 0)
