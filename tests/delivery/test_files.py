"""What an upload says of a file, its bytes in chunks, and what becomes of it once it is delivered."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
import threading
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from module.capture import FileMark, Kind, Origin
from module.delivery.files import OpenFile, finish
from module.errors import FileChanged, OutsideFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

MODIFIED_NS = 1_700_000_000_123_456_789


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    other = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    with tempfile.TemporaryDirectory(dir=other) as made:
        yield Path(made)


def _write(path: Path, data: bytes = b"data") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(MODIFIED_NS, MODIFIED_NS))
    return path


def _mark(path: Path) -> FileMark:
    info = path.stat()
    return FileMark(path=str(path), size=info.st_size, modified_ns=info.st_mtime_ns)


def _changed_us(path: Path) -> int:
    return path.stat().st_ctime_ns // 1000


def _origin(folder: Path, after_upload: str, move_to: Path | str = "") -> Origin:
    return Origin(
        source=str(folder), kind=Kind.FILE, after_upload=after_upload, move_to=str(move_to), folder=str(folder)
    )


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def _closed(before: int) -> None:
    while _descriptors() != before:  # they are closed in threads
        await asyncio.sleep(0.001)


def _files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("file_name", "name", "extension", "mime_type"),
    [
        ("photo.jpg", "photo", ".jpg", "image/jpeg"),
        ("PHOTO.JPG", "PHOTO", ".JPG", "image/jpeg"),
        ("a.b.webp", "a.b", ".webp", "image/webp"),
        ("rows.ndjson", "rows", ".ndjson", "application/x-ndjson"),
        ("cloud.pcd", "cloud", ".pcd", "pointcloud/pcd"),
        ("logs.tar.gz", "logs.tar", ".gz", "application/gzip"),
        ("data:text,x.png", "data:text,x", ".png", "image/png"),
        ("noextension", "noextension", "", ""),
        (".hidden", ".hidden", "", ""),
    ],
)
async def test_name_extension_and_type_follow_the_path(
    folder: Path, file_name: str, name: str, extension: str, mime_type: str
) -> None:
    """Name and extension as the SDK's ``file_upload_from_path`` derives them."""
    path = _write(folder / file_name)
    async with OpenFile(str(folder), str(path)) as file:
        assert (file.name, file.extension, file.mime_type) == (name, extension, mime_type)


async def test_size_and_times_are_those_of_the_file(folder: Path) -> None:
    path = _write(folder / "a.txt", b"12345")
    async with OpenFile(str(folder), str(path)) as file:
        assert file.size == 5
        assert file.modified_us == 1_700_000_000_123_456
        assert file.created_us == _changed_us(path)
        assert file.mark == _mark(path)


