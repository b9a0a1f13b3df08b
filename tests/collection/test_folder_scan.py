"""Which files of a folder have settled."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from module.capture import FileMark
from module.collection.folder_scan import Glob, Sightings, inferred, scan
from tests.collection.rig import NOW_S, config_of, names, write


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
    write(tmp_path / "a.txt", 20)
    write(tmp_path / "sub" / "deep" / "b.txt", 30)
    write(tmp_path / ".hidden", 10)
    write(tmp_path / "busy.txt", 9.9)
    assert names(scan(config_of(tmp_path), NOW_S)) == ["b.txt", "a.txt", ".hidden"]
    assert names(scan(config_of(tmp_path, recursive=False), NOW_S)) == ["a.txt", ".hidden"]


@pytest.mark.parametrize("data", [b"12345", b""])
def test_a_mark_tells_path_size_and_time(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path / "sub" / "a.txt", data=data)
    expected = FileMark(path=os.path.realpath(path), size=len(data), modified_ns=path.stat().st_mtime_ns)
    assert scan(config_of(tmp_path), NOW_S) == [expected]


def test_exclude_beats_include(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png", "raw/c.jpg", "raw/d.txt"):
        write(tmp_path / name)
    config = config_of(tmp_path, include=("*.jpg", "*.png"), exclude=("raw/**",))
    assert sorted(names(scan(config, NOW_S))) == ["a.jpg", "b.png"]


def test_no_link_is_followed_and_no_fifo_opened(tmp_path: Path) -> None:
    """Neither out of the folder, nor to what lies in it and is taken as itself."""
    folder = tmp_path / "folder"
    write(tmp_path / "outside" / "secret")
    write(folder / "a.txt")
    (folder / "file").symlink_to(tmp_path / "outside" / "secret")
    (folder / "folder").symlink_to(tmp_path / "outside")
    (folder / "again").symlink_to("a.txt")
    (folder / "loop").symlink_to(".")
    (folder / "nowhere").symlink_to("not-there")
    os.mkfifo(folder / "fifo")
    assert names(scan(config_of(folder), time.time() + 60)) == ["a.txt"]


def test_a_file_dated_in_the_future_settles_once_it_stays_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", age_s=-3600)
    config, sightings = config_of(tmp_path), Sightings()
    assert scan(config, NOW_S, sightings) == []
    assert scan(config, NOW_S + 6, sightings) == []
    path.write_bytes(b"longer data")
    os.utime(path, (NOW_S + 3600, NOW_S + 3600))
    assert scan(config, NOW_S + 11, sightings) == []
    assert scan(config, NOW_S + 20.9, sightings) == []
    assert names(scan(config, NOW_S + 21, sightings)) == ["a.txt"]


def test_a_clock_set_back_does_not_hold_a_file_up(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", age_s=-3600)
    config, sightings = config_of(tmp_path), Sightings()
    assert scan(config, NOW_S, sightings) == []
    assert scan(config, NOW_S - 1000, sightings) == []
    assert names(scan(config, NOW_S - 990, sightings)) == ["a.txt"]


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


def test_unreadable_files_are_left_out_and_reported() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        write(folder / "a.txt")
        write(folder / "closed" / "b.txt")
        (folder / "closed").chmod(0)
        sightings = Sightings()
        try:
            with _unprivileged():
                assert names(scan(config_of(folder), NOW_S, sightings)) == ["a.txt"]
        finally:
            (folder / "closed").chmod(stat.S_IRWXU)
        assert sightings.skipped == {str(folder / "closed"): "Permission denied"}
        assert len(scan(config_of(folder), NOW_S, sightings)) == 2
        assert sightings.skipped == {}


def test_a_name_that_is_not_utf8_is_left_out_and_reported(tmp_path: Path) -> None:
    """Neither the spool nor an upload could hold it."""
    os.close(os.open(os.fsencode(tmp_path) + b"/caf\xe9", os.O_CREAT | os.O_WRONLY))
    sightings = Sightings()
    assert scan(config_of(tmp_path), time.time() + 60, sightings) == []
    assert list(sightings.skipped.values()) == ["the name is not UTF-8; rename it"]


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
