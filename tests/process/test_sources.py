"""Sources → cloud, through a real module process."""

from __future__ import annotations

from tests.process.rig import CountingSensor, Starter


async def test_a_sensor_reaches_the_cloud_with_no_row_missing_and_none_twice(start: Starter) -> None:
    sensor = CountingSensor("s1")
    rig = await start(sensor, sources=[{"name": "s1", "capture_frequency_hz": 20}])
    await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 20)
    status = await rig.drained()
    assert rig.numbers("s1") == list(range(1, int(status["sources"]["s1"]["captured"]) + 1))
