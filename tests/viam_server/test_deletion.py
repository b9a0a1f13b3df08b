"""viam-server deletes the data folder of each module that does not run; no capture goes with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.viam_server.rig import Machine, Maker, config_of, fake_sensor, uploader

pytestmark = pytest.mark.slow

DELETED = "Removing module data"


async def a_release_that_does_not_start(machine: Machine) -> None:
    """The module runs, and its entry changes to a release that is broken."""
    (module,) = machine.config["modules"]
    machine.break_module()
    module["env"] = {"RELEASE": "broken"}
    await machine.reconfigured()
    await machine.start_fails()
    await change_something_else(machine)
    machine.fix_module()
    module["env"] = {"RELEASE": "good"}
    await machine.reconfigured()


async def a_first_start_that_fails(machine: Machine) -> None:
    """As without a network for what ``run.sh`` installs."""
    await machine.stop()
    machine.break_module()
    await machine.start()
    await machine.start_fails()
    await change_something_else(machine)
    await machine.stop()
    machine.fix_module()
    await machine.start()


async def an_entry_with_another_name(machine: Machine) -> None:
    (module,) = machine.config["modules"]
    module["name"] = "renamed"
    await machine.reconfigured()


async def a_module_that_is_taken_out_and_put_back(machine: Machine) -> None:
    modules, services = machine.config["modules"], machine.config["services"]
    machine.config["modules"], machine.config["services"] = [], []
    await machine.reconfigured()
    machine.config["modules"], machine.config["services"] = modules, services
    await machine.reconfigured()


async def change_something_else(machine: Machine) -> None:
    machine.config["components"].append(fake_sensor(f"another-{len(machine.config['components'])}"))
    await machine.reconfigured()


@pytest.mark.parametrize(
    "happens",
    [
        a_release_that_does_not_start,
        a_first_start_that_fails,
        an_entry_with_another_name,
        a_module_that_is_taken_out_and_put_back,
    ],
)
async def test_a_backlog_arrives_after(machines: Maker, happens: Callable[[Machine], Awaitable[None]]) -> None:
    source = {"name": "sensor", "capture_frequency_hz": 20, "tags": ["backlog"]}
    config = config_of([uploader(sources=[source])], [fake_sensor("sensor")])
    machine = await machines.started(config)
    await machines.cloud.stop()
    await machine.status(holds=lambda status: status["spool"]["items"] > 20)
    await machine.command(command="pause", what="capture")
    waiting = (await machine.status())["spool"]["items"]

    # What is captured after it is told from the backlog.
    machine.attributes["sources"][0]["tags"] = ["after"]
    await happens(machine)
    assert DELETED in machine.printed(), "viam-server did not delete: this shows nothing"
    await machines.cloud.start()
    await machine.until(lambda: machine.rows("sensor", "backlog") >= waiting, f"not all of {waiting} rows arrived")
