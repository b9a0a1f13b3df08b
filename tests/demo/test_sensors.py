from __future__ import annotations

import time

import pytest

from module.demo.cell import JAM_S, Cell
from module.demo.sensors import ConveyorSensor, DriveSensor, GpsSensor, GripperSensor


@pytest.fixture(autouse=True)
def _stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell and its sensors ask for the time one after the other: it is the same, however late they are."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)


def _cell(since_jam: float) -> Cell:
    """A cell whose last jam began so long ago."""
    return Cell(first_jam_at=time.time() - since_jam)


async def test_the_conveyor_tells_of_a_jam() -> None:
    jammed = await ConveyorSensor("conveyor", _cell(1.0)).get_readings()
    moving = await ConveyorSensor("conveyor", _cell(JAM_S + 2.3)).get_readings()
    assert (jammed["jam"], jammed["part_present"], moving["jam"], moving["part_present"]) == (True, True, False, False)
    assert jammed["belt_speed_m_s"] < 0.05 < moving["belt_speed_m_s"]
    assert jammed["motor_current_a"] > 2 * moving["motor_current_a"]


async def test_the_gripper_measures_force_and_opening() -> None:
    jammed = await GripperSensor("gripper", _cell(1.0)).get_readings()
    gripping = await GripperSensor("gripper", _cell(JAM_S + 1.0)).get_readings()
    idle = await GripperSensor("gripper", _cell(JAM_S + 2.3)).get_readings()
    assert jammed["force_n"] > 30 > gripping["force_n"] > 15
    assert abs(idle["force_n"]) < 2
    assert idle["opening_mm"] > gripping["opening_mm"]


async def test_a_jam_warms_the_drive() -> None:
    readings = [(await DriveSensor("drive", _cell(since)).get_readings())["temperature_c"] for since in (29, JAM_S)]
    assert readings[1] - readings[0] > 3


async def test_the_gps_drifts_by_metres(monkeypatch: pytest.MonkeyPatch) -> None:
    north = []
    for at in range(0, 200, 10):
        monkeypatch.setattr(time, "time", lambda at=at: float(at))
        north.append((await GpsSensor("gps").get_readings())["latitude"] * 111_320)
    assert 1 < max(north) - min(north) < 12
