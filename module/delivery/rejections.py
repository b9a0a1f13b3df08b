"""Rejections in a row: after many with no delivery between them, the configuration is wrong, not the captures."""

from __future__ import annotations

IN_A_ROW = 20
"""After so many in a row this machine counts as refused, and the rejected captures go back into the spool."""


class Rejections:
    """The captures rejected since the last delivery."""

    def __init__(self) -> None:
        self._ids: list[int] = []

    def add(self, capture_id: int) -> bool:
        """Note one more; returns whether there are too many."""
        self._ids.append(capture_id)
        return len(self._ids) >= IN_A_ROW

    def __len__(self) -> int:
        return len(self._ids)

    def take(self) -> list[int]:
        """Return all of them, and forget them."""
        ids, self._ids = self._ids, []
        return ids
