"""A service with another name: what waits under the former one arrives once it is adopted."""

from __future__ import annotations

import pytest

from tests.viam_server.rig import Maker, config_of, fake_sensor, uploader

pytestmark = pytest.mark.slow


async def test_the_backlog_of_a_renamed_service_arrives_once_it_is_adopted(machines: Maker) -> None:
    source = {"name": "sensor", "capture_frequency_hz": 20, "tags": ["backlog"]}
    machine = await machines.started(config_of([uploader("before", sources=[source])], [fake_sensor("sensor")]))
    await machines.cloud.stop()
    await machine.status(holds=lambda status: status["spool"]["items"] > 20)
    waiting = (await machine.status())["spool"]["items"]

    source["tags"] = ["after"]
    machine.config["services"] = [uploader("after", sources=[source])]
    await machine.reconfigured()
    await machines.cloud.start()
    await machine.arrives("sensor", "after")
    assert machine.count("sensor", "backlog") == 0
    old = machine.home / "capture-courier" / "local" / "before"
    answer = await machine.command(command="adopt", directory=str(old))
    assert answer["adopted"] >= waiting
    await machine.until(lambda: machine.rows("sensor", "backlog") >= answer["adopted"], "not all of the rows arrived")
    assert machine.rows("sensor", "backlog") == answer["adopted"]
    assert not old.exists()
