"""Which files of a folder have settled, what is captured of them, and that nothing ends the watch."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from module.capture import Capture, FileMark, Kind
from module.collection.folders import FolderWatch, Glob, Sightings, inferred, scan
from module.config import AfterUpload, FolderConfig
from module.errors import SpoolError, SpoolFull

NOW_S = 1_700_000_000.0
LOGGER = logging.getLogger("test.folders")


def _config(path: Path, **attributes: Any) -> FolderConfig:
    return FolderConfig.model_construct(path=str(path), **attributes)


def _write(path: Path, age_s: float = 60.0, data: bytes = b"data") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (NOW_S - age_s, NOW_S - age_s))
    return path


def _names(marks: Sequence[FileMark]) -> list[str]:
    return [Path(mark.path).name for mark in marks]


@pytest.mark.parametrize(
    ("pattern", "path", "taken"),
    [
        ("*", "a", True),
        ("*", "deep/down/.hidden.tmp", True),
        ("*.jpg", "a.jpg", True),
        ("*.jpg", "deep/down/a.jpg", True),
        ("*.jpg", "a.JPG", False),
        ("*.jpg", "a.jpg.tmp", False),
        ("[ab].jpg", "b.jpg", True),
        ("[z-a].jpg", "b.jpg", False),
        ("[.jpg", "[.jpg", True),
        ("raw", "raw/a.jpg", False),
        ("/*.jpg", "a.jpg", True),
        ("/*.jpg", "deep/a.jpg", False),
        ("raw/*.jpg", "raw/a.jpg", True),
        ("raw/*.jpg", "raw/deep/a.jpg", False),
        ("raw/*.jpg", "deep/raw/a.jpg", False),
        ("raw/**", "raw/deep/down/a.jpg", True),
        ("raw/**", "raw", False),
        ("raw/", "raw/deep/a.jpg", True),
        ("**/raw/", "deep/raw/a.jpg", True),
        ("**/a.jpg", "a.jpg", True),
        ("**/a.jpg", "deep/down/a.jpg", True),
        ("raw/**/a.jpg", "raw/a.jpg", True),
        ("raw/**/a.jpg", "raw/deep/down/a.jpg", True),
        ("raw/**/a.jpg", "other/deep/a.jpg", False),
        ("**/x/**/*.jpg", "1/x/2/x/3.jpg", True),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("", "a", False),
    ],
)
def test_a_pattern_means_what_its_user_expects(pattern: str, path: str, taken: bool) -> None:
    assert Glob(pattern).matches(path.split("/")) is taken


def test_a_pattern_of_many_spans_is_quick() -> None:
    began = time.process_time()
    assert not Glob("**/a/" * 20 + "b").matches(["a"] * 200)
    assert time.process_time() - began < 1


def test_settled_files_come_oldest_first(tmp_path: Path) -> None:
    _write(tmp_path / "a.txt", 20)
    _write(tmp_path / "sub" / "deep" / "b.txt", 30)
    _write(tmp_path / ".hidden", 10)
    _write(tmp_path / "busy.txt", 9.9)
    assert _names(scan(_config(tmp_path), NOW_S)) == ["b.txt", "a.txt", ".hidden"]
    assert _names(scan(_config(tmp_path, recursive=False), NOW_S)) == ["a.txt", ".hidden"]


@pytest.mark.parametrize("data", [b"12345", b""])
def test_a_mark_tells_path_size_and_time(tmp_path: Path, data: bytes) -> None:
    path = _write(tmp_path / "sub" / "a.txt", data=data)
    expected = FileMark(path=os.path.realpath(path), size=len(data), modified_ns=path.stat().st_mtime_ns)
    assert scan(_config(tmp_path), NOW_S) == [expected]


def test_exclude_beats_include(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png", "raw/c.jpg", "raw/d.txt"):
        _write(tmp_path / name)
    config = _config(tmp_path, include=("*.jpg", "*.png"), exclude=("raw/**",))
    assert sorted(_names(scan(config, NOW_S))) == ["a.jpg", "b.png"]


def test_no_link_is_followed_and_no_fifo_opened(tmp_path: Path) -> None:
    """Neither out of the folder, nor to what lies in it and is taken as itself."""
    folder = tmp_path / "folder"
    _write(tmp_path / "outside" / "secret")
    _write(folder / "a.txt")
    (folder / "file").symlink_to(tmp_path / "outside" / "secret")
    (folder / "folder").symlink_to(tmp_path / "outside")
    (folder / "again").symlink_to("a.txt")
    (folder / "loop").symlink_to(".")
    (folder / "nowhere").symlink_to("not-there")
    os.mkfifo(folder / "fifo")
    assert _names(scan(_config(folder), time.time() + 60)) == ["a.txt"]


def test_a_file_dated_in_the_future_settles_once_it_stays_the_same(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.txt", age_s=-3600)
    config, sightings = _config(tmp_path), Sightings()
    assert scan(config, NOW_S, sightings) == []
    assert scan(config, NOW_S + 6, sightings) == []
    path.write_bytes(b"longer data")
    os.utime(path, (NOW_S + 3600, NOW_S + 3600))
    assert scan(config, NOW_S + 11, sightings) == []
    assert scan(config, NOW_S + 20.9, sightings) == []
    assert _names(scan(config, NOW_S + 21, sightings)) == ["a.txt"]


def test_a_clock_set_back_does_not_hold_a_file_up(tmp_path: Path) -> None:
    _write(tmp_path / "a.txt", age_s=-3600)
    config, sightings = _config(tmp_path), Sightings()
    assert scan(config, NOW_S, sightings) == []
    assert scan(config, NOW_S - 1000, sightings) == []
    assert _names(scan(config, NOW_S - 990, sightings)) == ["a.txt"]


@contextlib.contextmanager
def _unprivileged() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_cannot_be_read_is_left_out_and_told() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        _write(folder / "a.txt")
        _write(folder / "closed" / "b.txt")
        (folder / "closed").chmod(0)
        sightings = Sightings()
        try:
            with _unprivileged():
                assert _names(scan(_config(folder), NOW_S, sightings)) == ["a.txt"]
        finally:
            (folder / "closed").chmod(stat.S_IRWXU)
        assert sightings.skipped == {str(folder / "closed"): "Permission denied"}
        assert len(scan(_config(folder), NOW_S, sightings)) == 2
        assert sightings.skipped == {}


def test_a_name_that_is_no_utf8_is_left_out_and_told(tmp_path: Path) -> None:
    """Neither the spool nor an upload could hold it."""
    os.close(os.open(os.fsencode(tmp_path) + b"/caf\xe9", os.O_CREAT | os.O_WRONLY))
    sightings = Sightings()
    assert scan(_config(tmp_path), time.time() + 60, sightings) == []
    assert list(sightings.skipped.values()) == ["the name is no UTF-8, rename it"]


@pytest.mark.parametrize(
    ("path", "tags", "dataset_ids"),
    [
        ("/home/alice/capture/fooFile.bar", (), ()),
        ("/home/tag=a/tag=b/path/foo.ex", ("a", "b"), ()),
        ("/tag=a/dataset=1023/tag=c/dataset=1024/x/foo", ("a", "c"), ("1023", "1024")),
        ("/tag=a/dataset=ds/tag=tag3.jpg", ("a",), ("ds",)),
        ("/ tag= a b /dataset= 1 /tag=/dataset=  /foo", ("a b",), ("1",)),
        ("/tag=a/tag=a/Tag=b/mytag=c/tag =d/tag=x=y/foo", ("a", "x=y"), ()),
    ],
)
def test_folders_name_tags_and_datasets(path: str, tags: tuple[str, ...], dataset_ids: tuple[str, ...]) -> None:
    """The facts of viam-server's inferTagsAndDatasetIDsFromPath."""
    assert inferred(path) == (tags, dataset_ids)


