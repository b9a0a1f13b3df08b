"""What an upload says of a file, and its bytes in chunks."""

from __future__ import annotations

import asyncio
import os
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from module.delivery.wire.files import OpenFile
from module.errors import FileChanged, OutsideFolder
from tests.delivery.written import mark_of_file, write_file
from tests.descriptors import open_around


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


def _changed_us(path: Path) -> int:
    return path.stat().st_ctime_ns // 1000


async def _closed(folder: Path) -> None:
    while open_around(folder):  # they are closed in threads
        await asyncio.sleep(0.001)


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
    path = write_file(folder / file_name)
    async with OpenFile(str(folder), str(path)) as file:
        assert (file.name, file.extension, file.mime_type) == (name, extension, mime_type)


async def test_size_and_times_are_those_of_the_file(folder: Path) -> None:
    path = write_file(folder / "a.txt", b"12345")
    async with OpenFile(str(folder), str(path)) as file:
        assert file.size == 5
        assert file.modified_us == 1_700_000_000_123_456
        assert file.created_us == _changed_us(path)
        assert file.mark == mark_of_file(path)


@pytest.mark.parametrize("size", [0, 1, 10, 11, 20])
async def test_chunks_give_every_byte_once(folder: Path, size: int) -> None:
    data = bytes(range(size))
    path = write_file(folder / "a.bin", data)
    async with OpenFile(str(folder), str(path)) as file:
        chunks = [chunk async for chunk in file.chunks(10)]
    assert b"".join(chunks) == data
    assert [len(chunk) for chunk in chunks[:-1]] == [10] * (len(chunks) - 1)
    assert len(chunks) == max(1, -(-size // 10))


@pytest.mark.parametrize("change", ["grow", "cut", "rewrite"])
async def test_a_change_is_found_before_the_last_chunk_is_given(folder: Path, change: str) -> None:
    path = write_file(folder / "a.bin", b"x" * 30)
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
    path = write_file(folder / "a.bin", b"x" * 30)
    async with OpenFile(str(folder), str(path)) as file:
        os.truncate(path, 5)
        with pytest.raises(FileChanged):
            await anext(file.chunks(10))


async def test_an_empty_file_that_grows_has_changed(folder: Path) -> None:
    path = write_file(folder / "a.bin", b"")
    async with OpenFile(str(folder), str(path)) as file:
        path.write_bytes(b"more")
        with pytest.raises(FileChanged):
            await anext(file.chunks(10))


async def test_a_file_that_is_replaced_or_removed_is_read_to_its_end(folder: Path) -> None:
    """The open file is still the one that settled; what took its name is another."""
    path = write_file(folder / "a.bin", b"x" * 30)
    async with OpenFile(str(folder), str(path)) as file:
        path.unlink()
        path.write_bytes(b"new")
        assert b"".join([chunk async for chunk in file.chunks(10)]) == b"x" * 30


async def test_short_reads_are_completed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As network file systems give them."""
    path = write_file(folder / "a.bin", b"0123456789" * 3)
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
    (folder / "link").symlink_to(write_file(tmp_path / "secret"))
    with pytest.raises(OutsideFolder):
        await OpenFile(str(folder), str(folder / "link")).__aenter__()


async def test_closing_is_idempotent_and_reading_after_it_is_an_error(folder: Path) -> None:
    file = OpenFile(str(folder), str(write_file(folder / "a.txt")))
    await file.__aenter__()
    file.close()
    file.close()
    with pytest.raises(OSError, match="closed"):
        await anext(file.chunks(10))
    await _closed(folder)


async def test_an_open_that_is_cancelled_leaves_nothing_open(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_file(folder / "a.txt")
    begun, go_on = threading.Event(), threading.Event()
    real_open = os.open

    def slow(*args: Any, **named: Any) -> int:
        begun.set()
        go_on.wait(5)
        return real_open(*args, **named)

    monkeypatch.setattr(os, "open", slow)
    task = asyncio.create_task(OpenFile(str(folder), str(path)).__aenter__())
    while not begun.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    monkeypatch.undo()
    go_on.set()
    await _closed(folder)
