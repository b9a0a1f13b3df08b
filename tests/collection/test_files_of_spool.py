"""A folder's watch with a real spool: what was renamed, what is long gone, and what is being written."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from module.attributes.uploader import AfterUpload
from module.capture import FileMark, Origin
from module.collection.folders import FolderWatch
from module.collection.gone_files import MISSING_DAYS
from module.spool.store import Store
from tests.collection.rig import LOGGER, config_of, running
from tests.spool.rig import SlowDisk, claim, drain, make_version_3, spool_config, upload_config
from tests.waiting import until

DAY_S = 86_400


class Machine:
    """One folder, one spool, a clock of its own, and what was sent."""

    def __init__(self, folder: Path, spool: Path) -> None:
        self.folder = folder
        self.spool = spool
        self.now_s = 2_000_000_000.0
        self.sent: list[bytes] = []
        self.put_away: list[str] = []
        self._inode_of: dict[str, int] = {}

    @contextlib.asynccontextmanager
    async def running(self, after_upload: AfterUpload = AfterUpload.KEEP) -> AsyncIterator[FolderWatch]:
        self.store = Store(spool_config(directory=str(self.spool), min_free_bytes=0), upload_config(), LOGGER)
        await self.store.open()
        watch = FolderWatch(
            config_of(self.folder, settle_s=0, after_upload=after_upload),
            (),
            (),
            self.store.files,
            put_away=self._put_away,
            logger=LOGGER,
            wall_clock=lambda: self.now_s,
            period_s=0.005,
        )
        try:
            async with running(watch):
                yield watch
        finally:
            await self.store.close()

    def _put_away(self, _origin: Origin, mark: FileMark) -> bool:
        self.put_away.append(mark.path)
        Path(mark.path).unlink()
        return True

    async def deliver(self, count: int) -> None:
        """Wait for so many captures and deliver them, as the uploader does."""
        await until(lambda: self.store.items >= count)
        items = await drain(self.store)
        self.sent += [Path(item.file.path).read_bytes() for item in items if item.file is not None]

    async def rounds(self, watch: FolderWatch) -> None:
        """Return once everything has been looked at twice."""
        for _ in range(2):
            looks = asyncio.Event()
            looked = watch._gone_files.look

            async def look(root: str, looks: asyncio.Event = looks, looked: Callable[[str], object] = looked) -> None:
                await looked(root)  # type: ignore[misc]
                looks.set()

            watch._gone_files.look = look  # type: ignore[method-assign]
            async with asyncio.timeout(60):
                await looks.wait()
            watch._gone_files.look = looked  # type: ignore[method-assign]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "folder").mkdir()
    return Machine(tmp_path / "folder", tmp_path / "spool")


async def test_rotated_logs_are_sent_once_whatever_they_are_called(machine: Machine) -> None:
    """Five contents, each of which has been log, log.1, log.2 …; restarts in between."""
    for number in range(5):
        for older in range(number, 0, -1):
            name = "log" if older == 1 else f"log.{older - 1}"
            (machine.folder / name).rename(machine.folder / f"log.{older}")
        (machine.folder / "log").write_bytes(b"content %d" % number)
        async with machine.running() as watch:
            await machine.deliver(1)
            await machine.rounds(watch)
            assert machine.store.items == 0
    assert machine.sent == [b"content %d" % number for number in range(5)]


async def test_a_log_that_is_rotated_while_it_waits_is_not_taken_twice(machine: Machine) -> None:
    (machine.folder / "log").write_bytes(b"content")
    async with machine.running() as watch:
        await until(lambda: machine.store.items == 1)
        (machine.folder / "log").rename(machine.folder / "log.1")
        await machine.rounds(watch)
        assert machine.store.items == 1


async def test_another_file_with_the_number_of_one_that_is_still_there_is_new(machine: Machine) -> None:
    """As on a disk that gives its numbers again with each mount: both are of one size and one date."""
    for name in ("a", "b"):
        (machine.folder / name).write_bytes(b"frame")
        os.utime(machine.folder / name, (1_700_000_000, 1_700_000_000))
    folder, machine.folder = machine.folder, machine.folder / "not yet"
    machine.folder.mkdir()
    async with machine.running():
        await machine.store.files.note_sent([FileMark.of(str(folder / "a"), (folder / "b").stat())])
    machine.folder.rmdir()
    machine.folder = folder
    async with machine.running() as watch:
        await machine.deliver(1)
        await machine.rounds(watch)
        assert machine.store.items == 0
    assert machine.sent == [b"frame"]


async def test_a_spool_of_version_3_knows_what_it_sent(machine: Machine) -> None:
    (machine.folder / "old").write_bytes(b"old")
    async with machine.running():
        await machine.deliver(1)
        await until(lambda: machine.store.items == 0)
    make_version_3(machine.spool / "spool.sqlite3")
    (machine.folder / "new").write_bytes(b"new")
    async with machine.running() as watch:
        await machine.deliver(1)
        await machine.rounds(watch)
        assert machine.store.items == 0
    assert machine.sent == [b"old", b"new"]


async def test_a_file_counts_though_its_watch_ends_while_it_is_written_to_the_disk(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the service is rebuilt: the next instance goes on with the counts of this one."""
    disk = SlowDisk(monkeypatch)
    async with machine.running() as watch:
        disk.hang()
        (machine.folder / "a").write_bytes(b"a")
        await disk.until_it_hangs()
        assert watch.kept.captured == 0
        asyncio.get_running_loop().call_later(0.05, disk.work)
    assert watch.kept.captured == 1


