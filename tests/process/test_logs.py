"""The module's logs go to the machine over the connection that the polls use, and must not break it."""

from __future__ import annotations

import asyncio
import time

from tests.process.rig import NAME, CountingSensor, Starter


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


async def test_a_start_says_what_is_captured_and_what_is_missing(start: Starter) -> None:
    """In one line, and one for each source whose resource is not there; a rebuild names such a source only once."""
    sources = [{"name": "s1", "capture_frequency_hz": 20}, {"name": "gone", "interval_s": 1}]
    rig = await start(CountingSensor("s1"), sources=sources)

    def lines(text: str) -> int:
        return len([entry for entry in rig.server.logs if text in entry.message])

    await rig.until(lambda _: lines("sources: 2, folders: 0") == 1)
    await rig.server.reconfigure_resource(NAME)
    await rig.until(lambda _: lines("sources: 2, folders: 0") == 2)
    assert lines("this machine has no gone") == lines("this source waits") == 1
