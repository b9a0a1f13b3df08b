"""Another component's trouble undoes nothing that operators have commanded."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.process.rig import ROOT
from tests.viam_server.neighbour import MODEL
from tests.viam_server.rig import Maker, config_of, fake_sensor, uploader

pytestmark = pytest.mark.slow

_COUNTS = ("captured", "commanded", "missed", "errors")
_REBUILT = 'Adding resource to module\t{"resource":"uploader"'


def _neighbour(folder: Path) -> tuple[dict[str, Any], Path]:
    """The entry of the module in neighbour.py, and the file that holds its process's id."""
    pid_file, program = folder / "neighbour.pid", folder / "neighbour.sh"
    program.write_text(
        f'#!/bin/sh\necho $$ > "{pid_file}"\nexport PYTHONPATH="{ROOT}"\n'
        f'exec "{sys.executable}" -P -m tests.viam_server.neighbour "$@"\n'
    )
    program.chmod(0o755)
    return {"type": "local", "name": "neighbour", "executable_path": str(program)}, pid_file


async def test_a_pause_and_the_counts_outlive_a_neighbours_crash(machines: Maker, tmp_path: Path) -> None:
    """The neighbour's sensor is an optional dependency: the service is rebuilt when it goes, and when it is back."""
    module, pid_file = _neighbour(tmp_path)
    sources = [{"name": name, "capture_frequency_hz": 10} for name in ("steady", "gauge")]
    gauge = {"name": "gauge", "api": "rdk:component:sensor", "model": MODEL, "attributes": {}}
    config = config_of([uploader(sources=sources)], [fake_sensor("steady"), gauge])
    config["modules"].append(module)
    machine = await machines.started(config)
    await machine.status(holds=lambda status: all(each["captured"] > 5 for each in status["sources"].values()))
    await machine.arrives("gauge")
    await machine.command(command="set_schedule", source="steady", interval_s=3600)
    await machine.command(command="pause", sources=["gauge"])
    await machine.command(command="pause", what="upload")
    # What was polled before counts now, and uploads that are under way when they are paused still end. A poll that is
    # held up counts later: until nothing more does.
    before: dict[str, Any] = {}
    counted: list[Any] = []
    while len(counted) < 2 or counted[-1] != counted[-2]:
        await machine.command(command="upload_data", text="now", file_name="now.txt", wait="spooled")
        before = await machine.status(holds=lambda status: not status["upload"]["in_flight"])
        counted.append([before["sources"]["gauge"][key] for key in _COUNTS])

    rebuilt = machine.printed().count(_REBUILT)
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    await machine.prints(_REBUILT, more_than=rebuilt)
    after = await machine.status(holds=lambda status: status["sources"]["gauge"]["state"] == "paused")
    for key in _COUNTS:
        assert after["sources"]["gauge"][key] == before["sources"]["gauge"][key], key
    assert after["sources"]["steady"]["schedule"] == before["sources"]["steady"]["schedule"] == "every 3600 s"
    assert after["upload"]["state"] == "paused"
    assert after["upload"]["commanded"] == before["upload"]["commanded"]
    assert after["upload"]["uploaded_items"] == before["upload"]["uploaded_items"] > 0
    assert after["uptime_s"] > before["uptime_s"]

    await machine.command(command="resume")
    await machine.status(
        holds=lambda status: status["sources"]["gauge"]["captured"] > before["sources"]["gauge"]["captured"]
    )
