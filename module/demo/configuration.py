"""What the demo configures: one source of each kind, as a user would write them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any


def sources(now: datetime, *, webcam: bool) -> list[dict[str, Any]]:
    """Return the demo's sources; each has its id as its last tag, so that the report knows the source of an upload.

    ``now``, in UTC, lies in the active window of one of them. ``webcam``: there is one.
    """
    window = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=1):%H:%M}"
    configured: list[dict[str, Any]] = [
        {"name": "front", "capture_frequency_hz": 5},
        # The same camera, only while the vision service finds a part in front of the gripper; the boxes go along.
        {"name": "front", "id": "parts", "interval_s": 0.5, "gate": {"vision": "inspector", "min_confidence": 0.6}},
        # Nothing until the belt is jammed, or the trigger command comes; then the three seconds before it too.
        {
            "name": "front",
            "id": "event",
            "interval_s": 0.5,
            "gate": {"sensor": "conveyor", "key": "jam", "poll_hz": 5, "before_s": 3, "after_s": 1},
        },
        # A small copy of the same camera's images, beside the full ones.
        {"name": "front", "id": "thumbnail", "interval_s": 1, "image": {"format": "webp", "max_width": 160}},
        {"name": "front", "id": "snapshot", "priority": 9},
        {"name": "depth", "method": "GetImages", "capture_frequency_hz": 1},
        {"name": "depth", "id": "depth-cloud", "method": "NextPointCloud", "interval_s": 2},
        {"name": "panorama", "interval_s": 2},
        {"name": "gripper", "capture_frequency_hz": 10},
        # The same signal, kept only when the force moved by more than 2 N, and once in 3 s in any case.
        {
            "name": "gripper",
            "id": "gripper-moves",
            "capture_frequency_hz": 10,
            "on_change": {"deadband": {"force_n": 2, "opening_mm": 20}, "heartbeat_s": 3},
        },
        {"name": "gripper", "id": "gripper-hours", "interval_s": 1, "active_hours": [window]},
        {"name": "conveyor", "capture_frequency_hz": 5},
        {"name": "drive", "interval_s": 1},
        {"name": "gps", "interval_s": 1},
        {"name": "host", "interval_s": 1},
        {"name": "host", "id": "host-log", "cron": "*/2 * * * * *", "upload_as": "file"},
    ]
    if webcam:
        configured.append({"name": "webcam", "interval_s": 1})
    return [source | {"tags": [id_of(source)]} for source in configured]


def id_of(source: dict[str, Any]) -> str:
    """What status and commands call a source."""
    return str(source.get("id", source["name"]))
