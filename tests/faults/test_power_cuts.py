from __future__ import annotations

import random
from pathlib import Path

import pytest

from module.attributes.uploader import Sync
from tests.faults.disk import PAGE_BYTES, Disk, Record
from tests.faults.power_cut import COMPILER, build_recorder, cut_power

pytestmark = pytest.mark.slow

CUTS = 20
SEED = 20

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="the recorder is C, and there is no cc to compile it")


@pytest.fixture
def recorder(tmp_path: Path) -> Path:
    return build_recorder(tmp_path)


def after_cuts(tmp_path: Path, *records: Record) -> list[dict[str, bytes]]:
    """Give the files that 200 cuts after these records leave."""
    (tmp_path / "root").mkdir()
    disk = Disk(tmp_path / "root")
    for record in records:
        disk.follow(record)
    found = []
    for seed in range(200):
        target = tmp_path / str(seed)
        disk.cut(target, random.Random(seed))
        found.append({path.name: path.read_bytes() for path in target.iterdir()})
    return found


def call(kind: str, path: str = "", inode: int = 1, offset: int = 0, data: bytes = b"") -> Record:
    return Record(kind, path, inode, offset, data)


SYNC_ROOT = (call("o", "", inode=9), call("s", inode=9))


@needs_compiler
def test_what_counted_survives_power_cuts(tmp_path: Path, recorder: Path) -> None:
    """The spool opens after each, is sound, and holds every capture whose ``append`` returned."""
    tally = cut_power(tmp_path, recorder, SEED, CUTS)
    assert (tally.cuts, tally.lost, tally.problems) == (CUTS, 0, []), str(tally)
    assert tally.at_stake > 100


@needs_compiler
def test_a_spool_that_does_not_sync_each_capture_loses_some_and_stays_sound(tmp_path: Path, recorder: Path) -> None:
    """What ``sync: normal`` risks, and the proof that these cuts would show a sync that is missing."""
    tally = cut_power(tmp_path, recorder, SEED, CUTS, Sync.NORMAL)
    assert tally.problems == []
    assert tally.lost > 0, str(tally)


def test_a_disk_keeps_what_was_synced(tmp_path: Path) -> None:
    records = (call("c", "a"), call("w", data=b"safe"), call("s"), *SYNC_ROOT, call("w", offset=4, data=b"late"))
    found = {each["a"] for each in after_cuts(tmp_path, *records)}
    assert all(each.startswith(b"safe") for each in found)
    assert {b"safe", b"safelate"} < found


def test_a_disk_may_forget_the_name_of_a_synced_file(tmp_path: Path) -> None:
    """Until its directory is synced."""
    found = after_cuts(tmp_path, call("c", "a"), call("w", data=b"safe"), call("s"))
    assert {len(each) for each in found} == {0, 1}


def test_a_disk_may_undo_an_unlink(tmp_path: Path) -> None:
    records = (call("c", "a"), call("w", data=b"safe"), call("s"), *SYNC_ROOT, call("u", "a"))
    found = after_cuts(tmp_path, *records)
    assert {each.get("a") for each in found} == {None, b"safe"}


def test_a_renamed_file_has_one_of_its_names_after_a_cut(tmp_path: Path) -> None:
    records = (call("c", "a"), call("w", data=b"safe"), call("s"), *SYNC_ROOT, call("r", "a", data=b"b"))
    found = after_cuts(tmp_path, *records)
    assert {tuple(each) for each in found} == {("a",), ("b",)}


def test_a_disk_keeps_pages_apart_and_tears_them(tmp_path: Path) -> None:
    records = (call("c", "a"), *SYNC_ROOT, call("w", data=b"1" * PAGE_BYTES + b"2" * PAGE_BYTES))
    found = [each["a"] for each in after_cuts(tmp_path, *records)]
    assert bytes(PAGE_BYTES) + b"2" * PAGE_BYTES in found
    assert b"1" * PAGE_BYTES in found
    assert any(0 < each[:PAGE_BYTES].count(b"1") < PAGE_BYTES for each in found)


def test_a_truncation_may_be_forgotten(tmp_path: Path) -> None:
    records = (call("c", "a"), call("w", data=b"safe"), call("s"), *SYNC_ROOT, call("t", offset=1))
    assert {each["a"] for each in after_cuts(tmp_path, *records)} == {b"safe", b"s"}
