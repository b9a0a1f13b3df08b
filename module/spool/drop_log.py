"""Logs the captures that a full spool has dropped: every few seconds, with all counts."""

from __future__ import annotations

import logging
import math
import time

from module.attributes.uploader import SpoolConfig

_EVERY_S = 10.0


class DropLog:
    """Counts drops between two lines: a full spool drops with every commit, and a line for each would be too many."""

    def __init__(self, settings: SpoolConfig, logger: logging.Logger) -> None:
        self._settings = settings
        self._logger = logger
        self._why: str | None = None
        self._unlogged: dict[str, int] = {}
        self._logged_at = -math.inf

    def count(self, source: str, captures: int) -> None:
        """Note captures of a source as dropped."""
        self._unlogged[source] = self._unlogged.get(source, 0) + captures

    def tell(self, why: str | None) -> None:
        """Log the counts, if the last line is old enough; ``why``: what leaves no room (None: the last cause)."""
        self._why = why or self._why
        now = time.monotonic()
        if not self._unlogged or now - self._logged_at < _EVERY_S:
            return
        self._logger.warning(
            "the spool is full (%s) and lost captures by %s: %s",
            self._why,
            self._settings.when_full,
            ", ".join(f"{count} of {source}" for source, count in self._unlogged.items()),
        )
        self._unlogged.clear()
        self._logged_at = now

    def end(self) -> None:
        """Log all counts that were not logged yet: the spool closes."""
        self._logged_at = -math.inf
        self.tell(None)
