"""A small fleet, with real spools, uploaders and connections."""

from __future__ import annotations

from pathlib import Path

from benchmarks.fleet.acts import Happening, Size, play
from benchmarks.fleet.load import Load


async def test_a_fleet_that_lost_one_cloud_delivers_everything_once_it_is_back(tmp_path: Path) -> None:
    """Each machine fetches one token after each time that the cloud has forgotten all, and captures go on meanwhile."""
    load = Load(row_every_s=0.05, image_every_s=0.2, batch_wait_s=0.1)
    size = Size(machines=4, processes=2, outage_s=0.5, calm_s=1.0, after_s=2.0, load=load)
    outcome = await play(size, tmp_path, [Happening.NEW, Happening.SHORT])
    machines = outcome.books.machines
    assert len(machines) == 4
    for machine in machines:
        assert machine["captured"] == machine["delivered"] > 0
        assert machine["waiting"] == 0
        assert machine["retries"] > 0
    new, short = outcome.acts
    assert new.steady > 0
    assert new.authentications + short.authentications <= 4
    assert [curve.name for curve in outcome.curves] == [Happening.NEW, Happening.SHORT]
