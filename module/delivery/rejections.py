"""Rejections in a row: after many with no delivery between them, the configuration is wrong, not the captures."""

from __future__ import annotations

IN_A_ROW = 20
"""So many count as a refusal of this machine; what was rejected then goes back among what waits."""


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
        """All of them; none are left."""
        ids, self._ids = self._ids, []
        return ids
