"""What is wrong with a source at the moment, for its status and the log."""

from __future__ import annotations

from module.collection.kept import KeptOfSource
from module.errors import CourierError, Defect, SpoolFull
from module.throttled_log import ThrottledLog


class Trouble:
    """The errors of one source: each is counted, logged, and shown until it is over."""

    def __init__(self, source_id: str, problem: str | None, log: ThrottledLog, kept: KeptOfSource) -> None:
        """``problem``: why it cannot be polled at all; ``kept`` counts the errors."""
        self._source_id = source_id
        self._log = log
        self._kept = kept
        self._last = problem
        self._refusal: str | None = None
        """Why the spool did not take the last captures; None: it took them."""
        self._empty: str | None = None
        """Which images of the last poll had no bytes, beside others that had."""

    @property
    def text(self) -> str | None:
        """The latest error that is not over; None: there is none."""
        return self._last or self._empty

    def poll_failed(self, error: CourierError) -> None:
        """Note that a poll made no captures. The log has the traceback of a Defect."""
        self._last, self._empty = str(error), None
        self._say(error)

    def poll_answered(self) -> None:
        """Note that the resource answers, whether its answers are captured or not."""
        if self._last is None:
            return
        # A poll that is held back says nothing about the spool.
        self._last = self._refusal
        if self._refusal is None:
            self._log.recovered(self._source_id, "captures again")

    def had_bytes(self) -> None:
        """Note that all images of a poll had bytes."""
        self._empty = None

    def was_empty_in_part(self, text: str, images: int) -> None:
        """Note that so many images of a poll, but not all, had no bytes."""
        self._empty = text
        self._kept.errors += images
        self._log.warning(f"{self._source_id}, in part", text)

    def spool_took(self) -> None:
        """Note that captures are safe."""
        self._refusal = None
        self.poll_answered()

    def spool_refused(self, error: BaseException) -> None:
        """Note that captures were not stored."""
        self._last = self._refusal = str(error)
        # If it is full, the spool has counted and logged them as dropped.
        if isinstance(error, CourierError) and not isinstance(error, SpoolFull):
            self._say(error)

    def _say(self, error: CourierError) -> None:
        self._kept.errors += 1
        self._log.warning(self._source_id, str(error), error if isinstance(error, Defect) else None)
