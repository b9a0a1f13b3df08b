"""What becomes of a file once it is delivered."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from module.capture import Kind, Origin
from module.delivery.put_away import finish
from tests.delivery.written import MODIFIED_NS, mark_of_file, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator


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


@pytest.fixture(params=["same", "another"])
def done(request: pytest.FixtureRequest, tmp_path: Path, elsewhere: Path) -> Path:
    """Where files are moved to: on the folder's file system, or on another."""
    return (tmp_path if request.param == "same" else elsewhere) / "not" / "yet" / "there"


def _origin(folder: Path, after_upload: str, move_to: Path | str = "") -> Origin:
    return Origin(
        source=str(folder), kind=Kind.FILE, after_upload=after_upload, move_to=str(move_to), folder=str(folder)
    )


def _files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("after_upload", "left"), [("keep", {"sub/a.txt": b"data"}), ("delete", {})])
def test_a_delivered_file_is_kept_or_deleted(folder: Path, after_upload: str, left: dict[str, bytes]) -> None:
    path = write_file(folder / "sub" / "a.txt")
    finish(_origin(folder, after_upload), mark_of_file(path))
    assert _files_of(folder) == left


@pytest.mark.parametrize("after_upload", ["delete", "move"])
def test_a_file_that_has_changed_since_stays(folder: Path, tmp_path: Path, after_upload: str) -> None:
    path = write_file(folder / "a.txt")
    mark = mark_of_file(path)
    path.write_bytes(b"more data")
    finish(_origin(folder, after_upload, tmp_path / "done"), mark)
    path.write_bytes(b"atad")  # as long as before
    finish(_origin(folder, after_upload, tmp_path / "done"), mark)
    assert _files_of(folder) == {"a.txt": b"atad"}
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("after_upload", ["delete", "move"])
def test_a_file_that_is_gone_is_well(folder: Path, tmp_path: Path, after_upload: str) -> None:
    """It was put away before, and only the acknowledgement was lost."""
    path = write_file(folder / "sub" / "a.txt")
    mark = mark_of_file(path)
    path.unlink()
    finish(_origin(folder, after_upload, tmp_path / "done"), mark)
    path.parent.rmdir()
    finish(_origin(folder, after_upload, tmp_path / "done"), mark)


@pytest.mark.parametrize("after_upload", ["delete", "move"])
def test_nothing_is_put_away_through_a_link(folder: Path, tmp_path: Path, after_upload: str) -> None:
    path = write_file(folder / "sub" / "a.txt")
    mark = mark_of_file(path)
    shutil.move(folder / "sub", tmp_path / "other")
    (folder / "sub").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="link") as caught:
        finish(_origin(folder, after_upload, tmp_path / "done"), mark)
    assert caught.value.filename == str(path)
    assert _files_of(tmp_path / "other") == {"a.txt": b"data"}


def test_a_moved_file_keeps_path_bytes_times_and_mode(folder: Path, done: Path) -> None:
    path = write_file(folder / "sub" / "deep" / "a.txt", os.urandom(3 << 20))
    data = path.read_bytes()
    path.chmod(0o640)
    finish(_origin(folder, "move", done), mark_of_file(path))
    assert _files_of(folder) == {}
    assert _files_of(done) == {"sub/deep/a.txt": data}
    info = (done / "sub" / "deep" / "a.txt").stat()
    assert (info.st_mtime_ns, info.st_mode & 0o777) == (MODIFIED_NS, 0o640)


def test_a_move_never_overwrites(folder: Path, done: Path) -> None:
    for data in (b"first", b"second", b"third"):
        finish(_origin(folder, "move", done), mark_of_file(write_file(folder / "a.tar.gz", data)))
    assert _files_of(done) == {"a.tar.gz": b"first", "a.tar-1.gz": b"second", "a.tar-2.gz": b"third"}


def test_a_move_writes_through_no_link(folder: Path, done: Path, tmp_path: Path) -> None:
    """Neither through a folder below ``move_to``, nor onto what a link of the file's name leads to."""
    (tmp_path / "other").mkdir()
    done.mkdir(parents=True)
    (done / "sub").symlink_to(tmp_path / "other")
    (done / "b.txt").symlink_to(tmp_path / "other" / "b.txt")
    path = write_file(folder / "sub" / "a.txt")
    with pytest.raises(NotADirectoryError) as caught:
        finish(_origin(folder, "move", done), mark_of_file(path))
    assert caught.value.filename == str(done / "sub" / "a.txt")
    finish(_origin(folder, "move", done), mark_of_file(write_file(folder / "b.txt")))
    assert (done / "b-1.txt").read_bytes() == b"data"
    assert _files_of(tmp_path / "other") == {}
    assert path.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ENOENT])
