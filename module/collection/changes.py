"""Decides whether a capture has changed enough to be kept. Each source has its own filter with the last one kept.

Pure: ``now``, in seconds of a monotonic clock, is an argument. Readings are compared in the form in which they are sent
(``readings.plain``): vectors by their components, and NaN as null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from module.collection.readings import plain

if TYPE_CHECKING:
    from module.attributes.on_change import OnChangeConfig
    from module.collection.images import GreyCopy

_SLACK_S = 0.05
_SLACK_SHARE = 0.1


class _Heartbeat:
    """When the next capture must be kept even if nothing has changed."""

    def __init__(self, heartbeat_s: float) -> None:
        # Ticks come some milliseconds early or late: without slack a heartbeat of one period would skip every other.
        self._after_s = heartbeat_s - min(_SLACK_S, heartbeat_s * _SLACK_SHARE)
        self._kept_at: float | None = None

    def is_due(self, now: float) -> bool:
        """Return whether nothing was kept yet, or nothing for ``heartbeat_s``; without a heartbeat only the former."""
        if self._kept_at is None:
            return True
        return self._after_s > 0 and now - self._kept_at >= self._after_s

    def kept(self, now: float) -> None:
        self._kept_at = now


class ReadingsChange:
    """Keeps readings that differ from the last ones kept; numbers must differ by more than their deadband.

    The deadband of a key also applies to all keys below it that have none. A number without a deadband, and any other
    value, has changed if there is any difference. A key that appears or disappears is a change. So is a number that
    becomes NaN, or a NaN that becomes a number; NaN that stays NaN is no change.
    """

    def __init__(self, on_change: OnChangeConfig) -> None:
        deadband = on_change.deadband
        self._bands: Mapping[str, float] = deadband if isinstance(deadband, dict) else {}
        self._band = 0.0 if deadband is None or isinstance(deadband, dict) else deadband
        self._heartbeat = _Heartbeat(on_change.heartbeat_s)
        self._last: Any = None

    def keep(self, readings: Mapping[str, Any], now: float) -> bool:
        """Return whether to keep readings; ``now`` in monotonic seconds. Raises EncodeError as ``plain`` does."""
        value = plain(readings)
        if not self._heartbeat.is_due(now) and not self._differs(self._last, value, "", self._band):
            return False
        self._last = value
        self._heartbeat.kept(now)
        return True

    def _differs(self, old: Any, new: Any, path: str, band: float) -> bool:
        if isinstance(old, dict) and isinstance(new, dict):
            return old.keys() != new.keys() or any(
                self._item_differs(old[key], new[key], path, key, band) for key in new
            )
        if isinstance(old, list) and isinstance(new, list):
            pairs = enumerate(zip(old, new, strict=False))
            return len(old) != len(new) or any(self._item_differs(*pair, path, str(at), band) for at, pair in pairs)
        if _is_number(old) and _is_number(new):
            return bool(abs(new - old) > band)
        # True equals 1 in Python, but not in the cloud.
        return type(old) is not type(new) or bool(old != new)

    def _item_differs(self, old: Any, new: Any, path: str, key: str, band: float) -> bool:
        path = f"{path}.{key}" if path else key
        return self._differs(old, new, path, self._bands.get(path, band))


class ImageChange:
    """Keeps images whose grey copy differs from that of the last one kept, by ``min_difference`` at least.

    The difference is the mean over all pixels, from 0 (the same) to 1 (black against white; for depth: 65.5 m). Without
    ``min_difference``, or if it is 0, any difference is a change. Another size of the image is always a change.
    """

    def __init__(self, on_change: OnChangeConfig) -> None:
        self._min_difference = on_change.min_difference or 0.0
        self._heartbeat = _Heartbeat(on_change.heartbeat_s)
        self._last: GreyCopy | None = None

    def keep(self, copy: GreyCopy, now: float) -> bool:
        """Return whether to keep an image, by its copy (``images.small_grey``); ``now`` in monotonic seconds."""
        if not self._heartbeat.is_due(now) and self._last is not None and not self._differs(self._last, copy):
            return False
        self._last = copy
        self._heartbeat.kept(now)
        return True

    def _differs(self, old: GreyCopy, new: GreyCopy) -> bool:
        if (old.width, old.height, old.pixels.dtype) != (new.width, new.height, new.pixels.dtype):
            return True
        brightest = 2 ** (8 * new.pixels.dtype.itemsize) - 1
        difference = abs(new.pixels.astype("int32") - old.pixels).mean() / brightest
        return bool(difference >= self._min_difference and difference > 0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
