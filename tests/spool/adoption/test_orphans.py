"""Spools that nobody opens any more are found and named; those that are open, or soon will be, are not."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from pathlib import Path

import pytest

from module.capture import Capture, Kind, Origin
from module.spool.adoption.orphans import PATIENCE_S, Neighbours, Orphan, OrphanWatch
from module.spool.lock import LockFile
from module.spool.place import Place
from tests.faults.version_1 import write_version_1
from tests.spool.rig import LOGGER, Opener, claim

ROWS = Origin(source="s", kind=Kind.ROW, api="rdk:component:sensor", name="s", method="Readings")


class Watching:
    """One service's look around, with a clock that goes on only when it is told."""

    def __init__(self, folder: Path, former: Path | None = None, neighbours: Neighbours | None = None) -> None:
        self.now = 1000.0
        self.neighbours = neighbours or Neighbours()
        self.own = folder / "ours"
        place = Place(self.own, former, LOGGER)
        self.watch = OrphanWatch(place, LOGGER, self.neighbours, clock=lambda: self.now)

    async def looks(self, *, for_s: float = 0.0) -> list[Orphan]:
        """Look each minute for so long, and now; returns what was found last."""
        until = self.now + for_s
        await self.watch.look()
        while self.now < until:
            self.now = min(until, self.now + 60)
            await self.watch.look()
        return self.watch.found


async def leave(opened: Opener, directory: Path, *times: int, failed: int = 0) -> None:
    store = await opened(directory=str(directory))
    await store.append([Capture(ROWS, at, at, b"row") for at in times])
    if failed:
        items = await claim(store)
        await store.fail(items[:failed], "no", 1)
    await store.close()


async def test_a_spool_that_nobody_opens_for_ten_minutes_is_named_once(
    opened: Opener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await leave(opened, tmp_path / "old", 5_000_000, 6_000_000, 7_000_000, failed=1)
    watching = Watching(tmp_path)
    assert await watching.looks(for_s=PATIENCE_S - 1) == []
    with caplog.at_level(logging.WARNING):
        (orphan,) = await watching.looks(for_s=120)
    assert (orphan.directory, orphan.items, orphan.oldest_us) == (tmp_path / "old", 3, 5_000_000)
    assert orphan.bytes > 3 * len(b"row")
    assert caplog.text.count(f"nobody opens the spool at {tmp_path / 'old'} any more: 3 captures wait in it") == 1
    assert '{"command": "adopt"' in caplog.text


async def test_the_ten_minutes_outlast_a_rebuild_of_the_service(opened: Opener, tmp_path: Path) -> None:
    await leave(opened, tmp_path / "old", 1)
    first = Watching(tmp_path)
    await first.looks(for_s=PATIENCE_S - 60)
    second = Watching(tmp_path, neighbours=first.neighbours)
    second.now = first.now
    assert len(await second.looks(for_s=60)) == 1


async def test_a_spool_that_is_open_is_none_and_its_ten_minutes_begin_when_it_is_closed(
    opened: Opener, tmp_path: Path
) -> None:
    await leave(opened, tmp_path / "old", 1)
    watching = Watching(tmp_path)
    await watching.looks(for_s=PATIENCE_S - 60)
    held = LockFile(tmp_path / "old" / "lock")
    held.open()
    assert held.take()
    assert await watching.looks(for_s=2 * PATIENCE_S) == []
    held.close()
    assert await watching.looks(for_s=PATIENCE_S - 60) == []
    assert len(await watching.looks(for_s=120)) == 1


async def test_what_a_service_of_this_process_has_is_none(opened: Opener, tmp_path: Path) -> None:
    """Though it has not opened it yet."""
    await leave(opened, tmp_path / "other", 1)
    await leave(opened, tmp_path / "ours", 1)
    watching = Watching(tmp_path)
    other = OrphanWatch(Place(tmp_path / "other", None, LOGGER), LOGGER, watching.neighbours)
    other.begin()
    assert await watching.looks(for_s=2 * PATIENCE_S) == []
    other.end()
    assert len(await watching.looks(for_s=2 * PATIENCE_S)) == 1


async def test_the_former_place_of_a_service_that_has_a_new_one_is_one(opened: Opener, tmp_path: Path) -> None:
    former = tmp_path / "module-data" / "courier" / "ours"
    await leave(opened, former, 1)
    await leave(opened, former.with_name("renamed"), 1)
    await leave(opened, tmp_path / "new" / "ours", 1)
    found = await Watching(tmp_path / "new", former).looks(for_s=PATIENCE_S)
    assert [orphan.directory for orphan in found] == [former, former.with_name("renamed")]


async def test_what_holds_no_spool_is_none(opened: Opener, tmp_path: Path) -> None:
    await leave(opened, tmp_path / "elsewhere" / "old", 1)
    home = tmp_path / "home"
    (home / "empty").mkdir(parents=True)
    (home / "adopting-1").mkdir()
    (home / "adopting-1" / "spool.sqlite3").touch()
    (home / "link").symlink_to(tmp_path / "elsewhere" / "old")
    (home / "file").touch()
    (home / ".venv").mkdir()
    before = sorted(str(path) for path in home.rglob("*"))
    assert await Watching(home).looks(for_s=2 * PATIENCE_S) == []
    assert sorted(str(path) for path in home.rglob("*")) == before


async def test_a_directory_that_cannot_be_looked_into_hides_no_other(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leave(opened, tmp_path / "old", 1)
    await leave(opened, tmp_path / "private", 1)
    await leave(opened, tmp_path / "theirs", 1)
    (tmp_path / "theirs" / "lock").unlink()
    (tmp_path / "theirs" / "lock").mkdir()
    look = Path.lstat

    def refuse(path: Path) -> os.stat_result:
        if path.parent.name == "private":
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(Path, "lstat", refuse)
    assert [orphan.directory.name for orphan in await Watching(tmp_path).looks(for_s=PATIENCE_S)] == ["old"]


async def test_a_spool_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    write_version_1(tmp_path / "old", tmp_path / "watched")
    (orphan,) = await Watching(tmp_path).looks(for_s=PATIENCE_S)
    assert (orphan.items, orphan.oldest_us) == (8, 1_750_000_000_000_001)


async def test_one_that_cannot_be_read_is_named_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "spool.sqlite3").write_bytes(b"no database" * 1000)
    assert await Watching(tmp_path).looks(for_s=PATIENCE_S) == [Orphan(tmp_path / "old", 0, 0, None)]


async def test_looking_changes_nothing_of_a_spool(opened: Opener, tmp_path: Path) -> None:
    await leave(opened, tmp_path / "old", 1)
    before = (tmp_path / "old" / "spool.sqlite3").read_bytes()
    await Watching(tmp_path).looks(for_s=PATIENCE_S)
    assert (tmp_path / "old" / "spool.sqlite3").read_bytes() == before
    with contextlib.closing(sqlite3.connect(tmp_path / "old" / "spool.sqlite3")) as db:
        assert db.execute("SELECT count(*) FROM capture").fetchone() == (1,)
