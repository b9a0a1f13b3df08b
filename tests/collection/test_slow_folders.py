"""A folder that does not answer, is huge, or keeps files that should go: how long its watch waits and rests."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from module.attributes.uploader import AfterUpload
from module.capture import FileMark, Origin
from module.files import threads
from tests.collection.rig import NOW_S, MemorySpool, config_of, running, watch_of, write
from tests.leaping_clock import let_time_pass
from tests.waiting import until


@pytest.fixture
def spool() -> MemorySpool:
    return MemorySpool()


class Share:
    """A file system that does not answer one call for one path, until it is back."""

    def __init__(self, patch: pytest.MonkeyPatch, call: str, path: str) -> None:
        self.hangs = threading.Event()
        self.is_back = threading.Event()
        self._path = path
        self._real = getattr(os, call)
        patch.setattr(os, call, self._call)

    def _call(self, path: Any, *args: Any, **options: Any) -> Any:
        if str(path) == self._path:
            self.hangs.set()
            self.is_back.wait()
        return self._real(path, *args, **options)


HANGS = {
    "the scan": ("scandir", "{folder}"),
    "a former name": ("lstat", "/former"),
    "the lease": ("open", "{folder}"),
    "putting away": ("unlink", "{folder}/a.txt"),
    "gone files": ("lstat", "/gone"),
}


@pytest.mark.parametrize("work", HANGS)
async def test_a_share_that_hangs_is_told_and_is_scanned_again_as_soon_as_it_is_back(
    tmp_path: Path, spool: MemorySpool, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    """However long that took, and whatever the watch had asked of it."""
    path, _ = write(tmp_path / "a.txt"), write(tmp_path / "stays.txt")
    spool.sent, spool.below = [FileMark.of(str(path), path.stat())], ["/gone"]
    spool.former = ["/former"] if work == "a former name" else []
    call, where = HANGS[work]
    share = Share(monkeypatch, call, where.format(folder=tmp_path))
    leap = let_time_pass(asyncio.get_running_loop(), monkeypatch)
    watch = watch_of(config_of(tmp_path, after_upload=AfterUpload.DELETE), spool)
    async with running(watch):
        await until(share.hangs.is_set)
        for _ in range(3):
            await leap(threads.ANSWER_S)
            assert watch.last_error == f"'{tmp_path}': it does not answer"
        await leap(3600)
        share.is_back.set()
        await until(lambda: watch.last_error is None)
        spool.former = []
        write(tmp_path / "b.txt")
        await until(lambda: "b.txt" in spool.names())


async def test_a_move_may_take_as_long_as_a_copy_of_the_file_takes(
    tmp_path: Path, spool: MemorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.bin")
    # So large that what the computer itself takes matters little.
    os.truncate(path, 200_000_000)
    os.utime(path, (NOW_S - 60, NOW_S - 60))
    spool.sent = [FileMark.of(str(path), path.stat())]
    share = Share(monkeypatch, "unlink", str(path))
    leap = let_time_pass(asyncio.get_running_loop(), monkeypatch)
    watch = watch_of(config_of(tmp_path, after_upload=AfterUpload.MOVE, move_to="/archive"), spool)
    async with running(watch):
        await until(share.hangs.is_set)
        await leap(150)
        assert watch.last_error is None
        await leap(150)
        assert watch.last_error == f"'{tmp_path}': it, or '/archive', does not answer"
        share.is_back.set()
        await until(lambda: not path.exists() and watch.last_error is None)


async def test_a_scan_that_costs_much_is_followed_by_a_rest(
    tmp_path: Path, spool: MemorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It uses the processor for 1 s, and a rest is a minute then."""
    seconds = itertools.count()
    monkeypatch.setattr(time, "thread_time", lambda: float(next(seconds)))
    write(tmp_path / "a.txt")
    leap = let_time_pass(asyncio.get_running_loop(), monkeypatch)
    watch = watch_of(config_of(tmp_path), spool)
    async with running(watch):
        await until(lambda: watch.kept.captured == 1)
        for _ in range(3):
            await leap(15)
            assert len(spool.asked) == 1
        await leap(60)
        await until(lambda: len(spool.asked) == 2)


async def test_files_that_cannot_be_put_away_delay_new_ones_by_minutes_at_most(
    tmp_path: Path, spool: MemorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when each copy to another disk takes an hour and then finds it full."""
    tried = threading.Semaphore(0)
    may_fail = threading.Event()

    def put_away(_: Origin, mark: FileMark) -> bool:
        tried.release()
        may_fail.wait()
        raise OSError(errno.ENOSPC, "No space left on device", mark.path)

    path = write(tmp_path / "a.txt")
    spool.sent = [FileMark.of(str(path), path.stat())]
    leap = let_time_pass(asyncio.get_running_loop(), monkeypatch)
    watch = watch_of(config_of(tmp_path, after_upload=AfterUpload.MOVE, move_to="/archive"), spool, put_away)
    async with running(watch):
        await until(lambda: tried.acquire(blocking=False))
        await leap(3600)
        may_fail.set()
        await until(lambda: watch.last_error == f"'{path}': No space left on device")
        write(tmp_path / "b.txt")
        await leap(200)
        assert not tried.acquire(blocking=False)
        await leap(200)
        await until(lambda: "b.txt" in spool.names())
