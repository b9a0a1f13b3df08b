"""How a file shrinks: soon when little is used of it, and never for long at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from module.spool import free_pages
from module.spool.database import Database
from tests.spool.numbered import capture, check

PATH = "spool.sqlite3"
FRAMES = range(0, 5000, 10)
"""The numbers of images, of 40 kB each."""
COUNT = len(FRAMES)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Database]:
    """20 MB of images."""
    with closing(Database(tmp_path / PATH)) as db:
        db.begin(durable=False)
        db.insert([capture(number) for number in FRAMES])
        db.commit()
        yield db


def _deliver(db: Database, first: int, last: int) -> None:
    db.begin(durable=False)
    db.delete(1, range(first, last + 1), 0)
    db.commit()


def _delivered(db: Database) -> set[int]:
    items, damaged = db.select(1, 0, rows=COUNT, size=10**9, without=())
    assert damaged == []
    return check(items)


def test_a_file_of_which_little_is_used_shrinks_at_once(spool: Database, tmp_path: Path) -> None:
    """Its captures stay."""
    before = _delivered(spool)
    _deliver(spool, 11, COUNT)
    assert spool.free_pages.bytes > free_pages.KEEP_BYTES
    assert spool.free_pages.shrink() == 0.0
    assert spool.free_pages.bytes == 0
    assert (tmp_path / PATH).stat().st_size < 1_000_000
    assert _delivered(spool) == {number for number in before if number < 100}
    spool.begin(durable=True)
    assert spool.insert([capture(1)])[0][0] == COUNT + 1
    spool.commit()


def test_a_file_is_not_written_again_and_again(spool: Database) -> None:
    _deliver(spool, 1, COUNT)
    assert spool.free_pages.shrink() == 0.0
    spool.begin(durable=False)
    spool.insert([capture(number) for number in FRAMES])
    spool.commit()
    _deliver(spool, COUNT + 1, 2 * COUNT)
    assert 0 < spool.free_pages.shrink() <= free_pages.REWRITE_S
    assert spool.free_pages.bytes > free_pages.KEEP_BYTES


def test_a_file_that_is_in_use_shrinks_in_short_steps(spool: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of free pages that is searched for each of them would hold up all captures."""
    monkeypatch.setattr(free_pages, "STEP_S", 0.0)
    _deliver(spool, 1, COUNT // 2)
    before = spool.free_pages.bytes
    assert spool.free_pages.shrink() > 0
    assert 0 < before - spool.free_pages.bytes <= 4096
    monkeypatch.undo()
    for _ in range(10_000):
        if not spool.free_pages.shrink():
            break
    assert spool.free_pages.bytes <= free_pages.KEEP_BYTES
    assert len(_delivered(spool)) == COUNT - COUNT // 2


def test_what_is_free_for_captures_to_come_stays(spool: Database) -> None:
    _deliver(spool, 1, 100)
    before = spool.free_pages.bytes
    assert 0 < before <= free_pages.KEEP_BYTES
    assert spool.free_pages.shrink() == 0.0
    assert spool.free_pages.bytes == before