def test_a_move_that_fails_leaves_only_the_file(
    folder: Path, done: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = write_file(folder / "a.txt")

    def failing(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="No s") as caught:
        finish(_origin(folder, "move", done), mark_of_file(path))
    assert caught.value.filename == str(done / "a.txt")
    assert (_files_of(folder), _files_of(done)) == ({"a.txt": b"data"}, {})


def test_a_file_that_changes_while_it_is_copied_stays(
    folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_file(folder / "a.txt")
    copy = shutil.copyfileobj

    def changing(source: Any, target: Any, length: int) -> None:
        copy(source, target, length)
        path.write_bytes(b"new data")

    monkeypatch.setattr(shutil, "copyfileobj", changing)
    finish(_origin(folder, "move", elsewhere), mark_of_file(path))
    assert (_files_of(folder), _files_of(elsewhere)) == ({"a.txt": b"new data"}, {})


def test_a_copy_that_breaks_off_leaves_no_part(folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_file(folder / "a.txt")

    def breaking(_: Any, target: Any, __: int) -> None:
        target.write(b"da")
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(shutil, "copyfileobj", breaking)
    with pytest.raises(OSError, match="Input/output"):
        finish(_origin(folder, "move", elsewhere), mark_of_file(path))
    assert (_files_of(folder), _files_of(elsewhere)) == ({"a.txt": b"data"}, {})


def test_a_move_is_on_the_disk_before_the_file_goes(
    folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Across file systems: the bytes, then their name, then the folder that they left."""
    path = write_file(folder / "a.txt")
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
    finish(_origin(folder, "move", elsewhere), mark_of_file(path))
    part, named, *rest = steps
    assert (part.parent, part.suffix) == (elsewhere, ".part")
    assert [named, *rest] == [elsewhere, path, elsewhere, folder]


def test_a_file_system_that_cannot_sync_folders_will_do(
    folder: Path, done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_file(folder / "a.txt")
    fsync = os.fsync

    def picky(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", picky)
    finish(_origin(folder, "move", done), mark_of_file(path))
    assert _files_of(done) == {"a.txt": b"data"}


@pytest.mark.usefixtures("leases")
@pytest.mark.parametrize("after_upload", ["delete", "move"])
def test_a_file_that_somebody_has_open_for_writing_stays(folder: Path, done: Path, after_upload: str) -> None:
    path = write_file(folder / "a.bin")
    origin, mark = _origin(folder, after_upload, done), mark_of_file(path)
    with path.open("ab"):
        assert not finish(origin, mark)
        assert _files_of(folder) == {"a.bin": b"data"}
    assert finish(origin, mark)
    assert _files_of(folder) == {}
    assert not any(done.rglob("*.part"))


@pytest.mark.usefixtures("leases")
@pytest.mark.parametrize("user", [None, 65534])
@pytest.mark.parametrize("after_upload", ["delete", "move"])
def test_a_writer_that_comes_at_the_last_moment_keeps_its_file(
    monkeypatch: pytest.MonkeyPatch, after_upload: str, user: int | None
) -> None:
    """It opens while the file is compared, as the file's user or another, and waits no longer than that takes."""
    if user is not None and os.geteuid() != 0:
        pytest.skip("only root can start a process of another user")
    writers: list[subprocess.Popen[bytes]] = []
    code = (
        "import os, sys; os.setuid(int(sys.argv[2])); "
        "os.write(os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND), b'more')"
    )
    compared = os.path.samestat

    def breaks() -> bool:
        # Of this process: other tests have leases, too.
        lines = Path("/proc/locks").read_text().splitlines()
        return any("BREAKING" in line and str(os.getpid()) in line.split() for line in lines)

    def compare(one: os.stat_result, other: os.stat_result) -> bool:
        writers.append(subprocess.Popen([sys.executable, "-c", code, str(path), str(user or os.getuid())]))
        until = time.monotonic() + 20
        while not breaks() and time.monotonic() < until:
            time.sleep(0.01)
        return compared(one, other)

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o777)
        path = write_file(folder / "a.bin")
        path.chmod(0o666)
        mark = mark_of_file(path)
        with monkeypatch.context() as patch:
            patch.setattr(os.path, "samestat", compare)
            assert not finish(_origin(folder, after_upload, folder / "done"), mark)
        assert [writer.wait(20) for writer in writers] == [0]
        assert _files_of(folder) == {"a.bin": b"datamore"}
