"""What is captured of the files of a folder, and that nothing ends the watch."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from module.attributes.uploader import AfterUpload
from module.capture import Capture, FileMark, Kind
from module.collection import folders
from module.collection.folders import FolderWatch
from module.errors import SpoolError, SpoolFull
from module.files import threads
from tests.collection.rig import LOGGER, MemorySpool, config_of, names, running, unlink, watch_of, write
from tests.waiting import until


@pytest.fixture
def spool() -> MemorySpool:
    return MemorySpool()


async def test_a_file_becomes_a_capture_that_points_at_it(tmp_path: Path, spool: MemorySpool) -> None:
    folder = tmp_path / "door"
    (tmp_path / "real").mkdir()
    folder.symlink_to("real")
    write(folder / "tag=red" / "dataset=d2" / "a.txt", data=b"12345")
    added: dict[str, Any] = {"tags": ("mine", "fleet"), "dataset_ids": ("d1",), "priority": 7}
    watch = watch_of(config_of(folder, after_upload=AfterUpload.MOVE, move_to="/archive", **added), spool)
    async with running(watch):
        await until(lambda: watch.kept.captured == 1)
    (capture,) = spool.captures
    assert capture.file is not None
    assert capture.file.path == f"{tmp_path}/real/tag=red/dataset=d2/a.txt"
    assert capture.requested_us == capture.received_us == watch.kept.last_capture_us == 1_700_000_000_250_000
    origin = capture.origin
    assert (origin.kind, origin.source, origin.folder) == (Kind.FILE, str(folder), str(folder))
    assert (origin.tags, origin.dataset_ids) == (("fleet", "mine", "red"), ("set", "d1", "d2"))
    assert (origin.priority, origin.after_upload, origin.move_to) == (7, "move", "/archive")


async def test_a_file_goes_once_and_again_when_it_has_changed(tmp_path: Path, spool: MemorySpool) -> None:
    path = write(tmp_path / "a.txt", age_s=60)
    watch = watch_of(config_of(tmp_path), spool)
    async with running(watch):
        await until(lambda: len(spool.asked) > 3)
        assert spool.names() == ["a.txt"]
        write(path, age_s=50)
        await until(lambda: len(spool.captures) > 1)
    assert spool.names() == ["a.txt", "a.txt"]


async def test_files_are_appended_in_groups_and_share_an_origin(tmp_path: Path, spool: MemorySpool) -> None:
    for number in range(1150):
        write(tmp_path / f"{number}.txt", age_s=2000 - number)
    watch = watch_of(config_of(tmp_path), spool)
    async with running(watch):
        await until(lambda: watch.kept.captured == 1150)
    assert spool.asked[:2] == [1000, 150]
    assert spool.groups == [100] * 11 + [50]
    assert spool.names() == [f"{number}.txt" for number in range(1150)]
    assert len({id(capture.origin) for capture in spool.captures[:100]}) == 1


async def test_a_missing_folder_is_logged_once_and_found_once_it_comes(
    tmp_path: Path, spool: MemorySpool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = tmp_path / "stick"
    watch = watch_of(config_of(folder), spool)
    async with running(watch):
        await until(lambda: watch.kept.errors > 2)
        assert watch.last_error == f"'{folder}': No such file or directory"
        write(folder / "a.txt")
        await until(lambda: watch.kept.captured == 1)
        await until(lambda: watch.last_error is None)
    levels = [record.levelname for record in caplog.records if record.name == LOGGER.name]
    assert levels == ["WARNING", "INFO"]


@pytest.mark.parametrize("failing", [SpoolFull("no room for 1 byte"), SpoolError("the disk is gone")])
async def test_a_spool_that_refuses_is_asked_again(tmp_path: Path, spool: MemorySpool, failing: SpoolError) -> None:
    write(tmp_path / "a.txt")
    spool.failing = failing
    watch = watch_of(config_of(tmp_path), spool)
    async with running(watch):
        await until(lambda: watch.kept.errors > 2)
        assert watch.kept.captured == 0
        assert watch.last_error in {"the spool is full; the files wait where they are", "the disk is gone"}
        spool.failing = None
        await until(lambda: watch.kept.captured == 1)
        await until(lambda: watch.last_error is None)


async def test_skipped_files_are_reported_and_the_others_sent(
    tmp_path: Path, spool: MemorySpool, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "a.txt")
    for name in (b"/caf\xe9", b"/caf\xea"):
        os.close(os.open(os.fsencode(tmp_path) + name, os.O_CREAT | os.O_WRONLY))
    watch = watch_of(config_of(tmp_path), spool)
    async with running(watch):
        await until(lambda: watch.kept.captured == 1 and watch.kept.errors > 2)
    assert watch.last_error is not None
    assert watch.last_error.endswith("the name is not UTF-8; rename it (and 1 more)")
    watch.last_error.encode()
    assert len([record for record in caplog.records if record.name == LOGGER.name]) == 1


async def test_a_paused_watch_appends_nothing_until_it_is_resumed(tmp_path: Path, spool: MemorySpool) -> None:
    watch = watch_of(config_of(tmp_path), spool)
    watch.pause()
    assert watch.paused
    write(tmp_path / "a.txt")
    async with running(watch):
        await asyncio.sleep(0.05)
        assert spool.asked == []
        watch.resume()
        await until(lambda: watch.kept.captured == 1)
    assert not watch.paused


async def test_a_pause_in_the_middle_ends_the_round(tmp_path: Path) -> None:
    class Pausing(MemorySpool):
        async def append(self, captures: Sequence[Capture]) -> list[int]:
            watch.pause()
            return await super().append(captures)

    for number in range(150):
        write(tmp_path / f"{number}.txt")
    spool = Pausing()
    watch = watch_of(config_of(tmp_path), spool)
    async with running(watch):
        await until(lambda: watch.kept.captured == 100)
        await asyncio.sleep(0.05)
        assert watch.kept.captured == 100
        watch.resume()
        await until(lambda: watch.kept.captured == 150)


async def test_a_cancelled_watch_leaves_no_scan_behind(
    tmp_path: Path, spool: MemorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process ends only once its threads have, and a folder may be huge."""
    write(tmp_path / "a.txt")
    listed = 0

    @contextlib.contextmanager
    def endless(_: str) -> Iterator[Iterator[Any]]:
        def entries() -> Iterator[Any]:
            nonlocal listed
            while True:
                listed += 1
                time.sleep(0.001)
                yield entry

        yield entries()

    (entry,) = os.scandir(tmp_path)
    monkeypatch.setattr(os, "scandir", endless)
    async with running(watch_of(config_of(tmp_path), spool)):
        await until(lambda: listed > 10)
    await until(lambda: not threads._FOLDERS[str(tmp_path)]._begun)
    ended_at = listed
    await asyncio.sleep(0.05)
    assert listed == ended_at


