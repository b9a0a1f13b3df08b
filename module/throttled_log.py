"""Keeps the log short: the same trouble 100 times a second makes one line a minute, with a count."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

_PERIOD_S = 60.0
_LASTS_S = 5.0
"""A trouble that comes back within a minute is logged once it has lasted for so long."""
_APART_S = 1.0
"""A trouble of another kind is logged at once, if the last line is older than this."""


@dataclass(slots=True)
class _Subject:
    """What was logged of one subject."""

    said_s: float = -math.inf
    """When the last warning was logged."""
    kind: str = ""
    """Its text without digits, which may change from one warning to the next."""
    left_out: int = 0
    """Warnings since then that were only counted."""
    since_s: float | None = None
    """When the present trouble began; None: there is none."""
    is_known: bool = False
    """Whether the present trouble was logged."""


class ThrottledLog:
    """Warnings by subject: the first at once, then at most one a minute, which says how many were left out.

    A trouble that comes and goes many times a second also makes one warning a minute, and one line that it is over. If
    it becomes a trouble of another kind, that is logged too.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` returns monotonic seconds."""
        self._logger = logger
        self._clock = clock
        self._subjects: dict[str, _Subject] = {}

    def warning(self, subject: str, text: str, defect: BaseException | None = None) -> None:
        """Log ``subject: text``, or only count it. A ``defect`` of this module is logged with its traceback.

        If the text begins with the subject, the line has it only once.
        """
        now, known = self._clock(), self._subjects.setdefault(subject, _Subject())
        if known.since_s is None:
            known.since_s = now
        silent_s, kind = now - known.said_s, re.sub(r"\d+", "", text)
        lasts = not known.is_known and now - known.since_s >= _LASTS_S
        differs = kind != known.kind and silent_s >= _APART_S
        if silent_s < _PERIOD_S and not lasts and not differs:
            known.left_out += 1
            return
        if known.left_out:
            text = f"{text} (and {known.left_out} more in the last {silent_s:.0f} s)"
        known.said_s, known.kind, known.left_out, known.is_known = now, kind, 0, True
        self._logger.warning("%s: %s", subject, text.removeprefix(f"{subject}: "), exc_info=defect)

    def recovered(self, subject: str, text: str) -> None:
        """Log that the trouble is over, if it was logged."""
        known = self._subjects.get(subject)
        if known is not None:
            if known.is_known:
                self._logger.info("%s: %s", subject, text)
            known.since_s, known.is_known = None, False
