"""``examples/viam-server.json`` under a real viam-server: captures, reconfigures, outlives a kill, loses nothing."""

from __future__ import annotations

import os
import signal

import pytest

from tests.viam_server.rig import Maker, example

pytestmark = pytest.mark.slow


async def test_a_machine_captures_reconfigures_and_comes_back(machines: Maker) -> None:
    machine = await machines.started(example())
    await machine.arrives("sensor", "readings")
    await machine.arrives("camera", "images")

    for source in machine.attributes["sources"]:
        source["tags"] = [*source["tags"], "changed"]
    machine.write()
    await machine.arrives("sensor", "changed")
    await machine.arrives("camera", "changed")

    killed = machine.module_pid()
    os.kill(killed, signal.SIGKILL)
    before = machine.count("sensor", "changed")
    await machine.module_started_after(killed)
    # What the killed process had sent and not yet seen answered may still be counted: well more than that.
    await machine.arrives("sensor", "changed", before + 10)

    await machine.command(command="pause", what="capture")
    flushed = await machine.command(command="flush", timeout_s=30)
    assert flushed == {"remaining_items": 0, "remaining_bytes": 0}
    status = await machine.status()
    assert status["spool"]["failed"] == 0
    assert machine.rows("sensor") >= status["sources"]["sensor"]["captured"] > 0