@pytest.mark.parametrize("after_upload", [AfterUpload.DELETE, AfterUpload.MOVE])
async def test_a_file_that_was_rejected_and_discarded_stays_in_its_folder(
    machine: Machine, after_upload: AfterUpload
) -> None:
    """The cloud does not have it: it is not put away, restarts included, and not sent again until it changes."""
    (machine.folder / "a").write_bytes(b"bad")
    async with machine.running(after_upload) as watch:
        await until(lambda: machine.store.items == 1)
        await machine.store.fail(await claim(machine.store), "no", 1)
        await machine.store.discard()
        await machine.rounds(watch)
    async with machine.running(after_upload) as watch:
        await machine.rounds(watch)
        assert (machine.store.items, machine.put_away) == (0, [])
        (machine.folder / "a").write_bytes(b"better")
        await machine.deliver(1)
        await until(lambda: machine.put_away == [str(machine.folder / "a")])
    assert machine.sent == [b"better"]


async def _known(machine: Machine) -> list[str]:
    return [Path(path).name for path, _ in await machine.store.files.sent_below(str(machine.folder), "", 100)]


async def test_a_file_that_is_long_gone_is_forgotten(machine: Machine) -> None:
    """And one that comes back in time is not; a clock that is set years ahead counts as one day."""
    for name in ("gone", "back", "stays"):
        (machine.folder / name).write_bytes(name.encode())
    async with machine.running() as watch:
        await machine.deliver(3)
        (machine.folder / "gone").unlink()
        (machine.folder / "back").rename(machine.folder.parent / "back")
        machine.now_s += 3650 * DAY_S
        await machine.rounds(watch)
        for _ in range(MISSING_DAYS - 2):
            machine.now_s += DAY_S
            await machine.rounds(watch)
        assert await _known(machine) == ["back", "gone", "stays"]
        (machine.folder.parent / "back").rename(machine.folder / "back")
        for _ in range(4):
            machine.now_s += DAY_S
            await machine.rounds(watch)
        assert await _known(machine) == ["back", "stays"]
    assert len(machine.sent) == 3


@pytest.mark.parametrize("leaves", ["an empty folder", "nothing"])
async def test_a_share_that_is_not_mounted_empties_no_table(machine: Machine, leaves: str) -> None:
    (machine.folder / "a").write_bytes(b"a")
    async with machine.running() as watch:
        await machine.deliver(1)
        await machine.rounds(watch)
        machine.folder.rename(machine.folder.parent / "unmounted")
        if leaves == "an empty folder":
            machine.folder.mkdir()
        for _ in range(MISSING_DAYS + 10):
            machine.now_s += DAY_S
            if leaves == "nothing":
                errors = watch.kept.errors
                await until(lambda errors=errors: watch.kept.errors > errors + 1)  # type: ignore[misc]
            else:
                await machine.rounds(watch)
        assert await _known(machine) == ["a"]


@pytest.mark.usefixtures("leases")
async def test_a_file_to_be_deleted_has_not_settled_while_its_recorder_has_it_open(machine: Machine) -> None:
    async with machine.running(AfterUpload.DELETE) as watch:
        with (machine.folder / "video").open("wb") as recorder:
            recorder.write(b"first ")
            recorder.flush()
            await machine.rounds(watch)
            await machine.rounds(watch)
            assert machine.store.items == 0
            recorder.write(b"second")
        await machine.deliver(1)
        await until(lambda: machine.put_away != [])
    assert machine.sent == [b"first second"]


@pytest.mark.parametrize("modified_s", [10_413_792_000, 400_000_000_000, -3_000_000_000, -(10**11)])
async def test_a_file_of_an_odd_date_holds_up_no_other(machine: Machine, modified_s: int) -> None:
    """The years 2300, 14645, 1874 and before Christ, as far as the file system keeps them."""
    for name in ("odd", "even"):
        (machine.folder / name).write_bytes(name.encode())
    os.utime(machine.folder / "odd", (modified_s, modified_s))
    async with machine.running() as watch:
        await machine.deliver(2)
        await machine.rounds(watch)
        assert machine.store.items == 0
    assert sorted(machine.sent) == [b"even", b"odd"]