class _Spool:
    """A spool in memory, behind the protocol of the real one."""

    def __init__(self) -> None:
        self.captures: list[Capture] = []
        self.groups: list[int] = []
        self.asked: list[int] = []
        self.failing: Exception | None = None
        self.sent: list[FileMark] = []

    async def sent_files(self, marks: Sequence[FileMark]) -> list[FileMark]:
        return [mark for mark in marks if mark in self.sent]

    async def forget_files(self, marks: Sequence[FileMark]) -> None:
        self.sent = [mark for mark in self.sent if mark not in marks]

    async def unknown_files(self, marks: Sequence[FileMark]) -> list[FileMark]:
        self.asked.append(len(marks))
        known = {capture.file for capture in self.captures}
        return [mark for mark in marks if mark not in known]

    async def append(self, captures: Sequence[Capture]) -> list[int]:
        if self.failing is not None:
            raise self.failing
        self.captures.extend(captures)
        self.groups.append(len(captures))
        return list(range(len(captures)))

    def names(self) -> list[str]:
        return _names([capture.file for capture in self.captures if capture.file is not None])


@pytest.fixture
def spool() -> _Spool:
    return _Spool()


def _unlink(_origin: Origin, mark: FileMark) -> None:
    Path(mark.path).unlink()


def _watch(config: FolderConfig, spool: _Spool) -> FolderWatch:
    return FolderWatch(
        config,
        ("fleet",),
        ("set",),
        spool,
        put_away=_unlink,
        logger=LOGGER,
        wall_clock=lambda: NOW_S + 0.25,
        period_s=0.005,
    )


