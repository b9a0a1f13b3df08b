"""What a full spool lost, in the log: now and then, with all the counts."""

from __future__ import annotations

import logging
import math
import time

from module.attributes.uploader import SpoolConfig

_EVERY_S = 10.0


class DropLog:
    """A full spool drops with every commit; a line for each would bury all others."""

    def __init__(self, settings: SpoolConfig, logger: logging.Logger) -> None:
        self._settings = settings
        self._logger = logger
        self._untold: dict[str, int] = {}
        self._told_at = -math.inf

    def count(self, source: str, captures: int) -> None:
        """Note captures of a source as dropped."""
        self._untold[source] = self._untold.get(source, 0) + captures

    def tell(self) -> None:
        """Log what was noted, if the last line is old enough."""
        now = time.monotonic()
        if not self._untold or now - self._told_at < _EVERY_S:
            return
        self._logger.warning(
            "the spool is full (spool.max_bytes %d, spool.min_free_bytes %d) and lost captures by %s: %s",
            self._settings.max_bytes,
            self._settings.min_free_bytes,
            self._settings.when_full,
            ", ".join(f"{count} of {source}" for source, count in self._untold.items()),
        )
        self._untold.clear()
        self._told_at = now
