"""Sources that tick together: neither a slow one nor a camera among them delays the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from tests.process.rig import NAME, CountingSensor, Rig, Starter, StillCamera

ENOUGH = 30
"""Ticks of each quick source."""


class SlowSensor(CountingSensor):
    """Takes two seconds for each answer."""

    async def get_readings(self, **asked: Any) -> Mapping[str, Any]:
        await asyncio.sleep(2)
        return await super().get_readings(**asked)


def _large_jpeg() -> bytes:
    """Forty million pixels in few bytes: a third of a second of work to scale down."""
    return bytes(cv2.imencode(".jpg", np.full((5000, 8000, 3), 90, np.uint8))[1].tobytes())


async def _share_taken(rig: Rig, names: list[str], *, above: float = 0.0) -> float:
    """Return the share of the quick sources' ticks that were not missed, of ENOUGH ticks that follow each other.

    If it is not above what is wanted, look at the next ticks, for at most a minute: the computer may be busier for a
    while than when that was measured.
    """
    deadline = time.monotonic() + 60
    before = await rig.status()
    while True:

        def grown(now: dict[str, Any], count: str, before: dict[str, Any] = before) -> list[int]:
            return [now["sources"][each][count] - before["sources"][each][count] for each in names]

        status = await rig.until(lambda now, grown=grown: min(grown(now, "captured")) >= ENOUGH, 60.0)  # type: ignore[misc]
        taken = sum(grown(status, "captured"))
        share = float(taken / (taken + sum(grown(status, "missed"))))
        if share > above or time.monotonic() > deadline:
            return share
        before = status


async def test_neither_a_slow_resource_nor_a_camera_delays_quick_sensors(start: Starter) -> None:
    """Beside the same sensors without them, on the same machine: the bound knows nothing of how busy that is."""
    names = [f"quick-{number}" for number in range(3)]
    quick = [{"name": name, "capture_frequency_hz": 20} for name in names]
    others = [
        {"name": "slow", "capture_frequency_hz": 20},
        {"name": "camera", "capture_frequency_hz": 20, "image": {"max_width": 4000, "format": "png"}},
    ]
    camera = StillCamera("camera", [("color", _large_jpeg(), "image/jpeg")])
    rig = await start(*map(CountingSensor, names), SlowSensor("slow"), camera, sources=quick, upload={"disabled": True})
    alone = await _share_taken(rig, names)
    await rig.server.remove_resource(NAME)
    await rig.configure(
        sources=[*quick, *others], upload={"disabled": True}, spool={"directory": str(rig.folder / "new")}
    )
    beside = await _share_taken(rig, names, above=alone / 2)
    status = await rig.until(
        lambda now: now["sources"]["slow"]["captured"] > 0 and now["sources"]["camera"]["captured"] > 0
    )
    assert status["sources"]["slow"]["missed"] > 0
    # If they waited for the slow one, they would take one tick in forty; for the camera, one in six.
    assert beside > alone / 2