@pytest.mark.parametrize("size", [0, 1, 10, 11, 20])
async def test_chunks_give_every_byte_once(folder: Path, size: int) -> None:
    data = bytes(range(size))
    path = _write(folder / "a.bin", data)
    async with OpenFile(str(folder), str(path)) as file:
        chunks = [chunk async for chunk in file.chunks(10)]
    assert b"".join(chunks) == data
    assert [len(chunk) for chunk in chunks[:-1]] == [10] * (len(chunks) - 1)
    assert len(chunks) == max(1, -(-size // 10))


@pytest.mark.parametrize("change", ["grow", "cut", "rewrite"])
async def test_a_change_is_found_before_the_last_chunk_is_given(folder: Path, change: str) -> None:
    path = _write(folder / "a.bin", b"x" * 30)
    async with OpenFile(str(folder), str(path)) as file:
        chunks = file.chunks(10)
        assert await anext(chunks) == b"x" * 10
        with path.open("r+b") as writing:
            if change == "cut":
                writing.truncate(20)
            else:
                writing.seek(0, os.SEEK_END if change == "grow" else os.SEEK_SET)
                writing.write(b"y")
        assert await anext(chunks) == b"x" * 10
        with pytest.raises(FileChanged, match=r"a\.bin"):
            await anext(chunks)


async def test_a_cut_is_found_at_once(folder: Path) -> None:
    """Not after gigabytes that nobody can use."""
    path = _write(folder / "a.bin", b"x" * 30)
    async with OpenFile(str(folder), str(path)) as file:
        os.truncate(path, 5)
        with pytest.raises(FileChanged):
            await anext(file.chunks(10))


async def test_an_empty_file_that_grows_has_changed(folder: Path) -> None:
    path = _write(folder / "a.bin", b"")
    async with OpenFile(str(folder), str(path)) as file:
        path.write_bytes(b"more")
        with pytest.raises(FileChanged):
            await anext(file.chunks(10))


async def test_a_file_that_is_replaced_or_removed_is_read_to_its_end(folder: Path) -> None:
    """The open file is still the one that settled; what took its name is another."""
    path = _write(folder / "a.bin", b"x" * 30)
    async with OpenFile(str(folder), str(path)) as file:
        path.unlink()
        path.write_bytes(b"new")
        assert b"".join([chunk async for chunk in file.chunks(10)]) == b"x" * 30


async def test_short_reads_are_completed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As network file systems give them."""
    path = _write(folder / "a.bin", b"0123456789" * 3)
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, offset: pread(fd, min(size, 3), offset))
    async with OpenFile(str(folder), str(path)) as file:
        assert [chunk async for chunk in file.chunks(20)] == [b"0123456789" * 2, b"0123456789"]


async def test_memory_stays_flat_and_reads_leave_the_loop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "large.bin"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    threads = set()
    pread = os.pread

    def reading(fd: int, size: int, offset: int) -> bytes:
        threads.add(threading.current_thread())
        return pread(fd, size, offset)

    monkeypatch.setattr(os, "pread", reading)
    tracemalloc.start()
    try:
        async with OpenFile(str(folder), str(path)) as opened:
            sizes = [len(chunk) async for chunk in opened.chunks(1 << 18)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(sizes) == 64 << 20
    assert peak < 2 << 20
    assert threading.main_thread() not in threads


async def test_a_link_out_of_the_folder_is_not_opened(folder: Path, tmp_path: Path) -> None:
    (folder / "link").symlink_to(_write(tmp_path / "secret"))
    with pytest.raises(OutsideFolder):
        await OpenFile(str(folder), str(folder / "link")).__aenter__()


async def test_closing_is_idempotent_and_reading_after_it_is_an_error(folder: Path) -> None:
    before = _descriptors()
    file = OpenFile(str(folder), str(_write(folder / "a.txt")))
    await file.__aenter__()
    file.close()
    file.close()
    with pytest.raises(OSError, match="closed"):
        await anext(file.chunks(10))
    await _closed(before)


async def test_an_open_that_is_cancelled_leaves_nothing_open(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(folder / "a.txt")
    begun, go_on = threading.Event(), threading.Event()
    real_open = os.open

    def slow(*args: Any, **named: Any) -> int:
        begun.set()
        go_on.wait(5)
        return real_open(*args, **named)

    before = _descriptors()
    monkeypatch.setattr(os, "open", slow)
    task = asyncio.create_task(OpenFile(str(folder), str(path)).__aenter__())
    while not begun.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    monkeypatch.undo()
    go_on.set()
    await _closed(before)


@pytest.mark.parametrize(("after_upload", "left"), [("keep", {"sub/a.txt": b"data"}), ("delete", {})])
def test_a_delivered_file_is_kept_or_deleted(folder: Path, after_upload: str, left: dict[str, bytes]) -> None:
    path = _write(folder / "sub" / "a.txt")
    finish(_origin(folder, after_upload), _mark(path))
    assert _files_of(folder) == left


@pytest.mark.parametrize("after_upload", ["delete", "move"])
def test_a_file_that_has_changed_since_stays(folder: Path, tmp_path: Path, after_upload: str) -> None:
    path = _write(folder / "a.txt")
    mark = _mark(path)
    path.write_bytes(b"more data")
    finish(_origin(folder, after_upload, tmp_path / "done"), mark)
    path.write_bytes(b"atad")  # as long as before
    finish(_origin(folder, after_upload, tmp_path / "done"), mark)
    assert _files_of(folder) == {"a.txt": b"atad"}
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("after_upload", ["delete", "move"])
def test_a_file_that_is_gone_is_well(folder: Path, tmp_path: Path, after_upload: str) -> None:
    """It was put away before, and only the acknowledgement was lost."""
    path = _write(folder / "sub" / "a.txt")
    mark = _mark(path)
    path.unlink()
    finish(_origin(folder, after_upload, tmp_path / "done"), mark)
    path.parent.rmdir()
    finish(_origin(folder, after_upload, tmp_path / "done"), mark)


@pytest.mark.parametrize("after_upload", ["delete", "move"])
def test_nothing_is_put_away_through_a_link(folder: Path, tmp_path: Path, after_upload: str) -> None:
    path = _write(folder / "sub" / "a.txt")
    mark = _mark(path)
    shutil.move(folder / "sub", tmp_path / "other")
    (folder / "sub").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="link") as caught:
        finish(_origin(folder, after_upload, tmp_path / "done"), mark)
    assert caught.value.filename == str(path)
    assert _files_of(tmp_path / "other") == {"a.txt": b"data"}


@pytest.fixture(params=["same", "another"])
def done(request: pytest.FixtureRequest, tmp_path: Path, elsewhere: Path) -> Path:
    """Where files are moved to: on the folder's file system, or on another."""
    return (tmp_path if request.param == "same" else elsewhere) / "not" / "yet" / "there"


def test_a_moved_file_keeps_path_bytes_times_and_mode(folder: Path, done: Path) -> None:
    path = _write(folder / "sub" / "deep" / "a.txt", os.urandom(3 << 20))
    data = path.read_bytes()
    path.chmod(0o640)
    finish(_origin(folder, "move", done), _mark(path))
    assert _files_of(folder) == {}
    assert _files_of(done) == {"sub/deep/a.txt": data}
    info = (done / "sub" / "deep" / "a.txt").stat()
    assert (info.st_mtime_ns, info.st_mode & 0o777) == (MODIFIED_NS, 0o640)


def test_a_move_never_overwrites(folder: Path, done: Path) -> None:
    for data in (b"first", b"second", b"third"):
        finish(_origin(folder, "move", done), _mark(_write(folder / "a.tar.gz", data)))
    assert _files_of(done) == {"a.tar.gz": b"first", "a.tar-1.gz": b"second", "a.tar-2.gz": b"third"}


def test_a_move_writes_through_no_link(folder: Path, done: Path, tmp_path: Path) -> None:
    """Neither through a folder below ``move_to``, nor onto what a link of the file's name leads to."""
    (tmp_path / "other").mkdir()
    done.mkdir(parents=True)
    (done / "sub").symlink_to(tmp_path / "other")
    (done / "b.txt").symlink_to(tmp_path / "other" / "b.txt")
    path = _write(folder / "sub" / "a.txt")
    with pytest.raises(NotADirectoryError) as caught:
        finish(_origin(folder, "move", done), _mark(path))
    assert caught.value.filename == str(done / "sub" / "a.txt")
    finish(_origin(folder, "move", done), _mark(_write(folder / "b.txt")))
    assert (done / "b-1.txt").read_bytes() == b"data"
    assert _files_of(tmp_path / "other") == {}
    assert path.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ENOENT])
