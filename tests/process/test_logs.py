"""The module's logs go to the machine over the connection that the polls use, and must not break it."""

from __future__ import annotations

import asyncio
import time

from tests.process.rig import CountingSensor, Starter


async def test_a_flood_of_logs_fails_no_poll(start: Starter) -> None:
    """At debug level the SDK logs each call; sent from another thread, as the SDK does, polls failed by the dozen."""
    sensors = [CountingSensor(f"s{number}") for number in range(4)]
    rig = await start(
        *sensors, log_level="debug", sources=[{"name": s.name, "capture_frequency_hz": 50} for s in sensors]
    )
    end = time.monotonic() + 4
    while time.monotonic() < end or len(rig.server.logs) <= 500:
        await asyncio.gather(*(rig.status() for _ in range(10)))
    sources = (await rig.status())["sources"]
    assert {key: (source["errors"], source["last_error"]) for key, source in sources.items()} == {
        sensor.name: (0, None) for sensor in sensors
    }
    assert len(rig.server.logs) > 500
