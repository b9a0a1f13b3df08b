"""What SECURITY.md promises, tried on a real module process."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpclib import GRPCError, Status

from module.local.calls import Call, Refusal, UploadMethod
from tests.process.rig import NAME, CountingSensor, Rig, Starter

SECRET = b"of somebody else"
ODD = "%s %n %(x)s {0} {__class__} ../../etc/passwd '; DROP TABLE capture; -- \"\\ \x1b[31mred\x9b0m \u202e\u2028 ü"
"""What would do harm where it is formatted, joined to a path, put into SQL or JSON, or shown by a terminal."""
FORGED = f"{ODD}\n2026-01-01 00:00:00,000\t\tERROR\tcourier (forged.py:1)\tall is lost\r\n\0"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder to configure, beside one that must never be reached.

    Not in /dev, where the folders of tests may lie: one test watches that.
    """
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name).resolve()
        (parent / "outside").mkdir()
        (parent / "outside" / "a.txt").write_bytes(SECRET)
        (parent / "folder" / "sub").mkdir(parents=True)
        (parent / "folder" / "sub" / "a.txt").write_bytes(b"own")
        yield parent / "folder"


def _watched(folder: Path, **attributes: Any) -> dict[str, Any]:
    return {"path": str(folder), "settle_s": 0.1, **attributes}


async def _refused(rig: Rig, verb: str, **arguments: Any) -> str:
    with pytest.raises(GRPCError) as refusal:
        await rig.command(verb, **arguments)
    assert refusal.value.status is Status.INVALID_ARGUMENT
    return str(refusal.value.message)


# ---------------------------------------------------------------------- files


async def test_what_lies_elsewhere_or_is_no_file_is_never_uploaded(start: Starter, folder: Path) -> None:
    """Neither by a command, nor by the watch of the folder."""
    (folder / "out.txt").symlink_to("../outside/a.txt")
    (folder / "dir").symlink_to("../outside")
    (folder / "device").symlink_to("/dev/zero")
    (folder / "undecodable").symlink_to(os.fsdecode(b"\xff.txt"))
    (folder / os.fsdecode(b"\xff.txt")).write_bytes(b"own, too")
    os.mkfifo(folder / "fifo.txt")
    # Not in /dev, where a test's own folder may lie.
    with tempfile.TemporaryDirectory() as spool, socket.socket(socket.AF_UNIX) as listener:
        with contextlib.chdir(folder):
            listener.bind("socket")
        rig = await start(
            folders=[_watched(folder), _watched(Path("/dev"), include=["no"], recursive=False)],
            spool={"directory": spool},
        )
        for path in (
            "/etc/passwd",
            "/dev/zero",
            f"{folder}/../outside/a.txt",
            f"{folder}/sub/../../outside/a.txt",
            f"{folder}side/a.txt",
            "../outside/a.txt",
            *(
                f"{folder}/{name}"
                for name in ("out.txt", "dir/a.txt", "device", "sub", "", "fifo.txt", "socket", "x\0y")
            ),
            f"{folder}/undecodable",
            f"{folder}" + "/x" * 3000,
        ):
            assert "upload_file.path" in await _refused(rig, "upload_file", path=path)
        await rig.until(
            lambda status: status["upload"]["uploaded_items"] == 1 and status["folders"][str(folder)]["errors"] > 1
        )
    assert [arrival.payload for arrival in rig.arrivals()] == [b"own"]
    assert "not UTF-8; rename it" in (await rig.status())["folders"][str(folder)]["last_error"]


async def test_a_folder_that_becomes_a_link_reveals_nothing(start: Starter, folder: Path) -> None:
    """What was accepted as a file of the folder is refused when it is opened, and kept among the failures."""
    rig = await start(folders=[_watched(folder, include=["nothing"])])
    await rig.command("pause", what="upload")
    await rig.command("upload_file", path=f"{folder}/sub/a.txt")
    (folder / "sub").rename(folder / "old")
    (folder / "sub").symlink_to("../outside")
    os.utime(folder.parent / "outside" / "a.txt", ns=((folder / "old" / "a.txt").stat().st_mtime_ns,) * 2)
    await rig.command("resume", what="upload")
    await rig.until(lambda status: status["spool"]["failed"] == 1)
    (failure,) = (await rig.command("failures"))["failures"]
    assert "leads through a link" in failure["error"]
    assert rig.arrivals() == []


