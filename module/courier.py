"""One lifetime of the service: the spool, the collectors, the folder watches and the uploader, owned in one place.

Opening may take as long as it takes (another instance may still hold the spool); until then nothing is captured, and
the status says why. Closing takes at most a few seconds, whatever the network does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from module.capture import Capture
from module.collection.collector import Collector
from module.collection.condition_watch import ConditionWatch
from module.collection.folders import FolderWatch
from module.collection.schedule import ActiveHours
from module.collection.sources import find
from module.config import Config, UploadConfig
from module.delivery.cloud import Cloud
from module.delivery.files import finish
from module.delivery.permit import Permit
from module.delivery.sequences import SequenceMaker
from module.delivery.uploader import Uploader
from module.errors import SpoolError, Unavailable
from module.recent import Recent
from module.spool.store import Store
from module.supervised import Supervised, said_of

IMAGE_THREADS = 2
_ONLY_WHEN_HZ = 1.0
_OPEN_RETRY_S = 2.0
_OPENED_WAIT_S = 5.0
_CLOSE_LIMIT_S = 4.0


class Courier:
    """Runs one configuration. ``start`` on an event loop, then ``close`` once; all else in between."""

    def __init__(self, config: Config, dependencies: Mapping[Any, Any], logger: logging.Logger) -> None:
        """Acquire nothing: what this holds is made in ``start``."""
        self.config = config
        self._logger = logger
        self._dependencies = dependencies
        self._sources = [find(source, dependencies) for source in config.sources]
        self.started = time.monotonic()
        """When this lifetime began, in monotonic seconds."""
        self._task: asyncio.Task[None] | None = None
        self._problem: str | None = "the spool is being opened"
        self._open = asyncio.Event()
        self._closed = False

    def start(self) -> None:
        """Begin; returns at once."""
        self.store = Store(self.config.spool, self.config.upload, self._logger)
        self.store.on_drop = self._note_drop
        upload = self.config.upload
        self.cloud = Cloud(
            self.config.cloud,
            timeout_s=upload.timeout_s,
            chunk_bytes=upload.chunk_bytes,
            max_bytes_per_s=upload.max_bytes_per_s,
        )
        hours = ActiveHours(upload.active_hours, upload.timezone) if upload.active_hours else None
        self._only_when = self._watch_of(upload)
        self.uploader = Uploader(self.store, self.cloud, upload, self._logger, Permit(upload, hours, self._only_when))
        self.sequences = SequenceMaker(
            self.store.sequences, self.cloud, upload, self._logger, clear=lambda: self.uploader.clear
        )
        self.recent = Recent(source.config.id for source in self._sources)
        self.store.on_append, self.store.on_refuse = self.recent.spooled, self.recent.refused
        self.store.on_fate, self.uploader.on_delivered = self.recent.became, self.recent.uploaded
        self._workers = ThreadPoolExecutor(IMAGE_THREADS, thread_name_prefix="courier-image")
        count = max(1, len(self._sources))
        self.collectors = {
            source.config.id: Collector(
                source,
                self._dependencies,
                self.store,
                self._workers,
                self._logger,
                tags=self.config.tags,
                dataset_ids=self.config.dataset_ids,
                phase=index / count,
            )
            for index, source in enumerate(self._sources)
        }
        self.watches = [
            FolderWatch(
                folder, self.config.tags, self.config.dataset_ids, self.store, put_away=finish, logger=self._logger
            )
            for folder in self.config.folders
        ]
        self._opening = Supervised("the spool's opening", self._open_store, self._logger)
        self._works = {name: Supervised(name, work, self._logger) for name, work in self._all_works().items()}
        self._task = asyncio.create_task(self._run(), name="courier")

    def _watch_of(self, upload: UploadConfig) -> ConditionWatch | None:
        if upload.only_when is None or upload.only_when.condition is None:
            return None
        return ConditionWatch(
            upload.only_when.sensor,
            upload.only_when.condition,
            self._dependencies,
            self._logger,
            poll_hz=_ONLY_WHEN_HZ,
            on_answer=lambda _holds: self.uploader.look(),
        )

    def _all_works(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What runs beside each other once the spool is open, by the names that the log and the status have."""
        works: dict[str, Callable[[], Awaitable[None]]] = {
            "uploads": self.uploader.run,
            "sequences": self.sequences.run,
        }
        if self._only_when is not None:
            works["upload.only_when"] = self._only_when.run
        for key, collector in self.collectors.items():
            works[f"source {key}"], works[f"source {key}: gate"] = collector.run, collector.watch
        for folder, watch in zip(self.config.folders, self.watches, strict=True):
            works[f"folder {folder.path}"] = watch.run
        return works

    async def _run(self) -> None:
        await self._opening.run()
        tasks = [asyncio.create_task(work.run(), name=f"courier {name}") for name, work in self._works.items()]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _open_store(self) -> None:
        while True:
            try:
                await self.store.open()
            except SpoolError as error:
                if self._problem != str(error):
                    self._problem = str(error)
                    self._logger.error("nothing can be captured: %s", error)  # noqa: TRY400
                await asyncio.sleep(_OPEN_RETRY_S)
            except Exception as error:
                self._problem = said_of(error)
                raise
            else:
                self._problem = None
                self._open.set()
                return

    async def close(self) -> None:
        """Stop capturing, put uploads under way back, make safe what was captured. May be called more than once."""
        if self._closed:
            return
        self._closed = True
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(_CLOSE_LIMIT_S):
                await self.uploader.close()
                await self.store.close()
        except TimeoutError:
            self._logger.error("the spool did not close in %g s; what was captured is safe", _CLOSE_LIMIT_S)  # noqa: TRY400
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _note_drop(self, source: str, count: int) -> None:
        collector = self.collectors.get(source)
        if collector is not None:
            collector.dropped += count

    # ------------------------------------------------------------------ for the commands

    async def opened(self) -> None:
        """Return once the spool is open; raises Unavailable where that takes long, or the service is closing."""
        if not self._open.is_set() and not self._closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_OPENED_WAIT_S):
                    await self._open.wait()
        if self._closed:
            raise Unavailable("the service is closing")
        if not self._open.is_set():
            raise Unavailable(f"the spool is not open: {self.store.last_error or self._problem}")

    async def spool_data(self, captures: Sequence[Capture]) -> list[int]:
        """Put captures of a command into the spool, all or none; durable when it returns, with their ids."""
        await self.opened()
        return await self.store.append(captures)

    @property
    def problem(self) -> str | None:
        """Why nothing can be captured; None once the spool is open."""
        return self._problem and (self.store.last_error or self._problem)

    @property
    def failing(self) -> dict[str, str]:
        """The tasks that ended with an error of this module's own and wait to begin again, with the error."""
        failing = {name: work.error for name, work in self._works.items() if work.error is not None}
        if self._opening.error is not None:
            failing["the spool's opening"] = self._opening.error
        if self.uploader.defect is not None:
            failing["an upload"] = self.uploader.defect
        return failing
