"""Files that this machine cannot read for now: kept, tried again, and in nobody's way."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from module.capture import Capture, FileMark, Kind, Origin
from module.delivery.held_back import MOST_LOADS
from module.local.calls import UploadMethod
from tests.delivery.rig import MOMENT_US, Rig, Starter, row

MANY = MOST_LOADS + 40


class Disk:
    """Gives an error in place of each file whose name begins with ``bad``, while it is set."""

    def __init__(self) -> None:
        self.error: int | None = None
        self.refused = 0

    def check(self, name: object) -> None:
        if self.error is not None and isinstance(name, str) and name.startswith("bad"):
            self.refused += 1
            raise OSError(self.error, os.strerror(self.error), name)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    made, opened = Disk(), os.open

    def opening(name: Any, *arguments: Any, **options: Any) -> int:
        made.check(name)
        return opened(name, *arguments, **options)

    monkeypatch.setattr(os, "open", opening)
    yield made
    made.error = None


def _files(folder: Path, names: list[str]) -> list[Capture]:
    origin = Origin(str(folder), Kind.FILE, priority=7, folder=str(folder))
    captures = []
    for name in names:
        path = folder / name
        path.write_bytes(name.encode())
        info = path.stat()
        mark = FileMark(str(path), info.st_size, info.st_mtime_ns)
        captures.append(Capture(origin, MOMENT_US, MOMENT_US, file=mark))
    return captures


def _names(rig: Rig) -> list[str]:
    return sorted((a.payload or b"").decode() for a in rig.cloud.arrivals if a.method is UploadMethod.FILE)


@pytest.mark.parametrize("error", [errno.EIO, errno.EMFILE, errno.ESTALE])
async def test_a_share_that_fails_stops_no_other_upload_and_loses_nothing(
    start: Starter, tmp_path: Path, disk: Disk, error: int
) -> None:
    """More files than step aside one by one: then their folder rests, and the cloud is not taken to be away."""
    rig = await start(concurrency=4, retry_initial_s=0.1, retry_max_s=2)
    disk.error = error
    await rig.append(*_files(tmp_path, [f"bad-{number:03}" for number in range(MANY)]))
    await rig.until(lambda: disk.refused > MOST_LOADS + 20)
    for number in range(20):
        await rig.append(row(number))
        await rig.until(lambda number=number: number in rig.rows())  # type: ignore[misc]
    assert rig.status()["connected"]
    assert rig.status()["last_error"] is None
    await rig.until(lambda: rig.store.items == MANY)
    assert rig.store.failed == 0
    disk.error = None
    await rig.until(lambda: len(_names(rig)) == MANY)
    assert _names(rig) == [f"bad-{number:03}" for number in range(MANY)]


async def test_one_file_that_cannot_be_read_holds_up_no_other_of_its_folder(
    start: Starter, tmp_path: Path, disk: Disk
) -> None:
    rig = await start(concurrency=1)
    disk.error = errno.EIO
    await rig.append(*_files(tmp_path, ["bad", "a", "b"]))
    await rig.until(lambda: _names(rig) == ["a", "b"] and rig.store.items == 1)
    assert rig.store.failed == 0
    disk.error = None
    await rig.until(lambda: _names(rig) == ["a", "b", "bad"])


async def test_a_file_that_is_gone_is_a_failure_still(start: Starter, tmp_path: Path) -> None:
    rig = await start()
    captures = _files(tmp_path, ["a"])
    (tmp_path / "a").unlink()
    await rig.append(*captures)
    await rig.until(lambda: rig.store.failed == 1)
