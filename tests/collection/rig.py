"""Folders of the past, the files in them, and a spool in memory, as the tests of folders have them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from module.attributes.uploader import FolderConfig
from module.capture import Capture, FileMark, Origin
from module.collection.folders import FolderWatch

NOW_S = 1_700_000_000.0
LOGGER = logging.getLogger("test.folders")


def config_of(path: Path, **attributes: Any) -> FolderConfig:
    return FolderConfig.model_construct(path=str(path), **attributes)


def write(path: Path, age_s: float = 60.0, data: bytes = b"data") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (NOW_S - age_s, NOW_S - age_s))
    return path


def names(marks: Sequence[FileMark]) -> list[str]:
    return [Path(mark.path).name for mark in marks]


class MemorySpool:
    """A spool in memory, behind the protocol of the real one."""

    def __init__(self) -> None:
        self.captures: list[Capture] = []
        self.groups: list[int] = []
        self.asked: list[int] = []
        self.failing: Exception | None = None
        self.sent: list[FileMark] = []
        self.forgotten: list[int] = []
        self.former: list[str] = []
        """The former paths of files that were sent."""
        self.below: list[str] = []
        """Sent files that are looked for in the folder."""

    async def sent_files(self, marks: Sequence[FileMark]) -> list[FileMark]:
        return [mark for mark in marks if mark in self.sent]

    async def forget_files(self, marks: Sequence[FileMark]) -> None:
        self.sent = [mark for mark in self.sent if mark not in marks]
        self.forgotten.append(len(marks))

    async def former_names(self, marks: Sequence[FileMark]) -> list[tuple[FileMark, str, bool]]:
        return [(mark, path, True) for mark, path in zip(marks, self.former, strict=False)]

    async def note_sent(self, marks: Sequence[FileMark]) -> None:
        self.sent.extend(marks)

    async def sent_below(self, folder: str, after: str, most: int) -> list[tuple[str, int]]:
        return [(path, 0) for path in self.below]

    async def note_missing(self, missing: Sequence[str], back: Sequence[str], day: int, forget_after: int) -> None:
        assert self.below, "nothing is missing"

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
        return names([capture.file for capture in self.captures if capture.file is not None])


def unlink(_origin: Origin, mark: FileMark) -> bool:
    if "stuck" in mark.path:
        raise PermissionError(1, "Operation not permitted", mark.path)
    Path(mark.path).unlink()
    return True


def watch_of(
    config: FolderConfig, spool: MemorySpool, put_away: Callable[[Origin, FileMark], bool] = unlink
) -> FolderWatch:
    return FolderWatch(
        config,
        ("fleet",),
        ("set",),
        spool,
        put_away=put_away,
        logger=LOGGER,
        wall_clock=lambda: NOW_S + 0.25,
        period_s=0.005,
    )


@contextlib.asynccontextmanager
async def running(watch: FolderWatch) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(watch.run())
    try:
        yield task
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
