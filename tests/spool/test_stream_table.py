"""Streams that have nothing left: gone from memory and from the file while the spool is open."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from module.capture import Capture, Item, Kind, Origin
from module.sequence import SequenceSource
from module.spool.damage.salvage import salvage
from module.spool.database import Database
from module.spool.store import Store
from module.spool.stream_table import MOST_IDLE
from tests.spool.rig import Drops, Opener, claim, drain

ORIGIN = Origin("eye", Kind.BINARY, name="eye")


def _tagged(numbers: Sequence[int], source: str = "eye") -> list[Capture]:
    """Captures that have a stream each, as of commands that name tags."""
    return [Capture(replace(ORIGIN, source=source, tags=(str(n),)), n, n, b"%d" % n) for n in numbers]


def _in_file(tmp_path: Path) -> dict[int, int]:
    with closing(sqlite3.connect(tmp_path / "spool" / "spool.sqlite3")) as db:
        counted = "SELECT stream.id, count(capture.id) FROM stream LEFT JOIN capture ON stream = stream.id GROUP BY 1"
        return dict(db.execute(counted).fetchall())


async def _deliver(store: Store, numbers: Sequence[int]) -> None:
    await store.append(_tagged(numbers))
    assert len(await drain(store)) == len(numbers)


async def test_streams_that_have_nothing_left_go_while_the_spool_is_open(opened: Opener, tmp_path: Path) -> None:
    """What waits, is in flight, or failed keeps its stream, and is delivered by it."""
    store = await opened()
    (on_its_way,) = await store.append(_tagged([-1]))
    held = await claim(store)
    (failed,) = await store.append(_tagged([-2]))
    await store.fail(await claim(store), "no", 1)
    for first in range(0, 4 * MOST_IDLE, 100):
        await _deliver(store, range(first, first + 100))
    assert len(store._queues) == 1
    # The last group's acknowledgements may be tidied up with the next commit.
    assert len(_in_file(tmp_path)) <= MOST_IDLE + 102
    (waiting,) = await store.append(_tagged([-3]))
    store.release(held)
    assert await store.retry() == 1
    assert {item.id: item.origin.tags for item in await drain(store)} == {
        on_its_way: ("-1",),
        failed: ("-2",),
        waiting: ("-3",),
    }
    assert len(store._queues) == 0


async def test_a_stream_that_went_comes_back_as_a_new_one(opened: Opener, tmp_path: Path) -> None:
    """No id is used twice, restarts included: what an old page says of one must not speak of another."""
    store = await opened()
    await store.append(_tagged([0]))
    (first,) = _in_file(tmp_path)
    await drain(store)
    for start in range(1, 3 * MOST_IDLE, 50):
        await _deliver(store, range(start, start + 50))
    assert first not in _in_file(tmp_path)
    used = max(_in_file(tmp_path))
    await store.close()
    store = await opened()
    await store.append(_tagged([0]))
    assert _in_file(tmp_path) == {used + 1: 1}
    assert [item.origin.tags for item in await drain(store)] == [("0",)]


async def test_what_retention_or_a_person_took_lets_its_streams_go(
    opened: Opener, drops: Drops, tmp_path: Path
) -> None:
    store = await opened(max_bytes=200 * 100)
    for number in range(0, 6 * MOST_IDLE, 20):
        await store.append(_tagged(range(number, number + 20)))
    assert drops.count > MOST_IDLE
    await store.close()
    store = await opened(max_bytes=10**9)
    while items := await claim(store):
        await store.fail(items, "no", 1)
    await store.discard()
    await _deliver(store, [-1])
    assert len(_in_file(tmp_path)) <= MOST_IDLE
    assert len(store._queues) == 0


async def test_a_transaction_that_is_taken_back_forgets_no_stream(opened: Opener, tmp_path: Path) -> None:
    store = await opened()
    await store.append(_tagged(range(300)))
    items = list(itertools.chain.from_iterable([await claim(store) for _ in range(300)]))
    assert len(items) == 300

    def fail(database: object) -> None:
        database.drop([item.id for item in items])  # type: ignore[attr-defined]
        database._streams.tidy()  # type: ignore[attr-defined]
        raise ValueError("no")

    failing = asyncio.ensure_future(store._call(fail, writes=True))
    await asyncio.wait([failing])
    assert failing.exception() is not None
    await store.append(_tagged([-1]))
    assert sum(_in_file(tmp_path).values()) == 301
    store.release(items)
    assert len({item.origin.tags for item in await drain(store)}) == 301
    await _deliver(store, range(1000, 1000 + MOST_IDLE))
    assert len(_in_file(tmp_path)) <= 2 * MOST_IDLE


async def test_a_sequence_is_looked_at_by_its_own_streams(opened: Opener) -> None:
    """However many tag sets other sources have; the spool's thread counts the rows that SQLite steps through."""
    store = await opened()
    sources = [SequenceSource("door", "door", "GetImages")]
    sequence = await store.sequences.start(sources, [])
    await store.append(_tagged(range(5000)))
    await store.append(_tagged([-1, -2], source="door"))
    (item,) = [item for item in await _claim_of(store, "door") if item.payload == b"-1"]
    await store.fail([item], "no", 1)
    await store.sequences.stop(sequence.id)
    steps = await store._call(_counting_steps, writes=False)
    (seen,) = await store.sequences.look()
    assert seen.waiting_for == 2
    assert steps < 1000


async def _claim_of(store: Store, source: str) -> list[Item]:
    taken: list[Item] = []
    while not any(item.origin.source == source for item in taken):
        taken += await claim(store)
    found = [item for item in taken if item.origin.source == source]
    store.release([item for item in taken if item.origin.source != source])
    return found


def _counting_steps(database: object) -> int:
    """How often SQLite came by, every hundred of its virtual machine's instructions, in one look at all sequences."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    db: sqlite3.Connection = database._db  # type: ignore[attr-defined]
    db.set_progress_handler(count, 10)
    try:
        database.sequences.all()  # type: ignore[attr-defined]
    finally:
        db.set_progress_handler(None, 0)
    return steps * 10


async def test_of_two_streams_of_one_origin_a_salvage_takes_the_newer(opened: Opener, tmp_path: Path) -> None:
    """An older page may still hold the one that had nothing left."""
    store = await opened()
    await store.append(_tagged([5]))
    await store.close()
    damaged, fresh = tmp_path / "spool" / "spool.sqlite3", tmp_path / "fresh.sqlite3"
    with closing(sqlite3.connect(damaged, isolation_level=None)) as db:
        db.execute("ALTER TABLE stream RENAME TO whole")
        db.execute(
            "CREATE TABLE stream (id INTEGER PRIMARY KEY, origin TEXT, items INTEGER, bytes INTEGER, crc INTEGER)"
        )
        db.execute("INSERT INTO stream SELECT * FROM whole UNION ALL SELECT 0, origin, 3, 30, crc FROM whole")
    done = salvage(damaged, fresh)
    assert (done.saved, done.unreadable) == (1, 0)
    with closing(Database(fresh)) as database:
        assert [(row.id, row.items) for row in database.streams()] == [(1, 1)]
