"""The work cell's sensors: what they measure is what the cameras see."""

from __future__ import annotations

import math
import random
import time
from typing import Any

from viam.components.sensor import Sensor

from module.demo.cell import JAM_S, Cell

_LATITUDE, _LONGITUDE = 51.477928, -0.001545
_METRES_PER_DEGREE = 111_320


class ConveyorSensor(Sensor):
    """The belt: its speed, its motor's current, the light barrier at the gripper, and whether it is jammed."""

    def __init__(self, name: str, cell: Cell) -> None:
        super().__init__(name)
        self._cell = cell

    async def get_readings(self, **_: Any) -> dict[str, float | bool]:
        """Measure now, with the noise of a sensor."""
        moment = self._cell.moment(time.time())
        return {
            "belt_speed_m_s": round(max(0.0, random.gauss(moment.belt_speed_m_s, 0.003)), 3),
            "motor_current_a": round(random.gauss(moment.motor_current_a, 0.04), 2),
            "part_present": moment.part_present,
            "jam": moment.jam,
        }


class GripperSensor(Sensor):
    """The gripper: the force of its fingers, and how far they are apart."""

    def __init__(self, name: str, cell: Cell) -> None:
        super().__init__(name)
        self._cell = cell

    async def get_readings(self, **_: Any) -> dict[str, float]:
        """Measure now, with the noise of a sensor."""
        moment = self._cell.moment(time.time())
        return {
            "force_n": round(random.gauss(moment.force_n, 0.25), 2),
            "opening_mm": round(random.gauss(moment.opening_mm, 0.1), 1),
        }


class DriveSensor(Sensor):
    """The temperature of the belt's motor, which a jam makes rise."""

    def __init__(self, name: str, cell: Cell) -> None:
        super().__init__(name)
        self._cell = cell

    async def get_readings(self, **_: Any) -> dict[str, float]:
        """Measure now, with the noise of a sensor."""
        since = self._cell.since_jam(time.time())
        risen = min(1.0, since / JAM_S) * math.exp(-max(0.0, since - JAM_S) / 12)
        return {"temperature_c": round(random.gauss(41.5 + 6.5 * risen, 0.05), 2)}


class GpsSensor(Sensor):
    """The cell's position, as a cheap receiver measures it: it drifts by some metres."""

    async def get_readings(self, **_: Any) -> dict[str, float]:
        """Return the position now; the height in metres."""
        at = time.time()
        north = 2.1 * math.sin(at / 17) + 0.9 * math.sin(at / 5.3) + random.gauss(0, 0.15)
        east = 1.8 * math.sin(at / 23 + 1) + 1.1 * math.sin(at / 7.1) + random.gauss(0, 0.15)
        return {
            "latitude": round(_LATITUDE + north / _METRES_PER_DEGREE, 7),
            "longitude": round(_LONGITUDE + east / _METRES_PER_DEGREE / math.cos(math.radians(_LATITUDE)), 7),
            "altitude_m": round(46 + 0.8 * math.sin(at / 11) + random.gauss(0, 0.1), 2),
            "satellites": 9 + round(1.4 * math.sin(at / 9)),
        }