@contextlib.asynccontextmanager
async def _running(watch: FolderWatch) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(watch.run())
    try:
        yield task
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what is waited for is state of the watch, which sets no event
            await asyncio.sleep(0.002)


async def test_a_file_becomes_a_capture_that_points_at_it(tmp_path: Path, spool: _Spool) -> None:
    folder = tmp_path / "door"
    (tmp_path / "real").mkdir()
    folder.symlink_to("real")
    _write(folder / "tag=red" / "dataset=d2" / "a.txt", data=b"12345")
    added: dict[str, Any] = {"tags": ("mine", "fleet"), "dataset_ids": ("d1",), "priority": 7}
    watch = _watch(_config(folder, after_upload=AfterUpload.MOVE, move_to="/archive", **added), spool)
    async with _running(watch):
        await _until(lambda: watch.captured == 1)
    (capture,) = spool.captures
    assert capture.file is not None
    assert capture.file.path == f"{tmp_path}/real/tag=red/dataset=d2/a.txt"
    assert capture.requested_us == capture.received_us == watch.last_capture == 1_700_000_000_250_000
    origin = capture.origin
    assert (origin.kind, origin.source, origin.folder) == (Kind.FILE, str(folder), str(folder))
    assert (origin.tags, origin.dataset_ids) == (("fleet", "mine", "red"), ("set", "d1", "d2"))
    assert (origin.priority, origin.after_upload, origin.move_to) == (7, "move", "/archive")


async def test_a_file_goes_once_and_again_when_it_has_changed(tmp_path: Path, spool: _Spool) -> None:
    path = _write(tmp_path / "a.txt", age_s=60)
    watch = _watch(_config(tmp_path), spool)
    async with _running(watch):
        await _until(lambda: len(spool.asked) > 3)
        assert spool.names() == ["a.txt"]
        _write(path, age_s=50)
        await _until(lambda: len(spool.captures) > 1)
    assert spool.names() == ["a.txt", "a.txt"]


async def test_files_are_appended_in_groups_and_share_an_origin(tmp_path: Path, spool: _Spool) -> None:
    for number in range(1150):
        _write(tmp_path / f"{number}.txt", age_s=2000 - number)
    watch = _watch(_config(tmp_path), spool)
    async with _running(watch):
        await _until(lambda: watch.captured == 1150)
    assert spool.asked[:2] == [1000, 150]
    assert spool.groups == [100] * 11 + [50]
    assert spool.names() == [f"{number}.txt" for number in range(1150)]
    assert len({id(capture.origin) for capture in spool.captures[:100]}) == 1