def test_a_move_that_cannot_be_done_leaves_the_file_and_nothing_else(
    folder: Path, done: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = _write(folder / "a.txt")

    def failing(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="No s") as caught:
        finish(_origin(folder, "move", done), _mark(path))
    assert caught.value.filename == str(done / "a.txt")
    assert (_files_of(folder), _files_of(done)) == ({"a.txt": b"data"}, {})


def test_a_file_that_changes_while_it_is_copied_stays(
    folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(folder / "a.txt")
    copy = shutil.copyfileobj

    def changing(source: Any, target: Any, length: int) -> None:
        copy(source, target, length)
        path.write_bytes(b"new data")

    monkeypatch.setattr(shutil, "copyfileobj", changing)
    finish(_origin(folder, "move", elsewhere), _mark(path))
    assert (_files_of(folder), _files_of(elsewhere)) == ({"a.txt": b"new data"}, {})


def test_a_copy_that_breaks_off_leaves_no_part(folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(folder / "a.txt")

    def breaking(_: Any, target: Any, __: int) -> None:
        target.write(b"da")
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(shutil, "copyfileobj", breaking)
    with pytest.raises(OSError, match="Input/output"):
        finish(_origin(folder, "move", elsewhere), _mark(path))
    assert (_files_of(folder), _files_of(elsewhere)) == ({"a.txt": b"data"}, {})


def test_a_move_is_on_the_disk_before_the_file_goes(
    folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Across file systems: the bytes, then their name, then the folder that they left."""
    path = _write(folder / "a.txt")
    steps = []
    fsync, unlink = os.fsync, os.unlink

    def syncing(descriptor: int) -> None:
        fsync(descriptor)
        steps.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    def unlinking(name: str, *, dir_fd: int) -> None:
        unlink(name, dir_fd=dir_fd)
        steps.append(Path(f"/proc/self/fd/{dir_fd}").readlink() / name)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(os, "unlink", unlinking)
    finish(_origin(folder, "move", elsewhere), _mark(path))
    part, named, *rest = steps
    assert (part.parent, part.suffix) == (elsewhere, ".part")
    assert [named, *rest] == [elsewhere, path, elsewhere, folder]


def test_a_file_system_that_cannot_sync_folders_will_do(
    folder: Path, done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(folder / "a.txt")
    fsync = os.fsync

    def picky(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", picky)
    finish(_origin(folder, "move", done), _mark(path))
    assert _files_of(done) == {"a.txt": b"data"}