@contextlib.contextmanager
def _swapping(folder: Path) -> Iterator[None]:
    """Make ``sub`` a folder and a link to the outside, in turns, as fast as that goes."""
    ended = threading.Event()

    def swap() -> None:
        (folder / "link").symlink_to("../outside")
        while not ended.is_set():
            (folder / "sub").rename(folder / "real")
            (folder / "link").rename(folder / "sub")
            (folder / "sub").rename(folder / "link")
            (folder / "real").rename(folder / "sub")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


async def test_a_race_of_links_reveals_nothing_and_deletes_nothing(start: Starter, folder: Path) -> None:
    """Files are uploaded and deleted while their folder turns into a link to another one, and back."""
    names = [f"{number}.txt" for number in range(50)]
    for name in names:
        (folder / "sub" / name).write_bytes(b"own")
        (folder.parent / "outside" / name).write_bytes(SECRET)
    rig = await start(folders=[_watched(folder, after_upload="delete")])
    with _swapping(folder):
        for name in names * 2:
            with contextlib.suppress(GRPCError):
                await rig.command("upload_file", path=f"{folder}/sub/{name}")
    await rig.until(lambda status: status["spool"]["items"] == 0)
    await rig.command("retry")
    await rig.until(lambda status: status["spool"]["items"] == 0)
    assert {arrival.payload for arrival in rig.arrivals()} == {b"own"}
    assert all((folder.parent / "outside" / name).read_bytes() == SECRET for name in names)


async def test_any_name_of_a_file_arrives_and_is_moved_as_it_is(start: Starter, folder: Path) -> None:
    names = ["..a.txt", "a\nb\t.txt", "\x1b[31m.txt", "%s {0}.txt", "'; DROP TABLE.txt", "ü" * 125 + "x.txt", "-rf.txt"]
    names += ["x" * 255, "a." + "x" * 253]
    done = folder.parent / "done"
    (done / "sub").mkdir(parents=True)
    for name in names:
        (folder / "sub" / name).write_text(name)
        (done / "sub" / name).write_text("was there before")
    rig = await start(folders=[_watched(folder, after_upload="move", move_to=str(done), exclude=["a.txt"])])
    await rig.until(lambda _: len(list((folder / "sub").iterdir())) == 1)
    assert {(a.payload, a.metadata.file_name + a.metadata.file_extension) for a in rig.arrivals()} == {
        (name.encode(), name) for name in names
    }
    moved = [path.read_text() for path in (done / "sub").iterdir()]
    assert sorted(moved) == sorted([*names, *["was there before"] * len(names)])


# ---------------------------------------------------------------------- texts


class OddSensor(CountingSensor):
    """Gives readings that look like code, and every other time an error that looks like a line of the log."""

    async def get_readings(self, **given: Any) -> dict[str, Any]:
        counted = await super().get_readings(**given)
        if counted["n"] % 2:
            raise RuntimeError(FORGED)
        return {ODD: FORGED.replace("\0", ""), "nested": {"__class__": ODD}}


async def test_odd_texts_arrive_unchanged_and_forge_no_line_of_the_log(start: Starter) -> None:
    """In readings, names, ids, tags, file names, and in the errors of sensors and of the cloud."""
    name = ODD.replace("\u2028", "").replace("/", "")
    rig = await start(
        OddSensor(name), sources=[{"name": name, "id": FORGED, "interval_s": 0.1, "tags": [FORGED]}], log_level="debug"
    )
    await rig.cloud.wait_for(lambda: len(rig.rows(name)) >= 2, 10)
    (row, *_), (arrival, *_) = rig.rows(name), rig.arrivals(UploadMethod.TABULAR, name)
    assert row["readings"] == {ODD: FORGED.replace("\0", ""), "nested": {"__class__": ODD}}
    assert list(arrival.metadata.tags) == [FORGED]
    file_name = "%s {0} '; DROP TABLE capture; -- \"\\ ü.txt"
    await rig.command("upload_data", text=FORGED, file_name=file_name, tags=[ODD], wait="uploaded")
    (arrival,) = rig.arrivals(UploadMethod.FILE)
    assert (arrival.payload, arrival.metadata.file_name) == (FORGED.encode(), file_name)
    assert list(arrival.metadata.tags) == [ODD]

    async def reject(_: Call) -> None:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, FORGED)

    rig.cloud.judge = reject
    await rig.command("upload_data", text="x", file_name="x", wait="uploaded")
    assert FORGED in (await rig.status())["sources"]
    with pytest.raises(GRPCError):
        await rig.command(FORGED)
    messages: list[str] = []

    def told(what: str) -> bool:
        messages[:] = [entry.message for entry in rig.server.logs]
        return any(what in message and "all is lost" in message for message in messages)

    await rig.until(lambda _: told("rejected a capture") and told("Readings failed"))
    assert [message for message in messages if not message.replace("\t", "", 1).isprintable()] == []
    printed = rig.log.read_text()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:", line) for line in printed.splitlines())


