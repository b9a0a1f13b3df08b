"""A spool that is damaged, and a disk that is really full."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from module.capture import Capture, FileMark, Kind, Origin
from module.errors import SpoolError, SpoolFull
from module.spool.ballast import BALLAST_BYTES
from module.spool.damage.salvage import salvage
from tests.spool.numbered import MORE_THAN_CACHED, filled, spool_file
from tests.spool.rig import Drops, Opener, claim, drain, spoil

IMAGES = Origin(source="c", kind=Kind.BINARY, name="c", method="GetImages", extension=".jpg", mime_type="image/jpeg")


def _image(number: int, size: int = 200_000) -> Capture:
    return Capture(IMAGES, number, number, b"%04d" % number + bytes(size))


async def test_a_file_that_is_no_spool_is_set_aside_and_a_new_one_begins(opened: Opener, tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "spool.sqlite3").write_bytes(b"no database at all" * 1000)
    store = await opened()
    assert store.damaged is not None
    assert Path(store.damaged).read_bytes().startswith(b"no database at all")
    await store.append([_image(1)])
    assert len(await claim(store)) == 1


@pytest.mark.parametrize(
    "harm",
    ["DELETE FROM counter", "DROP TABLE stream", "UPDATE stream SET origin = 'no json'"],
)
async def test_a_spool_that_is_not_whole_is_set_aside_or_refused_and_never_hangs(
    opened: Opener, tmp_path: Path, harm: str
) -> None:
    store = await opened()
    await store.append([_image(1)])
    await store.close()
    db = sqlite3.connect(tmp_path / "spool" / "spool.sqlite3")
    db.execute(harm)
    db.commit()
    db.close()
    async with asyncio.timeout(5):
        try:
            store = await opened()
        except SpoolError as error:
            assert "cannot be opened" in str(error)  # noqa: PT017
        else:
            assert store.damaged is not None


async def test_what_was_under_way_when_its_stream_was_lost_holds_nothing_up(opened: Opener, tmp_path: Path) -> None:
    """What could not be read of a damaged file is gone, and that its upload succeeds is no damage to the new one."""
    store = await opened()
    await store.append([_image(number) for number in range(6)])
    under_way = await claim(store)
    stream, _ = store.choose(asyncio.get_running_loop().time(), flushing=True)
    assert stream is not None
    with closing(sqlite3.connect(tmp_path / "spool" / "spool.sqlite3")) as db:
        db.executescript("DELETE FROM capture; DELETE FROM stream")
    async with asyncio.timeout(5):
        await store.acknowledge(under_way)
        assert await store.claim(stream) == []
        await store.append([_image(7)])
    assert (store.damaged, store.last_error) == (None, None)


async def test_what_was_under_way_when_damage_took_it_is_counted_out_once(opened: Opener, tmp_path: Path) -> None:
    """Its upload succeeds all the same: what waits must not become less than nothing."""
    store = await filled(opened, MORE_THAN_CACHED)
    under_way = await claim(store)
    os.truncate(spool_file(tmp_path).with_name("spool.sqlite3-wal"), 10_000)
    # One of the claims that meet the damage fails; the next one finds the new file.
    for _ in range(100):
        if store.damaged is None:
            with contextlib.suppress(SpoolError):
                under_way += await claim(store)
    assert store.damaged is not None
    left = store.items
    for item in under_way:
        await store.acknowledge([item])
    assert 0 <= store.items <= left
    await drain(store)
    assert (store.items, store.bytes) == (0, 0)


@pytest.mark.parametrize(
    "harm", ["items = 1", "items = 133", "items = -7", "items = 'x'", "bytes = 1 << 40", "bytes = -1", "bytes = 'x'"]
)
async def test_a_count_that_cannot_be_right_is_counted_afresh(
    opened: Opener, drops: Drops, tmp_path: Path, harm: str
) -> None:
    """A flipped bit in a number is no damage to SQLite: no capture waits for ever for it, none gives way."""
    store = await opened()
    await store.append([_image(number) for number in range(5)])
    there = store.items, store.bytes
    await store.close()
    with closing(sqlite3.connect(tmp_path / "spool" / "spool.sqlite3")) as db:
        db.executescript(f"UPDATE stream SET {harm}")  # noqa: S608
    store = await opened()
    assert (store.items, store.bytes, store.damaged, store.unreadable) == (*there, None, 0)
    await store.append([_image(5)])
    assert (len(await drain(store)), drops.count) == (6, 0)
    assert (store.items, store.bytes) == (0, 0)


async def test_captures_whose_stream_is_not_there_are_named(opened: Opener, tmp_path: Path) -> None:
    store = await opened()
    await store.append([_image(number) for number in range(5)])
    await store.close()
    with closing(sqlite3.connect(tmp_path / "spool" / "spool.sqlite3")) as db:
        db.executescript("DELETE FROM stream")
    store = await opened()
    assert store.damaged is not None
    assert (store.items, store.unreadable) == (0, 5)


async def test_what_a_salvage_could_not_read_is_counted_though_a_crash_follows(tmp_path: Path, opened: Opener) -> None:
    store = await opened()
    await store.append([_image(number) for number in range(5)])
    await store.close()
    path = tmp_path / "spool" / "spool.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.executescript("DELETE FROM capture WHERE id = 3")
    done = salvage(path, path.with_name("new"))
    with closing(sqlite3.connect(path.with_name("new"))) as db:
        assert (
            db.execute("SELECT value FROM counter WHERE name = 'unreadable'").fetchone() == (done.unreadable,) == (1,)
        )


@pytest.mark.parametrize("harm", ["requested_us = NULL", "payload = NULL", "footprint = NULL", "footprint = 'x'"])
async def test_a_capture_that_cannot_even_go_to_the_failures_is_counted_and_holds_nothing_up(
    opened: Opener, tmp_path: Path, harm: str
) -> None:
    """A flipped bit can take the value of a column that every row must have."""
    store = await opened()
    await store.append([_image(number) for number in range(1, 4)])
    await store.close()
    spoil(tmp_path / "spool" / "spool.sqlite3", "capture", harm)
    store = await opened()
    async with asyncio.timeout(20):
        assert [int(item.payload[:4]) for item in await drain(store)] == [1, 3]
    assert (store.items, store.bytes, store.failed, store.unreadable) == (0, 0, 0, 1)


@pytest.mark.parametrize("verb", ["retry", "discard"])
@pytest.mark.parametrize("harm", ["requested_us = NULL", "footprint = 'x'"])
async def test_a_failure_that_is_no_capture_any_more_holds_up_no_others(
    opened: Opener, tmp_path: Path, harm: str, verb: str
) -> None:
    store = await opened()
    await store.append([_image(number) for number in range(1, 4)])
    for _ in range(3):
        await store.fail(await claim(store), "no", 1)
    await store.close()
    spoil(tmp_path / "spool" / "spool.sqlite3", "failure", harm)
    store = await opened()
    gone = await getattr(store, verb)()
    assert store.failed == 0
    assert (gone, store.unreadable) in {(2, 1), (3, 0)}
    assert len(await drain(store)) == (2 if verb == "retry" else 0)


@pytest.mark.parametrize("left", ['"inode": 7, "path": "/f/a', '"path": "/f/a"}'], ids=["cut short", "without inode"])
async def test_a_file_whose_row_is_damaged_stops_neither_its_folder_nor_a_discard(
    opened: Opener, tmp_path: Path, left: str
) -> None:
    """One flipped bit is enough for a detail that does not parse, or that lacks a name."""
    store = await opened()
    files, mark = Origin(source="/f", kind=Kind.FILE, folder="/f"), FileMark("/f/a", 2, 1, 7)
    await store.append([Capture(files, 1, 1, file=mark)] * 2)
    await store.fail(await claim(store), "no", 1)
    with closing(sqlite3.connect(tmp_path / "spool" / "spool.sqlite3")) as db:
        for table in ("capture", "failure"):
            db.execute(f"UPDATE {table} SET detail = ?", (f'{{"modified_ns": 1, "size": 2, {left}',))  # noqa: S608
        db.commit()
    twin = FileMark("/f/b", 2, 1, 8)
    assert await store.files.unknown_files([twin]) == [twin]
    assert await store.files.former_names([twin]) == []
    assert await store.discard() == 1
    assert store.failed == 0


async def test_an_intact_spool_is_not_set_aside(opened: Opener) -> None:
    store = await opened()
    await store.append([_image(1)])
    await store.close()
    store = await opened()
    assert store.damaged is None
    assert store.items == 1


async def test_a_write_that_breaks_off_takes_nothing_with_it(opened: Opener) -> None:
    """Whatever goes wrong with one capture, the spool goes on."""
    store = await opened()
    broken = Capture(IMAGES, "soon", 1, b"x")  # type: ignore[arg-type]
    object.__setattr__(broken, "payload", None)
    with pytest.raises((SpoolError, TypeError)):
        await store.append([broken])
    await store.append([_image(1)])
    assert len(await drain(store)) == 1


# ---------------------------------------------------------------------- a full disk


async def test_the_reserve_is_taken_where_the_system_cannot_allocate_a_file(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    store = await opened()
    reserve = tmp_path / "spool" / "reserve"
    assert reserve.stat().st_size == BALLAST_BYTES
    await store.close()

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    await (await opened()).close()
    assert reserve.stat().st_size == BALLAST_BYTES, "it was there already"
    os.truncate(reserve, BALLAST_BYTES // 2)
    store = await opened()
    await store.append([_image(1)])
    assert reserve.stat().st_size == 0


async def test_a_disk_on_which_no_file_can_be_made_is_no_reason_not_to_open(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have no inode left, or its owner no quota, while the spool is there already."""
    await (await opened()).close()
    (tmp_path / "spool" / "reserve").unlink()
    made = os.open

    def refuse(path: Any, *arguments: Any, **options: Any) -> int:
        if Path(path).name == "reserve":
            raise OSError(errno.EDQUOT, "Disk quota exceeded", str(path))
        return made(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    store = await opened()
    assert await store.append([_image(1)])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB."""
    where = tmp_path / "spool"
    where.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "none", where], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk takes root")
    yield where
    subprocess.run(["umount", "-l", where], check=True)


async def test_a_disk_that_fills_up_under_a_commit_counts_as_full(
    small_disk: Path, opened: Opener, drops: Drops
) -> None:
    """The oldest give way, the newest are kept, and nothing that was kept is damaged."""
    store = await opened(min_free_bytes=0, max_bytes=2**40)
    kept, said = 0, set[str | None]()
    for number in range(250):
        try:
            await store.append([_image(number)])
            kept += 1
        except SpoolFull as error:
            assert "disk" in str(error) or "full" in str(error)  # noqa: PT017
        said.add(store.last_error)
    assert drops.count > 0
    assert f"the spool is full (the disk under {small_disk} is full) and loses captures by drop_oldest" in said
    assert store.items > 5
    await store.close()
    store = await opened(min_free_bytes=0, max_bytes=2**40)
    numbers = [int(item.payload[:4]) for item in await drain(store)]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 249


async def test_another_programs_full_disk_is_survived_and_left_behind(small_disk: Path, opened: Opener) -> None:
    store = await opened(min_free_bytes=0, max_bytes=2**40)
    for number in range(20):
        await store.append([_image(number)])
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"):
        _fill(filler)
    for number in range(20, 30):
        with contextlib.suppress(SpoolError):
            await store.append([_image(number)])
    filler.unlink()
    await store.append([_image(99)])
    numbers = [int(item.payload[:4]) for item in await drain(store)]
    assert numbers[-1] == 99
    assert len(numbers) >= 15


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65536))
