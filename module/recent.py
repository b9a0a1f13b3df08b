"""The last captures of each source and what became of them, in memory.

The spool and the uploader report each event here. Nothing is read from the disk, so captures from before the start are
not known. Every capture passes through here, which costs well under 2 µs each.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from module.capture import Capture, Fate, Item
from module.clock.machine_clock import Stamp, iso

MOST = 100
"""How many of each source are known."""


class _Known:
    """One capture. Not frozen, as its fate changes; not a dataclass, as one is made for every capture."""

    __slots__ = ("captured_us", "clock", "fate", "file_id", "id", "size")

    def __init__(self, capture_id: int | None, capture: Capture, fate: Fate) -> None:
        self.id = capture_id
        self.captured_us = capture.requested_us
        self.clock = capture.origin.clock
        self.size = len(capture.payload)
        self.fate = fate
        self.file_id: str | None = None


class Recent:
    """The last captures of these sources, each by its id."""

    def __init__(self, sources: Iterable[str]) -> None:
        self._of_source: dict[str, collections.deque[_Known]] = {source: collections.deque() for source in sources}
        self._by_id: dict[int, _Known] = {}

    def spooled(self, captures: Sequence[Capture], ids: Sequence[int]) -> None:
        """Note captures that are on the disk, under these ids."""
        for capture, capture_id in zip(captures, ids, strict=True):
            known = _Known(capture_id, capture, Fate.SPOOLED)
            if self._add(capture.origin.source, known):
                self._by_id[capture_id] = known

    def refused(self, captures: Sequence[Capture]) -> None:
        """Note captures that had no room on the disk; they have no id."""
        for capture in captures:
            self._add(capture.origin.source, _Known(None, capture, Fate.DROPPED))

    def _add(self, source: str, known: _Known) -> bool:
        entries = self._of_source.get(source)
        if entries is None:
            return False
        if len(entries) == MOST:
            oldest = entries.popleft()
            if oldest.id is not None:
                self._by_id.pop(oldest.id, None)
        entries.append(known)
        return True

    def became(self, ids: Iterable[int], fate: Fate) -> None:
        """Note the fate of captures; ids that are not known any more are ignored."""
        for capture_id in ids:
            known = self._by_id.get(capture_id)
            if known is not None:
                known.fate = fate

    def uploaded(self, items: Sequence[Item], file_id: str) -> None:
        """Note captures that the cloud has, and the cloud's id for them."""
        for item in items:
            known = self._by_id.get(item.id)
            if known is not None:
                known.fate = Fate.UPLOADED
                known.file_id = file_id

    def last(self, source: str, limit: int, shown_us: Callable[[Stamp], int]) -> list[dict[str, Any]]:
        """The last captures of a source, newest first, as the ``recent`` command answers them.

        ``shown_us`` corrects a time by the steps of the clock since then, as ``Clock.shown_us`` does.
        """
        newest = list(self._of_source[source])[: -limit - 1 : -1]
        return [
            {
                "id": known.id,
                "captured_at": iso(shown_us(Stamp(known.captured_us, known.clock))),
                "size": known.size,
                "state": known.fate.value,
                "file_id": known.file_id,
            }
            for known in newest
        ]
