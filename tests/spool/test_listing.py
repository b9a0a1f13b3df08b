"""Which captures a stream has, in memory and by the list: whatever happens, none is forgotten and none comes twice."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from module.spool import listing
from module.spool.damage.salvage import salvage
from module.spool.schema import PAGE_BYTES, SCHEMA_VERSION
from tests.faults.version_1 import write_version_1
from tests.spool.numbered import capture, check, copied, drain_damaged, filled, overwrite, spool_file
from tests.spool.rig import Opener, claim, drain, make_version_3


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


async def test_a_backlog_is_listed_but_for_its_newest(
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


async def test_a_spool_of_version_4_with_a_backlog_is_taken_over_as_it_is(opened: Opener, tmp_path: Path) -> None:
    store = await filled(opened, 500)
    await store.fail((await claim(store))[:3], "no", 1)
    await store.close()
    path = spool_file(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "DROP TABLE listed; CREATE INDEX capture_by_stream ON capture (stream); PRAGMA user_version = 4"
        )
    store = await opened(max_bytes=10**9)
    assert (store.items + store.failed, store.damaged, store.unreadable) == (500, None, 0)
    await store.retry()
    assert check(await drain(store)) == set(range(500))
    assert _count(path, "PRAGMA user_version") == SCHEMA_VERSION == 5


async def test_a_file_with_pages_of_an_earlier_version_gets_todays_once_little_is_in_it(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_version_1(tmp_path / "spool", tmp_path / "watched")
    monkeypatch.setattr("module.spool.schema._LITTLE_BYTES", 0)
    store = await opened()
    assert (store.items, store.failed, store.damaged) == (6, 2, None)
    await store.close()
    assert _count(spool_file(tmp_path), "PRAGMA page_size") == 16_384
    monkeypatch.undo()
    store = await opened()
    assert (store.items, store.failed, store.damaged) == (6, 2, None)
    assert _count(spool_file(tmp_path), "PRAGMA page_size") == PAGE_BYTES
    assert len(await drain(store)) == 6


@pytest.mark.parametrize("header", [True, False])
async def test_a_damaged_file_with_pages_of_an_earlier_version_is_read_off_its_pages(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, header: bool
) -> None:
    """Also if nothing but its third page tells of the size of its pages."""
    monkeypatch.setattr("module.spool.schema.PAGE_BYTES", 16_384)
    store = await filled(opened, 100)
    await store.close()
    monkeypatch.undo()
    path = spool_file(tmp_path)
    assert _count(path, "PRAGMA page_size") == 16_384
    make_version_3(path)
    root = _count(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'capture'")
    overwrite(path, (root - 1) * 16_384, bytes(100))
    if not header:
        overwrite(path, 0, bytes(100))
    shutil.copy(path, tmp_path / "damaged.sqlite3")
    done = salvage(tmp_path / "damaged.sqlite3", tmp_path / "new.sqlite3")
    assert (done.saved, done.unreadable) == (100, 0)