async def test_a_missing_folder_is_told_once_and_found_once_it_comes(
    tmp_path: Path, spool: _Spool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = tmp_path / "stick"
    watch = _watch(_config(folder), spool)
    async with _running(watch):
        await _until(lambda: watch.errors > 2)
        assert watch.last_error == f"'{folder}': No such file or directory"
        _write(folder / "a.txt")
        await _until(lambda: watch.captured == 1)
        await _until(lambda: watch.last_error is None)
    levels = [record.levelname for record in caplog.records if record.name == LOGGER.name]
    assert levels == ["WARNING", "INFO"]


@pytest.mark.parametrize("failing", [SpoolFull("no room for 1 byte"), SpoolError("the disk is gone")])
async def test_a_spool_that_refuses_is_asked_again(tmp_path: Path, spool: _Spool, failing: SpoolError) -> None:
    _write(tmp_path / "a.txt")
    spool.failing = failing
    watch = _watch(_config(tmp_path), spool)
    async with _running(watch):
        await _until(lambda: watch.errors > 2)
        assert watch.captured == 0
        assert watch.last_error in {"the spool is full; the files wait where they are", "the disk is gone"}
        spool.failing = None
        await _until(lambda: watch.captured == 1)
        await _until(lambda: watch.last_error is None)


async def test_what_was_skipped_is_told_while_the_rest_goes(
    tmp_path: Path, spool: _Spool, caplog: pytest.LogCaptureFixture
) -> None:
    _write(tmp_path / "a.txt")
    for name in (b"/caf\xe9", b"/caf\xea"):
        os.close(os.open(os.fsencode(tmp_path) + name, os.O_CREAT | os.O_WRONLY))
    watch = _watch(_config(tmp_path), spool)
    async with _running(watch):
        await _until(lambda: watch.captured == 1 and watch.errors > 2)
    assert watch.last_error is not None
    assert watch.last_error.endswith("the name is no UTF-8, rename it (and 1 more)")
    watch.last_error.encode()
    assert len([record for record in caplog.records if record.name == LOGGER.name]) == 1


async def test_a_paused_watch_appends_nothing_until_it_is_resumed(tmp_path: Path, spool: _Spool) -> None:
    watch = _watch(_config(tmp_path), spool)
    watch.pause()
    assert watch.paused
    _write(tmp_path / "a.txt")
    async with _running(watch):
        await asyncio.sleep(0.05)
        assert spool.asked == []
        watch.resume()
        await _until(lambda: watch.captured == 1)
    assert not watch.paused


async def test_a_pause_in_the_middle_ends_the_round(tmp_path: Path) -> None:
    class Pausing(_Spool):
        async def append(self, captures: Sequence[Capture]) -> list[int]:
            watch.pause()
            return await super().append(captures)

    for number in range(150):
        _write(tmp_path / f"{number}.txt")
    spool = Pausing()
    watch = _watch(_config(tmp_path), spool)
    async with _running(watch):
        await _until(lambda: watch.captured == 100)
        await asyncio.sleep(0.05)
        assert watch.captured == 100
        watch.resume()
        await _until(lambda: watch.captured == 150)


async def test_a_cancelled_watch_leaves_no_scan_behind(
    tmp_path: Path, spool: _Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process ends only once its threads have, and a folder may be huge."""
    _write(tmp_path / "a.txt")
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
    async with _running(_watch(_config(tmp_path), spool)):
        await _until(lambda: listed > 10)
    await asyncio.sleep(0.05)
    ended_at = listed
    await asyncio.sleep(0.05)
    assert listed == ended_at


@pytest.mark.parametrize(("settle_s", "period_s"), [(0, 0.5), (4, 2), (10, 5), (3600, 5)])
def test_the_period_follows_the_time_to_settle(tmp_path: Path, spool: _Spool, settle_s: float, period_s: float) -> None:
    watch = FolderWatch(_config(tmp_path, settle_s=settle_s), (), (), spool, put_away=_unlink, logger=LOGGER)
    assert watch._period_s == period_s


async def test_a_delivered_file_is_put_away_once_it_is_known_as_sent(tmp_path: Path, spool: _Spool) -> None:
    """Also after a crash came between the delivery and the putting away."""
    path = _write(tmp_path / "a.txt")
    watch = _watch(_config(tmp_path, after_upload=AfterUpload.DELETE), spool)
    async with _running(watch):
        await _until(lambda: watch.captured == 1)
        assert path.exists()
        spool.sent = [capture.file for capture in spool.captures if capture.file is not None]
        await _until(lambda: not path.exists() and not spool.sent)


async def test_a_folder_that_keeps_its_files_keeps_them(tmp_path: Path, spool: _Spool) -> None:
    path = _write(tmp_path / "a.txt")
    watch = _watch(_config(tmp_path, after_upload=AfterUpload.KEEP), spool)
    async with _running(watch):
        await _until(lambda: watch.captured == 1)
        spool.sent = [capture.file for capture in spool.captures if capture.file is not None]
        asked = len(spool.asked)
        await _until(lambda: len(spool.asked) > asked + 2)
    assert path.exists()
