"""A viam-server that is killed and restarted, or ended: the module lets go, and loses nothing that it counted."""

from __future__ import annotations

import time

import pytest

from tests.process.rig import Beside
from tests.viam_server.rig import Machine, Maker, config_of, fake_sensor, uploader

pytestmark = pytest.mark.slow

SOURCE = {"name": "s", "capture_frequency_hz": 20}


def _captured(status: dict[str, object]) -> int:
    sources = status["sources"]
    assert isinstance(sources, dict)
    return int(sources["s"]["captured"])


async def _back(machine: Machine) -> float:
    """Start viam-server; return the seconds until its source has captured."""
    begun = time.monotonic()
    await machine.start()
    await machine.status(holds=lambda status: _captured(status) > 0)
    return time.monotonic() - begun


async def test_a_viam_server_that_is_killed_and_restarted_has_its_sources_back_at_once(machines: Maker) -> None:
    """About as soon as after its first start: the module that was left behind does not hold the spool."""
    machine = machines.make(config_of([uploader(sources=[SOURCE], upload={"disabled": True})], [fake_sensor("s")]))
    first = await _back(machine)
    counted = _captured(await machine.status(holds=lambda status: _captured(status) >= 20))
    left = machine.module_pid()
    await machine.kill()
    async with Beside() as beside:
        again = await _back(machine)
    assert machine.module_pid() != left
    # The SDK's own look at the connection takes 10 s and more.
    assert again < first + 5 + beside.late_s

    machine.attributes["upload"].pop("disabled")
    await machine.reconfigured()
    await machine.command(command="pause", what="capture")
    assert await machine.command(command="flush", timeout_s=60) == {"remaining_items": 0, "remaining_bytes": 0}
    assert machine.rows("s") >= counted


async def test_a_viam_server_that_is_ended_ends_the_module_cleanly(machines: Maker) -> None:
    machine = machines.make(config_of([uploader(sources=[SOURCE])], [fake_sensor("s")]))
    await _back(machine)
    assert await machine.stop() == 0
    printed = machine.printed()
    assert '"activity":"module","event":"stop","module":"courier_capture","reason":"shutdown"' in printed
    assert "did not exit cleanly" not in printed
    # Of a module that does not end by itself.
    assert "stopping entire process group" not in printed
