"""What the demo configures: one source of each kind, as a user would write them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any


def sources(now: datetime) -> list[dict[str, Any]]:
    """The demo's sources; each bears its id as its last tag, which tells the report what an upload is of.

    ``now``, in UTC, lies in the active window of one of them.
    """
    window = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=1):%H:%M}"
    configured: list[dict[str, Any]] = [
        {"name": "host", "capture_frequency_hz": 10},
        {"name": "host", "id": "host-log", "cron": "*/2 * * * * *", "upload_as": "file"},
        # Kept only when a number moved by more than 5, and once in 3 s all the same.
        {"name": "host", "id": "host-moves", "interval_s": 0.5, "on_change": {"deadband": 5, "heartbeat_s": 3}},
        {"name": "host", "id": "host-hours", "interval_s": 1, "active_hours": [window]},
        {"name": "front", "capture_frequency_hz": 5},
        # A small copy of the same camera's images, beside the full ones.
        {"name": "front", "id": "thumbnail", "interval_s": 1, "image": {"format": "webp", "max_width": 160}},
        # Nothing until the trigger command comes; then the five seconds before it too.
        {"name": "front", "id": "event", "interval_s": 0.5, "gate": {"before_s": 5, "after_s": 1}},
        {"name": "front", "id": "snapshot", "priority": 9},
        {"name": "depth", "method": "GetImages", "capture_frequency_hz": 1},
        {"name": "depth", "id": "depth-cloud", "method": "NextPointCloud", "interval_s": 2},
        {"name": "panorama", "interval_s": 2},
    ]
    return [source | {"tags": [id_of(source)]} for source in configured]


def id_of(source: dict[str, Any]) -> str:
    """What status and commands call a source."""
    return str(source.get("id", source["name"]))
