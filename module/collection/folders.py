"""Folders: files that have settled → Captures that point at them. ``folder_scan`` finds them."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from module.attributes.uploader import AfterUpload, FolderConfig
from module.capture import Capture, FileMark, Kind, Origin
from module.collection.folder_scan import Sightings, groups, inferred, scan
from module.collection.gone_files import GoneFiles
from module.collection.kept import KeptOfFolder
from module.collection.new_files import FileSpool, NewFiles
from module.errors import CourierError, SpoolFull
from module.files import threads

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence

_ASK_AT_ONCE = 1000
_APPEND_AT_ONCE = 100
_FORGET_AT_ONCE = 100
_REST = 60
"""A watch rests this many times as long as its scan used the processor, not as long as it waited for the disk. So even
a huge folder costs at most 5 % of a core: to look its files up in the spool costs up to twice as much as the scan."""
_REST_IN_VAIN = 20
"""It rests this many times as long as files could not be put away, as when each copy finds the other disk full."""
_MOST_REST_IN_VAIN_S = 300.0
"""Limit of that rest, because new files wait meanwhile."""
_SLOWEST_MOVE = 1_000_000
"""Bytes per second, because a move to another disk is a copy. A disk that is slower counts as hanging."""


class FolderWatch:
    """Puts each settled file of one folder into the spool, once for each state that it settles in.

    ``run`` is for one task. A failure (the folder is missing, the spool is full) is counted, shown in ``last_error``,
    logged when it begins and when it ends, and tried again at the next scan.
    """

    def __init__(
        self,
        config: FolderConfig,
        service_tags: Sequence[str],
        service_dataset_ids: Sequence[str],
        spool: FileSpool,
        *,
        put_away: Callable[[Origin, FileMark], bool],
        logger: logging.Logger,
        wall_clock: Callable[[], float] = time.time,
        period_s: float | None = None,
        kept: KeptOfFolder | None = None,
    ) -> None:
        """``put_away``: deletes or moves a delivered file, in a thread; False: not now. Raises OSError.

        ``kept``: the counts, which continue.
        """
        self.kept = KeptOfFolder() if kept is None else kept
        self.last_error: str | None = None
        """The present problem; None once a scan has succeeded."""
        self._config = config
        self._tags = (*service_tags, *config.tags)
        self._dataset_ids = (*service_dataset_ids, *config.dataset_ids)
        self._spool = spool
        self._work = self._long_work("it does not answer")
        self._putting_away = (
            self._work if config.move_to is None else self._long_work(f"it, or {config.move_to!r}, does not answer")
        )
        self._new_files = NewFiles(config, spool, self._work, logger)
        self._gone_files = GoneFiles(spool, self._work, wall_clock)
        self._put_away = put_away
        self._logger = logger
        self._wall_clock = wall_clock
        # Half the time to settle: a file goes soon after it has settled, and a large settle_s costs few scans.
        self._period_s = min(max(config.settle_s / 2, 0.5), 5.0) if period_s is None else period_s
        self._sightings = Sightings(step=self._work.step)
        self._scan_s = 0.0
        """How long the last scan used the processor."""
        self._vain_s = 0.0
        """How long this round has tried in vain to put files away."""
        self._resumed = asyncio.Event()
        self._resumed.set()

    @property
    def paused(self) -> bool:
        """Whether ``pause`` was called last."""
        return not self._resumed.is_set()

    def pause(self) -> None:
        """Append nothing until ``resume``, except the group that is being appended now."""
        self._resumed.clear()

    def resume(self) -> None:
        """Scan again, once the rest after the last scan is over."""
        self._resumed.set()

    async def run(self) -> None:
        """Scan and append for ever; only cancellation ends it."""
        self._sightings.begin()
        try:
            while True:
                await self._resumed.wait()
                self._vain_s = 0.0
                self._tell(await self._round())
                rest_s = max(_REST * self._scan_s, min(_REST_IN_VAIN * self._vain_s, _MOST_REST_IN_VAIN_S))
                await asyncio.sleep(max(self._period_s, rest_s))
        finally:
            self._sightings.abandon()

    async def _round(self) -> str | None:
        """Do one scan and append new files; returns the problem, or None."""
        stuck: dict[str, str] = {}
        try:
            root, marks = await self._work.do(self._look)
            for some in groups(marks, _ASK_AT_ONCE):
                for group in groups(await self._new_files.among(some), _APPEND_AT_ONCE):
                    if self.paused:
                        return self.last_error
                    await self._append(root, group)
                # Last, because a file that it forgets would look new.
                stuck |= await self._finish(root, some)
            await self._gone_files.look(root)
        except SpoolFull:
            return "the spool is full; the files wait where they are"
        except CourierError as error:
            return str(error)
        except OSError as error:
            return _trouble(error.filename or self._config.path, error.strerror or str(error))
        troubles = self._sightings.skipped | stuck
        if troubles:
            path, reason = min(troubles.items())
            more = len(troubles) - 1
            return _trouble(path, reason) + (f" (and {more} more)" if more else "")
        return None

    async def _finish(self, root: str, marks: Sequence[FileMark]) -> dict[str, str]:
        """Put away delivered files that are still here; returns those that could not be, with the reason."""
        stuck: dict[str, str] = {}
        if self._config.after_upload is AfterUpload.KEEP:
            return stuck
        clock = asyncio.get_running_loop().time
        for some in groups(await self._spool.sent_files(marks), _FORGET_AT_ONCE):
            done = []
            for mark in some:
                began = clock()
                try:
                    # A file that is being written again is sent again once it has changed, and is put away then.
                    if await self._put_one_away(root, mark):
                        done.append(mark)
                except OSError as error:
                    # A file that cannot be moved must not delay those after it.
                    stuck[error.filename or mark.path] = error.strerror or str(error)
                    self._vain_s += clock() - began
            if done:
                # One commit for many. A kill before it does no harm: a new file of the same path has another date or
                # size, so it is sent, and ``gone_files`` forgets those that are missing.
                await self._spool.forget_files(done)
        return stuck

    async def _put_one_away(self, root: str, mark: FileMark) -> bool:
        origin = self._origin(self._configured(root, mark))
        step_s = mark.size / _SLOWEST_MOVE if self._config.after_upload is AfterUpload.MOVE else 0.0
        return await self._putting_away.do(self._put_away, origin, mark, step_s=step_s)

    def _configured(self, root: str, mark: FileMark) -> str:
        # The path as it was configured, as viam-server takes it: a link's name says more than where it leads.
        return f"{self._config.path}/{mark.path[len(root) :]}"

    def _look(self) -> tuple[str, list[FileMark]]:
        began = time.thread_time()
        try:
            return os.path.realpath(self._config.path), scan(self._config, self._wall_clock(), self._sightings)
        finally:
            self._scan_s = time.thread_time() - began

    async def _append(self, root: str, marks: Sequence[FileMark]) -> None:
        now_us = round(self._wall_clock() * 1e6)
        origins: dict[str, Origin] = {}
        captures = []
        for mark in marks:
            path = self._configured(root, mark)
            directory = path.rpartition("/")[0]
            if directory not in origins:
                origins[directory] = self._origin(path)
            captures.append(Capture(origin=origins[directory], requested_us=now_us, received_us=now_us, file=mark))
        appended = asyncio.ensure_future(self._spool.append(captures))
        appended.add_done_callback(lambda done: self._appended(done, len(captures), now_us))
        await asyncio.shield(appended)

    def _appended(self, done: asyncio.Future[object], count: int, now_us: int) -> None:
        # Also if the service is being rebuilt meanwhile: the next instance goes on with these counts.
        if not done.cancelled() and done.exception() is None:
            self.kept.captured += count
            self.kept.last_capture_us = now_us

    def _origin(self, path: str) -> Origin:
        tags, dataset_ids = inferred(path)
        return Origin(
            source=self._config.path,
            kind=Kind.FILE,
            priority=self._config.priority,
            tags=tuple(dict.fromkeys((*self._tags, *tags))),
            dataset_ids=tuple(dict.fromkeys((*self._dataset_ids, *dataset_ids))),
            after_upload=self._config.after_upload.value,
            move_to=self._config.move_to or "",
            folder=self._config.path,
        )

    def _long_work(self, late: str) -> threads.LongWork:
        return threads.LongWork(self._config.path, lambda: self._tell(_trouble(self._config.path, late)))

    def _tell(self, trouble: str | None) -> None:
        self.kept.errors += trouble is not None
        if trouble != self.last_error:
            if trouble is None:
                self._logger.info("folder %s: the trouble is over", self._config.path)
            else:
                self._logger.warning("folder %s: %s; it is tried again", self._config.path, trouble)
        self.last_error = trouble


def _trouble(path: str, reason: str) -> str:
    return f"{path!r}: {reason}"
