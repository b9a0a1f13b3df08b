"""The listener of a spool, which is called on the event loop whenever the state of captures changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from module.capture import Capture, Fate


class Listener:
    """Ignores everything; a subclass overrides what it wants to know. Nothing here may wait or raise."""

    def on_append(self, captures: Sequence[Capture], ids: Sequence[int]) -> None:
        """Captures are safe, under these ids; called before any of them can be claimed."""

    def on_refuse(self, captures: Sequence[Capture]) -> None:
        """Captures found no room."""

    def on_fate(self, ids: Iterable[int], fate: Fate) -> None:
        """Captures have left the spool undelivered, or have moved within it."""

    def on_drop(self, source: str, count: int) -> None:
        """Retention has dropped captures of a source, or found no room for them."""
