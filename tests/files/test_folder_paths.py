"""Whether a path lies in a configured folder, and the open that nothing swapped in can fool."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from module.errors import OutsideFolder
from module.files.folder_paths import open_inside, parent_inside, parts_inside, resolve_inside
from tests.descriptors import open_around

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configured folder with one file in a subfolder, beside a file that must never be reached."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "password").write_text("hunter2")
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "sub" / "a.txt").write_text("hello")
    return inside


def _read(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


@pytest.mark.parametrize("path", ["sub/a.txt", "{folder}/sub/a.txt", "{folder}/sub/../sub//a.txt", "./sub/a.txt"])
def test_a_file_inside_is_resolved(folder: Path, path: str) -> None:
    assert resolve_inside(str(folder), path.format(folder=folder)) == str(folder / "sub" / "a.txt")


def test_links_that_stay_inside_are_resolved(folder: Path, tmp_path: Path) -> None:
    (folder / "again").symlink_to("sub/a.txt")
    (tmp_path / "door").symlink_to(folder)
    assert resolve_inside(str(tmp_path / "door"), str(tmp_path / "door" / "again")) == str(folder / "sub" / "a.txt")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "{folder}/../../../../../../../../etc/passwd",
        "../secret/password",
        "{folder}/sub/../../secret/password",
        "{folder}side/a.txt",
        "{folder}/../inside-too/a.txt",
        "/",
        "/nowhere/at/all",
    ],
)
def test_a_path_that_leads_out_is_refused(folder: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "inside-too").mkdir()
    (tmp_path / "inside-too" / "a.txt").write_text("a sibling whose name begins as the folder's")
    with pytest.raises(OutsideFolder):
        resolve_inside(str(folder), path.format(folder=folder))
    if path.startswith(("/", "{")):
        with pytest.raises(OutsideFolder):
            open_inside(str(folder), path.format(folder=folder))


@pytest.mark.parametrize("target", ["../secret/password", "/etc/passwd", "../secret/not-there"])
def test_a_link_that_leads_out_is_refused(folder: Path, target: str) -> None:
    """Whether what it leads to exists or not: the answer must not tell."""
    (folder / "link").symlink_to(target)
    with pytest.raises(OutsideFolder):
        resolve_inside(str(folder), str(folder / "link"))


def test_a_folder_that_links_out_is_refused(folder: Path) -> None:
    (folder / "out").symlink_to("../secret")
    with pytest.raises(OutsideFolder):
        resolve_inside(str(folder), "out/password")
    with pytest.raises(OutsideFolder):
        open_inside(str(folder), str(folder / "out" / "password"))


@pytest.mark.parametrize("path", ["sub/b.txt", "nul\0byte"])
def test_what_is_not_there_is_not_found(folder: Path, path: str) -> None:
    with pytest.raises(FileNotFoundError):
        resolve_inside(str(folder), path)


def test_a_loop_of_links_is_an_os_error(folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        resolve_inside(str(folder), "loop")


def test_a_folder_is_no_file(folder: Path) -> None:
    for path in ("", "sub", str(folder)):
        with pytest.raises(IsADirectoryError):
            resolve_inside(str(folder), path)
    with pytest.raises(IsADirectoryError):
        open_inside(str(folder), str(folder / "sub"))


def test_a_file_is_opened_by_either_name_of_its_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "door").symlink_to(folder)
    for path in (folder / "sub" / "a.txt", tmp_path / "door" / "sub" / "a.txt"):
        assert _read(open_inside(str(tmp_path / "door"), str(path))) == b"hello"


def test_the_root_can_be_a_folder(folder: Path) -> None:
    path = str(folder / "sub" / "a.txt")
    assert resolve_inside("/", path) == path
    assert _read(open_inside("/", path)) == b"hello"


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket may have 108 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("make", [_fifo, _socket])
def test_what_is_no_regular_file_is_refused_without_waiting(folder: Path, make: Callable[[Path], None]) -> None:
    make(folder / "thing")
    with pytest.raises(OSError, match="Not a regular file"):
        resolve_inside(str(folder), "thing")
    with pytest.raises(OSError, match="Not a regular file"):
        open_inside(str(folder), str(folder / "thing"))


def test_a_device_is_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """To open one can do something: rewind a tape, arm a watchdog."""
    opened = []
    real_open = os.open

    def watching(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        opened.append(path)
        return real_open(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", watching)
    with pytest.raises(OSError, match="Not a regular file"):
        open_inside("/dev", "/dev/null")
    assert opened == ["/dev"]


def test_a_link_is_refused_even_where_it_stays_inside(folder: Path) -> None:
    (folder / "again").symlink_to("sub/a.txt")
    (folder / "sub2").symlink_to("sub")
    for path in (folder / "again", folder / "sub2" / "a.txt"):
        with pytest.raises(OutsideFolder, match="link"):
            open_inside(str(folder), str(path))


@pytest.mark.parametrize("swapped", ["file", "folder", "fifo"])
def test_what_is_swapped_in_between_check_and_open_gains_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    """The swap happens right before the very open that could be fooled."""
    path = folder / "sub" / "a.txt"
    name = "sub" if swapped == "folder" else "a.txt"
    (tmp_path / "secret" / "a.txt").write_text("hunter2")
    real_open = os.open

    def swapping(opened: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if opened == name:
            victim = folder / "sub" if swapped == "folder" else path
            victim.rename(tmp_path / "old")
            if swapped == "fifo":
                os.mkfifo(victim)
            else:
                victim.symlink_to(tmp_path / "secret" / ("" if swapped == "folder" else "password"))
        return real_open(opened, flags, mode, dir_fd=dir_fd)

    before = open_around(tmp_path)
    monkeypatch.setattr(os, "open", swapping)
    with pytest.raises(OSError if swapped == "fifo" else OutsideFolder):
        open_inside(str(folder), str(path))
    assert open_around(tmp_path) == before


@pytest.mark.parametrize("at", ["one", "two", "three"])
def test_no_folder_on_the_way_may_turn_into_a_link(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Wherever on the way down, and although what it leads to looks the same."""
    for root in (folder, tmp_path / "secret"):
        (root / "one" / "two" / "three").mkdir(parents=True)
        (root / "one" / "two" / "three" / "a.txt").write_text(root.name)
    place = next(path for path in folder.rglob(at))
    real_open = os.open

    def swapping(opened: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if opened == at and dir_fd is not None:
            place.rename(tmp_path / "old")
            place.symlink_to(tmp_path / "secret" / place.relative_to(folder))
        return real_open(opened, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swapping)
    with pytest.raises(OutsideFolder, match="link"):
        open_inside(str(folder), str(folder / "one" / "two" / "three" / "a.txt"))


@pytest.mark.parametrize(
    "name", ["..a", "...", "a\nb", "\x1b[31m", "%s{0}", "x" * 255, "\udcff", " ", "-rf", "a\\b", "~", "$HOME"]
)
def test_a_name_is_nothing_but_a_name(folder: Path, name: str) -> None:
    (folder / "sub" / name).write_text("odd")
    path = resolve_inside(str(folder), f"sub/{name}")
    assert path == f"{folder}/sub/{name}"
    assert _read(open_inside(str(folder), path)) == b"odd"


@pytest.mark.parametrize("name", ["x" * 256, "x/" * 3000, "sub/a.txt/..", "sub/a.txt/x"])
def test_a_path_that_cannot_be_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(OSError, match=r"File name too long|No such file|Not a directory|Is a directory"):
        open_inside(str(folder), resolve_inside(str(folder), name))


def test_a_link_to_a_device_leads_out_or_nowhere(folder: Path) -> None:
    (folder / "zero").symlink_to("/dev/zero")
    with pytest.raises(OutsideFolder):
        resolve_inside(str(folder), "zero")
    with pytest.raises(OSError, match="Not a regular file"):
        resolve_inside("/", "/dev/zero")


def test_nothing_stays_open_and_children_inherit_nothing(folder: Path) -> None:
    before = open_around(folder)
    descriptor = open_inside(str(folder), str(folder / "sub" / "a.txt"))
    assert open_around(folder) == sorted([*before, str(folder / "sub" / "a.txt")])
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    for path in (folder / "sub", folder / "not-there", folder / "sub" / "a.txt" / "below"):
        with pytest.raises(OSError, match=str(path)):
            open_inside(str(folder), str(path))
    assert open_around(folder) == before


def test_errors_name_the_whole_path(folder: Path) -> None:
    path = str(folder / "nowhere" / "b.txt")
    with pytest.raises(FileNotFoundError) as caught:
        open_inside(str(folder), path)
    assert caught.value.filename == path


def test_the_parent_is_given_with_the_last_component(folder: Path) -> None:
    with parent_inside(str(folder), str(folder / "sub" / "a.txt")) as (parent, name):
        assert name == "a.txt"
        assert os.fstat(parent).st_ino == (folder / "sub").stat().st_ino


def test_the_components_below_a_folder() -> None:
    assert parts_inside("/data", "/data//x/./y.txt") == ("x", "y.txt")
    for path in ("/data", "/data/", "/database/x", "/data/x/../y", "data/x"):
        with pytest.raises(OutsideFolder):
            parts_inside("/data", path)
