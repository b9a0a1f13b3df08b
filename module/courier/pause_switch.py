"""Stops and resumes the parts of a running service, and keeps a record of what is paused.

``pause_record`` has the record and its file; this file has the parts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from module.courier import pause_record
from module.courier.pause_record import Pauses, What


class Pausable(Protocol):
    """A source, the watch of a folder, or the uploads."""

    @property
    def paused(self) -> bool:
        """Whether it is paused."""

    def pause(self) -> None:
        """Stop; work under way may end."""

    def resume(self) -> None:
        """Continue."""


class PauseSwitch:
    """The parts of one service: sources by their ids, folders by their paths, and uploads by the empty name."""

    def __init__(
        self,
        record: Pauses,
        directory: Callable[[], Path],
        logger: logging.Logger,
        *,
        sources: Mapping[str, Pausable],
        folders: Mapping[str, Pausable],
        uploads: Pausable,
    ) -> None:
        """``directory`` returns the spool's directory, which may change when the spool is opened."""
        self._record = record
        self._directory = directory
        self._logger = logger
        self._parts = {What.SOURCE: sources, What.FOLDER: folders, What.UPLOAD: {"": uploads}}
        self._may_write = False
        self._writing = asyncio.Lock()

    def pause(self, what: What, names: Iterable[str] | None = None) -> None:
        """Stop these parts; None: all of this kind."""
        chosen = list(self._parts[what] if names is None else names)
        for name in chosen:
            self._parts[what][name].pause()
        self._record.pause(what, chosen)

    def resume(self, what: What, names: Iterable[str] | None = None) -> None:
        """Resume these parts; None: all of this kind, also those that the config no longer has."""
        for name in self._parts[what] if names is None else names:
            self._parts[what][name].resume()
        self._record.resume(what, names)

    @property
    def paused(self) -> list[str]:
        """The ids of the sources that are paused, and ``upload`` if uploads are."""
        sources = [source for source, part in self._parts[What.SOURCE].items() if part.paused]
        return [*sources, *(["upload"] if self._parts[What.UPLOAD][""].paused else [])]

    def apply(self) -> None:
        """Pause each part that is paused in the record."""
        for what, parts in self._parts.items():
            for name, part in parts.items():
                if self._record.since(what, name) is not None:
                    part.pause()

    async def recall(self) -> None:
        """Read what was paused before this start, and pause it."""
        try:
            self._record.recall(await asyncio.to_thread(pause_record.read, self._directory()))
        except (OSError, ValueError) as error:
            self._logger.warning("it is not known what was paused before this start: %s", error)
        self.apply()

    def allow_writing(self) -> None:
        """Allow to write the file from now on: the spool is open, so no other instance uses its directory."""
        self._may_write = True

    async def keep(self) -> str | None:
        """Write down what is paused, so that it outlives a restart; returns the reason if that failed, otherwise None.

        Nothing is written before ``allow_writing``. To cancel it stops nothing.
        """
        return await asyncio.shield(self._keep())

    async def _keep(self) -> str | None:
        async with self._writing:
            if not self._may_write or not self._record.changed:
                return None
            directory, held = self._directory(), self._record.held
            try:
                await asyncio.to_thread(pause_record.write, directory, held)
            except OSError as error:
                return f"the pauses could not be written to {directory}: {error.strerror}"
            self._record.note_stored(held)
        return None
