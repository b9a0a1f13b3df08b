"""Where a spool lies, and how it comes there: no capture is lost on the way, and nobody else's file is touched."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import stat
from pathlib import Path

import pytest

from module.attributes.uploader import SpoolConfig, parse
from module.capture import Capture, Kind, Origin
from module.errors import SpoolError
from module.spool.lock import LockFile
from module.spool.place import Place
from module.spool.store import Store
from tests.spool.rig import LOGGER, Opener, drain, upload_config

ROWS = Origin(source="s", kind=Kind.ROW, api="rdk:component:sensor", name="s", method="Readings")
MACHINE = {"VIAM_MACHINE_PART_ID": "part", "VIAM_API_KEY_ID": "id", "VIAM_API_KEY": "key"}
SERVICE = "uploader"


def row(number: int) -> Capture:
    return Capture(ROWS, number, number, b"%d" % number)


class Home:
    """A ``VIAM_HOME``, and the settings of a service in it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "module-data" / "machine" / "courier"
        self.new = folder / "capture-courier" / "machine" / SERVICE
        self.old = self.data / SERVICE
        self._environ = {**MACHINE, "VIAM_HOME": str(folder), "VIAM_MODULE_DATA": str(self.data)}

    def settings(self, **spool: str) -> SpoolConfig:
        return parse({"spool": {"min_free_bytes": 0, **spool}}, service=SERVICE, environ=self._environ).spool

    async def opened(self) -> Store:
        store = Store(self.settings(), upload_config(), LOGGER)
        await store.open()
        return store


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


async def leave_rows(opened: Opener, directory: Path, *numbers: int) -> None:
    """Leave a spool with these rows, as the version before this one left it there."""
    store = await opened(directory=str(directory))
    await store.append([row(number) for number in numbers])
    await store.close()


async def rows_of(store: Store) -> list[bytes]:
    return [item.payload for item in await drain(store)]


async def test_a_new_spool_lies_where_viam_server_deletes_nothing(home: Home) -> None:
    store = await home.opened()
    await store.close()
    assert (home.new / "spool.sqlite3").is_file()
    assert not home.data.exists()


async def test_a_spool_at_the_former_place_is_moved_with_all_that_is_in_it(opened: Opener, home: Home) -> None:
    await leave_rows(opened, home.old, 1, 2)
    (home.old / "spool.sqlite3.damaged-2026-01-01T00-00-00-000000Z").touch()
    file = (home.old / "spool.sqlite3").stat().st_ino

    store = await home.opened()
    assert not home.old.exists()
    assert (home.new / "spool.sqlite3").stat().st_ino == file, "it was copied"
    assert store.damaged == str(home.new / "spool.sqlite3.damaged-2026-01-01T00-00-00-000000Z")
    await store.append([row(3)])
    assert await rows_of(store) == [b"1", b"2", b"3"]
    await store.close()


async def test_a_spool_is_moved_only_once_its_lock_is_free(opened: Opener, home: Home) -> None:
    """The version before this one may still be closing it."""
    old = await opened(directory=str(home.old))
    opening = asyncio.create_task(home.opened())
    await asyncio.sleep(0.2)
    assert not opening.done()
    await old.append([row(1)])
    await old.close()
    store = await opening
    assert await rows_of(store) == [b"1"]
    await store.close()


async def test_two_that_wait_for_one_spool_come_to_have_it_one_after_the_other(opened: Opener, home: Home) -> None:
    """The second one waits for a lock whose file the first one moves."""
    old = await opened(directory=str(home.old))
    opening = [asyncio.create_task(home.opened()) for _ in range(2)]
    await asyncio.sleep(0.2)
    await old.append([row(1)])
    await old.close()
    done, waiting = await asyncio.wait(opening, return_when=asyncio.FIRST_COMPLETED)
    (first,) = done
    await asyncio.sleep(0.2)
    assert not any(task.done() for task in waiting)
    await first.result().append([row(2)])
    await first.result().close()
    (second,) = waiting
    assert await rows_of(await second) == [b"1", b"2"]
    await second.result().close()


