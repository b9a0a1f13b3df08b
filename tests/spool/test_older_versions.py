"""A spool that an older version left, whatever state it is in, is taken over: nothing in it is lost or comes twice."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from module.capture import FileMark
from module.sequence import SequenceSource
from module.spool import schema
from module.spool.damage.salvage import salvage
from module.spool.schema import PAGE_BYTES, SCHEMA_VERSION
from tests.faults.version_1 import write_version_1
from tests.spool.numbered import capture, check, copied, drain_damaged, filled, overwrite, spool_file
from tests.spool.rig import Opener, claim, drain, make_version_1, make_version_2, make_version_3, make_version_4

OLD_PAGE_BYTES = 16_384
COUNT = 500
SENT = FileMark(path="/data/sent.txt", size=1, modified_ns=2)
Older = Callable[[Path], None]
VERSIONS = pytest.mark.parametrize(
    "make_older", [make_version_1, make_version_2, make_version_3, make_version_4], ids=["1", "2", "3", "4"]
)


async def _left_behind(opened: Opener, tmp_path: Path, make_older: Older, *, killed: bool) -> Path:
    """A spool of 497 captures that wait, three failures, a file that was sent and an open sequence, in large pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "PAGE_BYTES", OLD_PAGE_BYTES)
        store = await filled(opened, COUNT)
        for _ in range(3):
            await store.fail((await claim(store))[:1], "no", 1)
        await store.files.note_sent([SENT])
        await store.sequences.start([SequenceSource("s", "rdk:component:sensor", "Readings")], ["a tag"])
        await store.close()
    path = spool_file(tmp_path)
    (path.parent / "last-id").write_text(f"{COUNT:020} {COUNT:020}")
    with closing(sqlite3.connect(path)) as other:
        # While it reads, the journal stays, as it does at a kill.
        assert other.execute("PRAGMA page_size").fetchone() == (OLD_PAGE_BYTES,)
        make_older(path)
        if killed:
            with closing(sqlite3.connect(path, isolation_level=None)) as db:
                for change in (1, -1):
                    db.execute("UPDATE capture SET footprint = footprint + ?", (change,))
                path = copied(path, tmp_path / "killed")
                assert Path(f"{path}-wal").stat().st_size > OLD_PAGE_BYTES
    return path


def _count(path: Path, sql: str) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute(sql).fetchone()[0])


@VERSIONS
@pytest.mark.parametrize("killed", [False, True], ids=["closed", "killed"])
async def test_a_backlog_failures_and_what_was_sent_are_taken_over(
    opened: Opener, tmp_path: Path, make_older: Older, *, killed: bool
) -> None:
    path = await _left_behind(opened, tmp_path, make_older, killed=killed)
    store = await opened(directory=str(path.parent), max_bytes=10**9)
    assert (store.items, store.failed, store.damaged, store.unreadable) == (COUNT - 3, 3, None, 0)
    assert [each.tags for each in await store.sequences.look()] == [("a tag",)]
    assert await store.files.sent_files([SENT]) == [SENT]
    assert await store.append([capture(COUNT)]) == [COUNT + 1]
    await store.retry()
    assert check(await drain(store)) == {*range(COUNT + 1)}
    await store.close()
    assert _count(path, "PRAGMA user_version") == SCHEMA_VERSION


@VERSIONS
@pytest.mark.parametrize("seed", range(4))
async def test_one_that_is_damaged_loses_no_capture_unnamed(
    opened: Opener, tmp_path: Path, make_older: Older, seed: int
) -> None:
    """By holes in its file and its journal; a version without checksums cannot be read off its pages."""
    path = await _left_behind(opened, tmp_path, make_older, killed=True)
    dice = random.Random(seed)
    for _ in range(3):
        damaged = path if seed % 2 else Path(f"{path}-wal")
        overwrite(damaged, dice.randrange(damaged.stat().st_size), bytes(dice.choice((16, 1000, 40_000))))
    store = await opened(directory=str(path.parent), max_bytes=10**9)
    # Among the failures are those that the damage was found in when they were read.
    delivered = await drain_damaged(store)
    assert len(delivered) + store.failed + store.unreadable >= COUNT
    assert store.unreadable < COUNT or not delivered
    assert store.items == 0
    (new_id,) = await store.append([capture(COUNT)])
    assert new_id > COUNT


async def test_its_file_gets_pages_of_todays_size_once_little_is_in_it(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_version_1(tmp_path / "spool", tmp_path / "watched")
    monkeypatch.setattr(schema, "_LITTLE_BYTES", 0)
    store = await opened()
    assert (store.items, store.failed, store.damaged) == (6, 2, None)
    await store.close()
    assert _count(spool_file(tmp_path), "PRAGMA page_size") == OLD_PAGE_BYTES
    monkeypatch.undo()
    store = await opened()
    assert (store.items, store.failed, store.damaged) == (6, 2, None)
    assert _count(spool_file(tmp_path), "PRAGMA page_size") == PAGE_BYTES
    assert len(await drain(store)) == 6


@pytest.mark.parametrize("header", [True, False])
async def test_one_that_is_damaged_is_read_off_its_pages(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, header: bool
) -> None:
    """Also if nothing but its third page tells of the size of its pages."""
    monkeypatch.setattr(schema, "PAGE_BYTES", OLD_PAGE_BYTES)
    store = await filled(opened, 100)
    await store.close()
    monkeypatch.undo()
    path = spool_file(tmp_path)
    make_version_3(path)
    root = _count(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'capture'")
    overwrite(path, (root - 1) * OLD_PAGE_BYTES, bytes(100))
    if not header:
        overwrite(path, 0, bytes(100))
    shutil.copy(path, tmp_path / "damaged.sqlite3")
    done = salvage(tmp_path / "damaged.sqlite3", tmp_path / "new.sqlite3")
    assert (done.saved, done.unreadable) == (100, 0)
