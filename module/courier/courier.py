"""One lifetime of the service: the spool, the collectors, the folder watches and the uploader, owned in one place.

Opening the spool has no time limit, because another instance may still hold it. Until it is open nothing is captured,
and the status says why. Closing takes at most a few seconds, whatever the network does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from module.attributes.uploader import UploadConfig
from module.clock.machine_clock import Clock
from module.clock.watch import ClockWatch
from module.collection.beat import Beat
from module.collection.collector import Collector, SpoolState
from module.collection.condition_watch import ConditionWatch
from module.collection.folders import FolderWatch
from module.collection.phases import offsets
from module.collection.schedule import ActiveHours
from module.collection.sources import find
from module.courier.carried import Carried
from module.courier.pause_switch import PauseSwitch
from module.delivery.put_away import finish
from module.delivery.sequence_maker import SequenceMaker
from module.delivery.upload_windows import Permit
from module.delivery.uploader import Uploader
from module.delivery.wire.cloud import Cloud
from module.errors import CLOSING, SpoolError, Unavailable
from module.network.machine import MachineRoad
from module.spool.store import Store
from module.supervised import Supervised, said_of

IMAGE_THREADS = 2
_ONLY_WHEN_HZ = 1.0
_OPEN_RETRY_S = 2.0
_OPENED_WAIT_S = 5.0
_CLOSE_LIMIT_S = 4.0
_LONG_WAIT_S = 15.0
"""Longer than the last instance may take to close, or to notice that its viam-server has ended."""
_OPENING = "the spool's opening"


class Courier:
    """Runs one configuration. Call ``start`` on an event loop and later ``close``; all other calls come in between."""

    def __init__(self, carried: Carried, dependencies: Mapping[Any, Any], logger: logging.Logger) -> None:
        """Acquire nothing: files, threads and tasks are made in ``start``."""
        self.config = carried.config
        self.carried = carried
        self._logger = logger
        self._machine = MachineRoad(dependencies)
        self._dependencies = self._machine.resources
        self._sources = [find(source, self._dependencies) for source in self.config.sources]
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._problem: str | None = None
        """Why the spool could not be opened."""
        self._open = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self.clock = Clock(self.config.upload.clock_wait_s)
        upload = self.config.upload
        self.store = Store(self.config.spool, upload, self._logger, self.clock, self.carried)
        self.cloud = Cloud(
            self.config.cloud,
            timeout_s=upload.timeout_s,
            chunk_bytes=upload.chunk_bytes,
            max_bytes_per_s=upload.max_bytes_per_s,
        )
        hours = ActiveHours(upload.active_hours, upload.timezone) if upload.active_hours else None
        self._only_when = self._watch_of(upload)
        permit = Permit(upload, hours, self._only_when, self.clock.waits)
        self.uploader = Uploader(
            self.store,
            self.cloud,
            upload,
            self._logger,
            permit,
            counts=self.carried.uploads,
            on_delivered=self.carried.recent.uploaded,
        )
        self._clock_watch = ClockWatch(self.clock, self.store.clocks, self._logger, on_change=self.uploader.look)
        self.sequences = SequenceMaker(
            self.store.sequences, self.cloud, upload, self._logger, clear=lambda: self.uploader.clear
        )
        self._workers = ThreadPoolExecutor(IMAGE_THREADS, thread_name_prefix="courier-image")
        beat, moved = Beat(), offsets(source.config for source in self._sources)
        self.collectors = {
            source.config.id: Collector(
                source,
                self._dependencies,
                self.store,
                self._workers,
                self._logger,
                clock=self.clock,
                tags=self.config.tags,
                dataset_ids=self.config.dataset_ids,
                beat=beat,
                offset_s=moved.get(source.config.id, 0.0),
                kept=self.carried.sources[source.config.id],
                spool_state=self._spool_state,
            )
            for source in self._sources
        }
        self.watches = [
            FolderWatch(
                folder,
                self.config.tags,
                self.config.dataset_ids,
                self.store.files,
                put_away=finish,
                logger=self._logger,
                kept=self.carried.folders[folder.path],
            )
            for folder in self.config.folders
        ]
        self.switch = PauseSwitch(
            self.carried.pauses,
            lambda: self.store.directory,
            self._logger,
            sources=self.collectors,
            folders={folder.path: watch for folder, watch in zip(self.config.folders, self.watches, strict=True)},
            uploads=self.uploader,
        )
        self.switch.apply()
        self._works = self._all_works()
        # Sources begin now, so that ticks before the opening of the spool are counted; the rest begins after it.
        self._begin(name for name in self._works if name in self._polls or name == _OPENING)

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

    @property
    def _polls(self) -> list[str]:
        return [f"source {key}" for key in self.collectors]

    def _all_works(self) -> dict[str, Supervised]:
        """All works that run at the same time, by their names in the log and the status."""
        works: dict[str, Callable[[], Awaitable[None]]] = {
            _OPENING: self._open_store,
            "the clock": self._clock_watch.run,
            "uploads": self.uploader.run,
            "sequences": self.sequences.run,
            "orphans": self.store.orphans.run,
            "adoptions": self.store.adopter.run,
        }
        if self._only_when is not None:
            works["upload.only_when"] = self._only_when.run
        for key, collector in self.collectors.items():
            works[f"source {key}"], works[f"source {key}: gate"] = collector.run, collector.watch
        for folder, watch in zip(self.config.folders, self.watches, strict=True):
            works[f"folder {folder.path}"] = watch.run
        return {name: Supervised(name, work, self._logger) for name, work in works.items()}

    def _begin(self, names: Iterable[str]) -> None:
        for name in names:
            self._tasks[name] = asyncio.create_task(self._works[name].run(), name=f"courier {name}")

    async def _open_store(self) -> None:
        # Another instance may hold the spool for long; what is paused must be so meanwhile too.
        await self.switch.recall()
        while True:
            warning = asyncio.get_running_loop().call_later(_LONG_WAIT_S, self._warn_of_the_wait)
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
                break
            finally:
                warning.cancel()
        # Once more: it may have been moved here, or paused by the instance that held it.
        await self.switch.recall()
        await self._clock_watch.begin()
        self._problem = None
        self._open.set()
        self.switch.allow_writing()
        self._begin([name for name in self._works if name not in self._tasks])
        counts = (len(self.collectors), len(self.watches), self.store.items, self.store.failed)
        self._logger.info("sources: %d, folders: %d; in the spool: %d captures that wait, %d failures", *counts)
        await self._fill_in_methods()
        if problem := await self.switch.keep():
            self._logger.warning(problem)

    async def _fill_in_methods(self) -> None:
        # A sequence may begin before a resource is there. Once it is there, viam-server rebuilds the service.
        try:
            await self.store.sequences.fill_in({each.config.id: each.method for each in self._sources})
        except SpoolError as error:
            self._logger.warning("open sequences could not get the methods of their sources: %s", error)

    def _warn_of_the_wait(self) -> None:
        # A repair of the spool may take long too, and then no other instance is at fault.
        if self.store.last_error is not None:
            self._logger.warning(
                "nothing has been captured for %g s: %s. Two services must not have the same spool.directory",
                _LONG_WAIT_S,
                self.store.last_error,
            )

    async def close(self) -> None:
        """Stop capturing, put uploads under way back, sync what was captured. May be called more than once.

        If a caller is cancelled, the closing still continues to its end.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="courier close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if not self._tasks:
            return
        await self._end(name for name in self._tasks if name not in self._polls)
        # A resource returns an answer only once: polls under way get time to end before they are cancelled.
        settling = [collector.close() for collector in self.collectors.values()]
        await self._in_time("uploads", asyncio.gather(self.uploader.close(), *settling))
        await self._end(self._polls)
        self._machine.close()
        await self._in_time("the spool", self.store.close())
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def _end(self, names: Iterable[str]) -> None:
        tasks = [self._tasks[name] for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _in_time(self, what: str, closing: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout(_CLOSE_LIMIT_S):
                await closing
        except TimeoutError:
            self._logger.error("%s did not close in %g s; what was captured is safe", what, _CLOSE_LIMIT_S)  # noqa: TRY400
        except Exception:
            # The rest must be closed even if this one fails.
            self._logger.exception("%s closed with an error of this module's own", what)

    # ------------------------------------------------------------------ how it is

    async def opened(self) -> None:
        """Return once the spool is open. Raises Unavailable if that takes long, or if the service is closing."""
        if not self._open.is_set() and self._closing is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_OPENED_WAIT_S):
                    await self._open.wait()
        if self._closing is not None:
            raise Unavailable(CLOSING)
        if not self._open.is_set():
            raise Unavailable(f"the spool is not open: {self.problem}")

    @property
    def problem(self) -> str | None:
        """Why nothing can be captured; None once the spool is open."""
        return None if self._open.is_set() else self.store.last_error or self._problem or "the spool is being opened"

    def _spool_state(self) -> SpoolState:
        if self._open.is_set():
            return SpoolState.OPEN
        return SpoolState.HELD if self.store.last_error or self._problem else SpoolState.OPENING

    @property
    def failing(self) -> dict[str, str]:
        """The tasks that ended with an error of this module's own and wait to begin again, with the error."""
        failing = {name: work.error for name, work in self._works.items() if work.error is not None}
        if self.uploader.defect is not None:
            failing["an upload"] = self.uploader.defect
        return failing