async def test_a_directory_that_is_moved_between_two_looks_is_found_where_it_is(
    opened: Opener, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another instance, which has let go of it since."""
    await leave_rows(opened, home.old, 1)
    home.new.parent.mkdir(parents=True)
    listed = os.listdir

    def move_first(directory: Path) -> list[str]:
        if directory == home.old and home.old.exists():
            home.old.rename(home.new)
        return listed(directory)

    monkeypatch.setattr(os, "listdir", move_first)
    store = await home.opened()
    assert await rows_of(store) == [b"1"]
    await store.close()


async def test_whoever_waits_for_a_directory_that_is_removed_begins_in_a_new_one(opened: Opener, home: Home) -> None:
    """Never in one that no name leads to."""
    first = await opened(directory=str(home.new))
    opening = asyncio.create_task(home.opened())
    await asyncio.sleep(0.2)
    # At once: whoever waits looks again and again, and would make the lock again in a directory that is half gone.
    shutil.rmtree(home.new.rename(home.new.with_name("removed")))
    store = await asyncio.wait_for(opening, 10)
    await store.append([row(1)])
    await store.close()
    await first.close()
    assert (home.new / "spool.sqlite3").is_file()


async def test_where_no_rename_leads_the_former_place_stays_in_use(
    opened: Opener, home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await leave_rows(opened, home.old, 1)

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(errno.EXDEV, "Invalid cross-device link", str(self), None, str(target))

    monkeypatch.setattr(Path, "rename", refuse)
    with caplog.at_level(logging.WARNING):
        store = await home.opened()
    assert f"the spool stays at {home.old}" in caplog.text
    assert "cross-device" in caplog.text
    await store.append([row(2)])
    await store.close()

    monkeypatch.undo()
    store = await home.opened()
    assert await rows_of(store) == [b"1", b"2"]
    await store.close()
    assert not home.old.exists()


async def test_a_directory_that_viam_server_deletes_is_used_if_it_is_asked_for_with_a_warning(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        store = Store(home.settings(directory=str(home.old)), upload_config(), LOGGER)
        await store.open()
    await store.close()
    assert f"viam-server deletes the spool at {home.old} when the module does not run" in caplog.text
    caplog.clear()
    await (await home.opened()).close()
    assert caplog.text == ""


async def test_if_there_are_two_spools_the_new_one_is_used_and_the_other_stays(opened: Opener, home: Home) -> None:
    await leave_rows(opened, home.old, 1)
    await leave_rows(opened, home.new, 2)
    store = await home.opened()
    assert await rows_of(store) == [b"2"]
    await store.close()
    assert (home.old / "spool.sqlite3").is_file()


@pytest.mark.parametrize("killed_before", ["mkdir of the new place", "rename"])
async def test_a_move_that_was_interrupted_is_made_at_the_next_start(
    opened: Opener, home: Home, killed_before: str
) -> None:
    await leave_rows(opened, home.old, 1)
    if killed_before == "rename":
        home.new.mkdir(parents=True)
    store = await home.opened()
    assert await rows_of(store) == [b"1"]
    await store.close()
    assert not home.old.exists()


def test_a_directory_that_goes_just_before_its_lock_is_taken_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another instance had the lock until then, and moved or removed the directory with it."""
    place, take = Place(tmp_path / "spool", None, LOGGER), LockFile.take

    def late(lock: LockFile) -> bool:
        (tmp_path / "spool").rename(tmp_path / "elsewhere")
        monkeypatch.undo()
        return take(lock)

    monkeypatch.setattr(LockFile, "take", late)
    assert not place.take()
    assert place.take()
    assert (tmp_path / "spool" / "lock").is_file()
    place.let_go()


# ---------------------------------------------------------------------- somebody's directory


async def test_a_new_spool_in_somebodys_directory_is_refused_and_nothing_there_is_touched(
    opened: Opener, tmp_path: Path
) -> None:
    directory = tmp_path / "somebody"
    directory.mkdir(mode=0o755)
    (directory / "photo.jpg").write_bytes(b"photo")
    (directory / "photo.jpg").chmod(0o644)
    (directory / "lock").write_text("theirs")
    (directory / "link").symlink_to("photo.jpg")
    before = {path.name: (path.lstat().st_mode, path.lstat().st_mtime_ns) for path in (directory, *directory.iterdir())}
    with pytest.raises(SpoolError, match=r"somebody holds files that are no spool's \('link', 'photo\.jpg'\); allowed"):
        await opened(directory=str(directory))
    after = {path.name: (path.lstat().st_mode, path.lstat().st_mtime_ns) for path in (directory, *directory.iterdir())}
    assert after == before
    assert (directory / "lock").read_text() == "theirs"


async def test_a_directory_that_holds_a_spool_is_opened_whatever_else_lies_there(
    opened: Opener, tmp_path: Path
) -> None:
    directory = tmp_path / "spool"
    await leave_rows(opened, directory, 1)
    directory.chmod(0o755)
    (directory / "photo.jpg").write_bytes(b"photo")
    (directory / "photo.jpg").chmod(0o644)
    (directory / "link").symlink_to("photo.jpg")
    (directory / "spool.sqlite3").chmod(0o644)
    store = await opened()
    assert await rows_of(store) == [b"1"]
    assert stat.S_IMODE((directory / "photo.jpg").stat().st_mode) == 0o644
    assert (directory / "link").is_symlink()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o755
    assert stat.S_IMODE((directory / "spool.sqlite3").stat().st_mode) == 0o600


async def test_an_own_disk_holds_a_new_spool(opened: Opener, tmp_path: Path) -> None:
    (tmp_path / "spool" / "lost+found").mkdir(parents=True, mode=0o700)
    store = await opened()
    await store.append([row(1)])


async def test_a_directory_in_which_a_first_start_was_killed_holds_a_new_spool(opened: Opener, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    for name in ("lock", "last-id", "reserve"):
        (tmp_path / "spool" / name).touch()
    store = await opened()
    await store.append([row(1)])


async def test_no_link_in_a_spools_directory_makes_another_file_the_spools(opened: Opener, tmp_path: Path) -> None:
    await leave_rows(opened, tmp_path / "spool", 1)
    other = tmp_path / "other"
    other.write_text("theirs")
    other.chmod(0o644)
    for name in ("reserve", "last-id"):
        (tmp_path / "spool" / name).unlink(missing_ok=True)
        (tmp_path / "spool" / name).symlink_to(other)
    store = await opened()
    assert await rows_of(store) == [b"1"]
    assert (other.read_text(), stat.S_IMODE(other.stat().st_mode)) == ("theirs", 0o644)


def test_a_place_that_was_never_taken_is_let_go_without_harm(tmp_path: Path) -> None:
    Place(tmp_path, None, LOGGER).let_go()
