"""A spool that nobody opens any more goes over into ours: all of it, once, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from module.capture import Capture, FileMark, Kind, Origin
from module.clock.machine_clock import NOT_SET_TAG, Reading, Stand
from module.errors import CommandError, SpoolError
from module.sequence import SequenceSource
from module.spool.adoption import adopter, old_spool
from module.spool.lock import LockFile
from module.spool.schema import PAGE_BYTES
from tests.faults.version_1 import write_version_1
from tests.spool.adoption.rig import EXPECTED, Service, make_orphan, payloads, row
from tests.spool.rig import Opener, claim, drain, spoil

IMAGES = Origin(source="cam", kind=Kind.BINARY, api="rdk:component:camera", name="cam", method="GetImages")
ROOT = Path(__file__).parents[3]
FILES = Origin(source="/f", kind=Kind.FILE, folder="/f")


async def test_all_that_waits_goes_over_and_the_old_directory_is_deleted(opened: Opener, tmp_path: Path) -> None:
    await make_orphan(opened, tmp_path / "old")
    async with Service(tmp_path) as ours:
        await ours.store.append([row(100)])
        assert await ours.adopt(tmp_path / "old") == 10
        assert sorted(path.name for path in tmp_path.iterdir()) == ["ours"]
        assert ours.store.items == 11
        assert await payloads(ours.store) == sorted([*EXPECTED, b"100"])
        assert (ours.store.items, ours.store.bytes, ours.store.failed) == (0, 0, 0)


async def test_what_was_adopted_waits_after_a_restart_too_and_new_ids_go_on_behind_it(
    opened: Opener, tmp_path: Path
) -> None:
    await make_orphan(opened, tmp_path / "old")
    async with Service(tmp_path) as ours:
        await ours.adopt(tmp_path / "old")
        (new,) = await ours.store.append([row(100)])
    async with Service(tmp_path) as ours:
        found = await drain(ours.store)
        assert [item.payload for item in found] == [b"%d" % number for number in (*range(1, 11), 100)]
        assert found[-1].id == new
        assert ours.store.unreadable == 0


async def test_failures_sent_files_sequences_and_images_go_over_too(opened: Opener, tmp_path: Path) -> None:
    old = await opened(directory=str(tmp_path / "old"))
    sent, waiting = FileMark("/f/sent", 1, 1, 7), FileMark("/f/waiting", 2, 2)
    more = [FileMark(f"/f/{number}", 1, 1) for number in range(5)]
    await old.append([Capture(FILES, 1, 1, file=mark) for mark in (sent, *more)])
    while items := await claim(old):
        await old.acknowledge(items, sent=[item.file for item in items if item.file])
    begun = await old.sequences.start([SequenceSource("s", "s", "Readings")], ["batch"])
    await old.append([row(1), row(2)])
    await old.sequences.stop(begun.id)
    await old.append([row(3), row(4)])
    open_one = await old.sequences.start([SequenceSource("cam", "cam", "GetImages")], [])
    await old.append([Capture(IMAGES, 5, 5, b"image" * 10_000, annotations=b"boxes")])
    rejected = await claim(old)
    await old.fail(rejected[:1], "no such part", 3)
    old.release(rejected[1:])
    await old.append([Capture(FILES, 6, 6, file=waiting)])
    left, failed = old.items, old.failed
    await old.close()

    async with Service(tmp_path) as ours:
        # Of the same source, before and after: neither belongs to the sequence that was stopped.
        await ours.store.append([row(50)])
        assert await ours.adopt(tmp_path / "old") == left + failed
        await ours.store.append([row(51)])
        assert (ours.store.items, ours.store.failed) == (left + 2, failed)
        (failure,) = await ours.store.failures(10)
        assert (failure.source, failure.error, failure.attempts) == ("s", "no such part", 3)
        files, new = ours.store.files, FileMark("/f/new", 1, 1)
        assert await files.unknown_files([sent, waiting, new]) == [new]
        assert await files.sent_files([sent, *more]) == [sent, *more]
        renamed = FileMark("/f/renamed", 1, 1, 7)
        assert await files.former_names([renamed]) == [(renamed, "/f/sent", True)]
        stopped, still_open = await ours.store.sequences.look()
        assert (stopped.id, stopped.waiting_for, stopped.tags) == (begun.id, 2, ("batch",))
        assert (still_open.id, still_open.end_us) == (open_one.id, None)
        assert ours.store.sequences.stopped.is_set()
        assert await ours.store.retry() == 1
        found = await drain(ours.store)
        assert [item.annotations for item in found if item.origin == IMAGES] == [b"boxes"]
        assert [item.payload for item in found if item.origin == IMAGES] == [b"image" * 10_000]


def test_a_kill_at_any_moment_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    """SIGKILL before and after each commit, rename and deletion; ``tests/spool/adoption/kills.py`` says how."""
    command = [sys.executable, "-m", "tests.spool.adoption.kills", str(tmp_path)]
    done = subprocess.run(
        command, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    moments = done.stdout.splitlines()
    assert {"commit", "rename", "unlink", "rmdir"} == {moment.split()[1] for moment in moments}
    assert len(moments) > 20


async def test_a_spool_of_an_earlier_version_goes_over(tmp_path: Path) -> None:
    write_version_1(tmp_path / "old", tmp_path / "watched")
    sent = (tmp_path / "watched" / "was-sent.txt").resolve()
    mark = FileMark(str(sent), sent.stat().st_size, sent.stat().st_mtime_ns)
    async with Service(tmp_path) as ours:
        assert await ours.adopt(tmp_path / "old") == 8
        assert (ours.store.items, ours.store.failed) == (6, 2)
        assert await ours.store.files.sent_files([mark]) == [mark]
        assert len(await drain(ours.store)) == 6


async def test_what_can_be_read_of_a_damaged_spool_goes_over_and_the_damaged_file_stays(
    opened: Opener, tmp_path: Path
) -> None:
    await make_orphan(opened, tmp_path / "old", rows=200)
    file = tmp_path / "old" / "spool.sqlite3"
    with contextlib.closing(sqlite3.connect(file)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'listed'").fetchone()
    with file.open("r+b") as raw:
        raw.seek((page - 1) * PAGE_BYTES)
        raw.write(b"\xff" * PAGE_BYTES)
    async with Service(tmp_path) as ours:
        adopted = await ours.adopt(tmp_path / "old")
        assert adopted == ours.store.items
        assert {path.name.split(".damaged-")[0] for path in (tmp_path / "old").iterdir()} == {"spool.sqlite3"}
    async with Service(tmp_path) as ours:
        assert adopted + ours.store.unreadable == 200


async def test_damage_that_shows_half_way_is_gone_around(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_orphan(opened, tmp_path / "old")
    monkeypatch.setattr(adopter, "_AGAIN_S", 0.05)
    read, calls = old_spool.OldSpool.next_part, 0

    def breaks(spool: old_spool.OldSpool, begun: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error
        return read(spool, begun)

    monkeypatch.setattr(old_spool.OldSpool, "next_part", breaks)
    async with Service(tmp_path) as ours:
        with pytest.raises(SpoolError, match=r"only taken over in part, and the rest is tried again: .*malformed"):
            await ours.adopt(tmp_path / "old")
        await ours.until(lambda: ours.store.items == 10)
        assert await payloads(ours.store) == EXPECTED


async def test_a_spool_of_a_newer_version_is_left_as_it_is(opened: Opener, tmp_path: Path) -> None:
    await make_orphan(opened, tmp_path / "old")
    with contextlib.closing(sqlite3.connect(tmp_path / "old" / "spool.sqlite3")) as db:
        db.execute("PRAGMA user_version = 99")
    async with Service(tmp_path) as ours:
        with pytest.raises(SpoolError, match=r"cannot be adopted: .*was written by a newer version"):
            await ours.adopt(tmp_path / "old")
        assert ours.store.items == 0
    assert (tmp_path / "old" / "spool.sqlite3").is_file()


@pytest.mark.parametrize("harm", ["payload = x'00'", "detail = CAST(x'ff' AS TEXT)"])
async def test_a_damaged_capture_is_found_damaged_by_us_too(opened: Opener, tmp_path: Path, harm: str) -> None:
    await make_orphan(opened, tmp_path / "old", rows=3)
    spoil(tmp_path / "old" / "spool.sqlite3", "capture", harm)
    async with Service(tmp_path) as ours:
        assert await ours.adopt(tmp_path / "old") == 3
        assert await payloads(ours.store) == [b"1", b"3"]
        (failure,) = await ours.store.failures(10)
        assert "damaged in the spool" in failure.error


@pytest.mark.parametrize(
    ("table", "harm"),
    [("capture", "requested_us = NULL"), ("capture", "payload = NULL"), ("failure", "failed_us = NULL")],
)
async def test_a_row_that_is_no_capture_any_more_ends_no_adoption(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, harm: str
) -> None:
    """The old spool is at fault, and ours is left as it is."""
    await make_orphan(opened, tmp_path / "old", rows=3)
    if table == "failure":
        old = await opened(directory=str(tmp_path / "old"))
        await old.fail(await claim(old), "no", 1)
        await old.close()
    spoil(tmp_path / "old" / "spool.sqlite3", table, harm)
    monkeypatch.setattr(adopter, "_AGAIN_S", 0.05)
    async with Service(tmp_path) as ours:
        with pytest.raises(SpoolError, match="only taken over in part, and the rest is tried again: "):
            await ours.adopt(tmp_path / "old")
        await ours.until(lambda: ours.store.items + ours.store.failed == 2)
        assert ours.store.damaged is None
        await ours.store.retry()
        assert await payloads(ours.store) == [b"1", b"3"]


async def test_without_room_for_all_of_it_nothing_goes_over(opened: Opener, tmp_path: Path) -> None:
    await make_orphan(opened, tmp_path / "old")
    async with Service(tmp_path, max_bytes=900) as ours:
        with pytest.raises(SpoolError, match=r"cannot be adopted: .*it holds \d+ bytes, and spool\.max_bytes leaves"):
            await ours.adopt(tmp_path / "old")
        assert ours.store.items == 0
    async with Service(tmp_path, name="poor", min_free_bytes=2**62) as ours:
        with pytest.raises(SpoolError, match=r"it holds \d+ bytes, and spool\.min_free_bytes leaves -\d+ of the disk"):
            await ours.adopt(tmp_path / "old")
    assert (tmp_path / "old" / "spool.sqlite3").is_file()


async def test_a_spool_that_is_open_is_not_taken_over(opened: Opener, tmp_path: Path) -> None:
    old = await opened(directory=str(tmp_path / "old"))
    async with Service(tmp_path) as ours:
        with pytest.raises(CommandError, match="a service of this module has it"):
            await ours.adopt(tmp_path / "old")
        await old.close()
        held = LockFile(tmp_path / "old" / "lock")
        held.open()
        assert held.take()
        with pytest.raises(SpoolError, match="is held by another process, and is no orphan"):
            await ours.adopt(tmp_path / "old")
        held.close()
        assert await ours.adopt(tmp_path / "old") == 0


async def test_only_a_spool_beside_our_own_is_taken_over_and_no_link_is_followed(
    opened: Opener, tmp_path: Path
) -> None:
    await make_orphan(opened, tmp_path / "elsewhere" / "old")
    home = tmp_path / "home"
    async with Service(home) as ours:
        (home / "link").symlink_to(tmp_path / "elsewhere" / "old")
        (home / "empty").mkdir()
        (home / "adopting-1").mkdir()
        (home / "file").mkdir()
        (home / "file" / "spool.sqlite3").symlink_to(tmp_path / "elsewhere" / "old" / "spool.sqlite3")
        for given, why in {
            str(tmp_path / "elsewhere" / "old"): "does not lie beside this spool",
            f"{home}/../elsewhere/old": "does not lie beside this spool",
            f"{home}/link/../../elsewhere/old": "does not lie beside this spool",
            str(home / "link"): "no spool lies there, or it is a link",
            str(home / "file"): "no spool lies there, or it is a link",
            str(home / "empty"): "no spool lies there, or it is a link",
            str(home / "ours"): "a service of this module has it",
            str(home / "adopting-1"): "another spool beside it has already taken over a part of it",
            str(home): "does not lie beside this spool",
            f"{home}/ours/..": "does not lie beside this spool",
            "old": "does not lie beside this spool",
            "": "does not lie beside this spool",
        }.items():
            with pytest.raises(CommandError, match=f"adopt.directory: .*{why}"):
                await ours.adopt(given)
    assert (tmp_path / "elsewhere" / "old" / "spool.sqlite3").is_file()


async def test_true_times_go_over_with_what_they_are_of(opened: Opener, tmp_path: Path) -> None:
    """Of an earlier boot, of which only the old spool knows when its clock was set."""
    reading, true = Reading("an earlier boot", 0), Reading("an earlier boot", 10**15)
    store = await opened(directory=str(tmp_path / "old"))
    await store.append([replace(row(1), origin=replace(row(1).origin, kind=Kind.BINARY, clock=reading))])
    await store.clocks.keep(Stand(true, stood=True))
    await store.close()
    async with Service(tmp_path) as ours:
        await ours.adopt(tmp_path / "old")
        (item,) = await drain(ours.store)
        assert item.requested_us == row(1).requested_us + 10**15
        assert NOT_SET_TAG not in item.origin.tags