# ---------------------------------------------------------------------- the cloud's address

REFUSED = [
    "http://127.0.0.1.evil.com",
    "http://localhost.evil.com",
    "http://localhost@evil.com",
    "http://127.0.0.1:80@evil.com",
    "http://user:pass@127.0.0.1",
    "http://0x7f000001",
    "http://2130706433",
    "http://127.1",
    "http://0177.0.0.1",
    "http://0.0.0.0",
    "http://[::]",
    "http://[::1]evil.com",
    "http://[::1%25eth0]",
    "http://localhost.",
    "http://127.0.0.1.",
    "HTTP://EVIL.COM",
    "http://127.0.0.1\\@evil.com",
    "http://127.0.0.1#@evil.com",
    "http://127.0.0.1/../evil",
    "http://ⓛocalhost",
    "http://127。0。0。1",
    " http://evil.com",
    "http:evil.com",
    "ftp://127.0.0.1",
    "unix:///tmp/x",
]


async def test_http_is_for_this_computer_only(start: Starter) -> None:
    rig = await start()
    for address in REFUSED:
        with pytest.raises(GRPCError, match=r"cloud\.address"):
            await rig.server.validate(NAME, rig.attributes(cloud={"address": address}))
    for address in ("http://[::1]:80", "HTTP://LOCALHOST", "http://127.255.255.254", "https://evil.com"):
        await rig.server.validate(NAME, rig.attributes(cloud={"address": address}))


# ---------------------------------------------------------------------- what lies on the disk


@pytest.fixture
def open_to_all() -> Iterator[None]:
    """Processes that start meanwhile make their files with all permissions that they ask for."""
    before = os.umask(0)
    yield
    os.umask(before)


def _modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.lstat().st_mode) for path in directory.iterdir()}


@pytest.mark.usefixtures("open_to_all")
async def test_the_spool_is_private_whatever_the_umask(start: Starter, tmp_path: Path) -> None:
    """And where its directory was there before, open to all."""
    directory = tmp_path / "spool"
    directory.mkdir(mode=0o777)
    rig = await start(
        CountingSensor("s1"), sources=[{"name": "s1", "interval_s": 0.05}], spool={"directory": str(directory)}
    )
    await rig.until(lambda status: status["sources"]["s1"]["captured"] > 3)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    modes = _modes(directory)
    assert {"lock", "reserve", "spool.sqlite3", "spool.sqlite3-wal", "spool.sqlite3-shm"} <= modes.keys()
    assert set(modes.values()) == {0o600}


@pytest.mark.usefixtures("open_to_all")
async def test_files_of_the_spool_that_were_open_to_all_become_private(start: Starter, tmp_path: Path) -> None:
    """A damaged one that is set aside too; and no link in the directory makes another file the spool's."""
    directory, other = tmp_path / "spool", tmp_path / "other"
    directory.mkdir()
    other.write_bytes(SECRET)
    (directory / "spool.sqlite3").write_bytes(b"no database" * 1000)
    (directory / "lock").touch()
    (directory / "reserve").symlink_to(other)
    rig = await start(
        CountingSensor("s1"), sources=[{"name": "s1", "interval_s": 0.05}], spool={"directory": str(directory)}
    )
    await rig.until(lambda status: status["sources"]["s1"]["captured"] > 3)
    assert (await rig.status())["spool"]["damaged"]
    assert other.read_bytes() == SECRET
    assert {name: mode for name, mode in _modes(directory).items() if mode != 0o600 and name != "reserve"} == {}
