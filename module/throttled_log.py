"""Keeps the log short: the same trouble 100 times a second makes one line a minute, with a count."""

from __future__ import annotations

import logging
import time

_PERIOD_S = 60.0


class ThrottledLog:
    """Warnings by subject: the first at once, then at most one a minute, which says how many were left out."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._last: dict[str, tuple[float, int]] = {}

    def warning(self, subject: str, text: str, defect: BaseException | None = None) -> None:
        """Log ``subject: text``, or only count it. A ``defect`` of this module is logged with its traceback."""
        now = time.monotonic()
        said, left_out = self._last.get(subject, (-_PERIOD_S, 0))
        if now - said < _PERIOD_S:
            self._last[subject] = (said, left_out + 1)
            return
        self._last[subject] = (now, 0)
        if left_out:
            text = f"{text} (and {left_out} more in the last {now - said:.0f} s)"
        self._logger.warning("%s: %s", subject, text, exc_info=defect)

    def recovered(self, subject: str, text: str) -> None:
        """Log that the trouble is over, if any was logged; the next one is logged at once."""
        if self._last.pop(subject, None) is not None:
            self._logger.info("%s: %s", subject, text)