async def test_a_scan_that_fails_after_its_watch_has_ended_logs_no_error(
    tmp_path: Path, spool: MemorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a share that is not there any more while the service is rebuilt."""
    begun, may_fail = threading.Event(), threading.Event()

    def failing(path: str) -> None:
        begun.set()
        may_fail.wait()
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)

    logged: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    monkeypatch.setattr(os, "scandir", failing)
    async with running(watch_of(config_of(tmp_path), spool)):
        await until(begun.is_set)
    may_fail.set()
    await until(lambda: not threads._FOLDERS[str(tmp_path)]._begun)
    # Until its next work, the thread holds on to the last.
    await threads.start(str(tmp_path), int)
    gc.collect()
    assert logged == []


@pytest.mark.parametrize(("settle_s", "period_s"), [(0, 0.5), (4, 2), (10, 5), (3600, 5)])
def test_the_period_follows_the_time_to_settle(
    tmp_path: Path, spool: MemorySpool, settle_s: float, period_s: float
) -> None:
    watch = FolderWatch(config_of(tmp_path, settle_s=settle_s), (), (), spool, put_away=unlink, logger=LOGGER)
    assert watch._period_s == period_s


async def test_a_delivered_file_is_put_away_once_it_is_known_as_sent(tmp_path: Path, spool: MemorySpool) -> None:
    """Also after a crash came between the delivery and the putting away."""
    path = write(tmp_path / "a.txt")
    watch = watch_of(config_of(tmp_path, after_upload=AfterUpload.DELETE), spool)
    async with running(watch):
        await until(lambda: watch.kept.captured == 1)
        assert path.exists()
        spool.sent = [capture.file for capture in spool.captures if capture.file is not None]
        await until(lambda: not path.exists() and not spool.sent)


async def test_a_file_that_cannot_be_put_away_holds_up_no_other(
    tmp_path: Path, spool: MemorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor new files; it is told, with how many others."""
    # On a busy computer the attempts take long, and the rest after them would be minutes.
    monkeypatch.setattr(folders, "_REST_IN_VAIN", 0)
    paths = [write(tmp_path / name, age_s=age) for name, age in (("stuck", 90), ("stuck-too", 80), ("b.txt", 70))]
    watch = watch_of(config_of(tmp_path, after_upload=AfterUpload.DELETE), spool)
    async with running(watch):
        await until(lambda: watch.kept.captured == 3)
        spool.sent = [capture.file for capture in spool.captures if capture.file is not None]
        await until(lambda: not paths[2].exists() and watch.last_error is not None)
        write(tmp_path / "c.txt", age_s=60)
        await until(lambda: watch.kept.captured == 4)
    assert watch.last_error == f"'{tmp_path}/stuck': Operation not permitted (and 1 more)"
    assert names(spool.sent) == ["stuck", "stuck-too"]


async def test_many_delivered_files_leave_in_few_commits(tmp_path: Path, spool: MemorySpool) -> None:
    """On a slow disk each takes tens of milliseconds."""
    for number in range(250):
        write(tmp_path / f"{number}.txt")
    watch = watch_of(config_of(tmp_path, after_upload=AfterUpload.DELETE), spool)
    async with running(watch):
        await until(lambda: watch.kept.captured == 250)
        spool.sent = [capture.file for capture in spool.captures if capture.file is not None]
        await until(lambda: not spool.sent)
    assert not list(tmp_path.iterdir())
    assert spool.forgotten == [100, 100, 50]


async def test_a_file_that_the_patterns_leave_out_stays_though_it_was_delivered(
    tmp_path: Path, spool: MemorySpool
) -> None:
    """As by the command ``upload_file``: the patterns say which files of a folder are the module's to delete."""
    left_out, _ = write(tmp_path / "a.txt"), write(tmp_path / "b.log")
    spool.sent = [FileMark.of(str(left_out), left_out.stat())]
    watch = watch_of(config_of(tmp_path, include=["*.log"], after_upload=AfterUpload.DELETE), spool)
    async with running(watch):
        await until(lambda: len(spool.asked) > 2)
    assert left_out.exists()


async def test_a_folder_that_keeps_its_files_keeps_them(tmp_path: Path, spool: MemorySpool) -> None:
    path = write(tmp_path / "a.txt")
    watch = watch_of(config_of(tmp_path, after_upload=AfterUpload.KEEP), spool)
    async with running(watch):
        await until(lambda: watch.kept.captured == 1)
        spool.sent = [capture.file for capture in spool.captures if capture.file is not None]
        asked = len(spool.asked)
        await until(lambda: len(spool.asked) > asked + 2)
    assert path.exists()
