"""Moves the content of a spool that nobody opens any more into ours: captures, failures, sequences and sent files.

Invariants
----------
1. A part, and the note of how far it goes, are written to our file in one durable commit. What is before that place is
   never read again in the old file. So a crash at any moment loses nothing and repeats nothing.
2. An adoption that has begun continues to its end, also in later starts. It begins only if our spool has room for all.
3. The old directory is renamed before the first part is moved. If its service comes back, it begins with a new spool.
   The old directory is deleted only after the last part is durable. Damaged files that were set aside in it stay.
4. Ids keep their order: all are shifted by one number, and our new ids come after them. So sequences keep their
   captures.

Parts are small, and appends continue between them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from module.attributes.uploader import SpoolConfig
from module.errors import CommandError, CourierError, SpoolError
from module.files import threads
from module.spool.adoption.old_spool import OldSpool, delete_spool
from module.spool.adoption.orphans import ADOPTING, OrphanWatch
from module.spool.adoption.table import Adoption, Part, TakenOver
from module.spool.damage.opening import is_damage
from module.spool.database import Database
from module.spool.lock import LockFile
from module.spool.messages import OnThread
from module.spool.place import LOCK_FILE, Place, holds_spool, sync_directory

_T = TypeVar("_T")
_AGAIN_S = 10.0


class Adopter:
    """Takes spools over into the open one, one after the other."""

    def __init__(
        self,
        call: OnThread,
        place: Place,
        orphans: OrphanWatch,
        settings: SpoolConfig,
        logger: logging.Logger,
        *,
        on_part: Callable[[TakenOver], None],
        on_end: Callable[[], Awaitable[object]],
    ) -> None:
        """Called on the event loop: ``on_part`` when a part has gone over, ``on_end`` when all of a spool has."""
        self._call = call
        self._place = place
        self._orphans = orphans
        self._settings = settings
        self._logger = logger
        self._on_part = on_part
        self._on_end = on_end
        self._asked: asyncio.Queue[Path] = asyncio.Queue()
        # By the directory that a spool had: who waits for it, those under way, what was found damaged, what was logged.
        self._answers: dict[str, asyncio.Future[int]] = {}
        self._under_way: set[str] = set()
        self._damage: dict[str, Exception] = {}
        self._said: dict[str, str] = {}

    async def adopt(self, given: str) -> int:
        """Take over the spool in a directory, and return how many captures came of it, once all of them are safe.

        To cancel it stops nothing. Raises CommandError if the directory is no orphan, and SpoolError if it cannot be
        read, or if this spool has no room for it.
        """
        key = given.rstrip("/")
        if key not in self._under_way and key not in self._answers:
            directory = await self._on_thread(self._orphans.find, given)
            key = str(directory)
            if key not in self._answers:
                self._asked.put_nowait(directory)
        answer = self._answers.setdefault(key, asyncio.get_running_loop().create_future())
        return await asyncio.shield(answer)

    async def run(self) -> None:
        """Continue adoptions that were begun before, then do those that are asked for; only cancellation ends it."""
        try:
            while True:
                again = await self._carry_on()
                try:
                    async with asyncio.timeout(_AGAIN_S if again else None):
                        directory = await self._asked.get()
                except TimeoutError:
                    continue
                await self._begin(directory)
        finally:
            for key in list(self._answers):
                self._answer(key, SpoolError("adopt was interrupted; an adoption that has begun continues by itself"))

    def _answer(self, key: str, result: int | CourierError) -> None:
        answer = self._answers.pop(key, None)
        if answer is None or answer.done():
            return
        if isinstance(result, CourierError):
            answer.set_exception(result)
            # Whoever asked may have gone.
            answer.exception()
        else:
            answer.set_result(result)

    async def _carry_on(self) -> bool:
        """Bring all adoptions that have begun to their end; True if one of them must be tried again later."""
        again, tried = False, set[str]()
        # One that ends may bring in what its own spool had begun.
        while found := [each for each in await self._all() if each.directory not in tried]:
            for adoption in found:
                tried.add(adoption.directory)
                try:
                    adopted = await self._finish(adoption)
                except (CourierError, OSError, sqlite3.Error) as error:
                    again = True
                    if is_damage(error):
                        self._damage[adoption.place] = error
                    self._answer(adoption.directory, self._trouble(adoption, error))
                else:
                    self._under_way.discard(adoption.directory)
                    self._answer(adoption.directory, adopted)
        return again

    async def _all(self) -> list[Adoption]:
        found: list[Adoption] = await self._call(lambda db: db.adoptions.all(), writes=False)
        self._under_way = {each.directory for each in found}
        return found

    def _trouble(self, adoption: Adoption, error: Exception) -> SpoolError:
        text = f"the spool at {adoption.place} is only taken over in part, and the rest is tried again: {error}"
        if self._said.get(adoption.directory) != text:
            self._said[adoption.directory] = text
            self._logger.error(text)
        return SpoolError(text)

    async def _begin(self, directory: Path) -> None:
        """Note durably that a spool is being taken over, if it can be read and there is room for it."""
        try:
            async with self._opened(directory) as spool:
                place = directory.with_name(f"{ADOPTING}{uuid.uuid4()}")
                await self._on_thread(_check_disk, self._place.directory, self._settings.min_free_bytes, spool.bytes)
                await self._call(lambda db: self._note(db, directory, place, spool), writes=True)
                try:
                    await self._on_thread(_move, directory, place)
                except OSError:
                    await self._call(lambda db: db.adoptions.remove(str(directory)), writes=True)
                    raise
        except (CourierError, OSError, sqlite3.Error) as error:
            self._answer(str(directory), SpoolError(f"the spool at {directory} cannot be adopted: {error}"))

    def _note(self, db: Database, directory: Path, place: Path, spool: OldSpool) -> None:
        room = self._settings.max_bytes - db.used_bytes()
        if spool.bytes > room:
            raise SpoolError(f"it holds {spool.bytes} bytes, and spool.max_bytes leaves room for {room}")
        db.adoptions.begin(directory, place, spool.last_id)

    async def _finish(self, adoption: Adoption) -> int | CommandError:
        """Take over what is left of a spool and delete it; returns the answer of the command."""
        place, directory = Path(adoption.place), Path(adoption.directory)
        if not adoption.is_done and not await self._on_thread(_is_there, adoption):
            text = f"{directory} is not there any more, or is in use again; {adoption.adopted} captures were taken over"
            self._logger.error("the spool at %s", text)
            await self._call(lambda db: db.adoptions.remove(adoption.directory), writes=True)
            return CommandError(f"adopt.directory: {text}")
        if not adoption.is_done:
            async with self._opened(place, self._damage.pop(adoption.place, None)) as spool:
                await self._take_over(adoption, spool)
        await self._on_end()
        await self._on_thread(delete_spool, place, directory)
        adopted: int = await self._call(lambda db: db.adoptions.remove(adoption.directory), writes=True)
        self._logger.info("%d captures of the spool at %s were taken over", adopted, directory)
        return adopted

    async def _take_over(self, adoption: Adoption, spool: OldSpool) -> None:
        while not adoption.is_done:
            part: Part = await self._on_thread(spool.next_part, adoption)
            adoption = (await self._write(adoption, part)).adoption

    async def _write(self, adoption: Adoption, part: Part) -> TakenOver:
        taken: TakenOver = await self._call(
            lambda db: db.adoptions.take_over(adoption, part), writes=True, then=self._on_part
        )
        return taken

    @contextlib.asynccontextmanager
    async def _opened(self, directory: Path, damage: Exception | None = None) -> AsyncIterator[OldSpool]:
        opening = self._on_thread(OldSpool.open, directory, self._logger, damage)
        try:
            spool = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_late)
            raise
        try:
            yield spool
        finally:
            closing = self._on_thread(spool.close)
            task = asyncio.current_task()
            # A disk that hangs must not hold up whoever closes the service.
            if task is None or not task.cancelling():
                await closing

    def _on_thread(self, work: Callable[..., _T], *arguments: Any) -> asyncio.Future[_T]:
        return threads.start(f"{self._place.directory} (adoption)", work, *arguments)


def _close_late(opening: asyncio.Future[OldSpool]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _check_disk(directory: Path, min_free_bytes: int, size: int) -> None:
    disk = os.statvfs(directory)
    free = disk.f_bavail * disk.f_frsize - min_free_bytes
    if size > free:
        raise SpoolError(f"it holds {size} bytes, and spool.min_free_bytes leaves {free} of the disk")


def _is_there(adoption: Adoption) -> bool:
    """Whether the old spool is at the place for its adoption; a rename that a crash prevented is made now."""
    place, directory = Path(adoption.place), Path(adoption.directory)
    if place.is_dir():
        return True
    # From the first part on nothing tells the old spool from one that lies there since.
    if adoption.has_begun or directory.is_symlink() or not holds_spool(directory):
        return False
    lock = LockFile(directory / LOCK_FILE)
    lock.open()
    try:
        if not lock.take():
            return False
        _move(directory, place)
    finally:
        lock.close()
    return True


def _move(directory: Path, place: Path) -> None:
    directory.rename(place)
    sync_directory(directory.parent)
