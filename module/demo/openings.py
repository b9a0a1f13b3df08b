"""When gates opened, read from what has arrived: from the rows of the sensors that they ask."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from viam.proto.app.datasync import SensorData
from viam.utils import struct_to_dict

from module.attributes.condition import Condition, Test

_OPERANDS = (Test.EQUALS, Test.NOT_EQUALS, Test.ABOVE, Test.BELOW)


class Opening(NamedTuple):
    """A gate that opened."""

    source: str
    at: float
    """Seconds since the epoch, of the row that says so."""
    why: str
    """The sensor and the key."""


class Openings:
    """Those of some sources, as a config has them; rows may come in any order."""

    def __init__(self, sources: Sequence[Mapping[str, Any]]) -> None:
        self._watches = [
            _Watch(str(source.get("id", source["name"])), source["gate"])
            for source in sources
            if "sensor" in source.get("gate", {})
        ]

    def add(self, component: str, rows: Sequence[SensorData]) -> None:
        """Read the rows of a component."""
        watches = [watch for watch in self._watches if watch.sensor == component]
        for row in rows if watches else ():
            at, given = row.metadata.time_requested.ToMicroseconds() / 1e6, struct_to_dict(row.struct)
            readings = given.get("readings", given)
            for watch in watches:
                if isinstance(readings, Mapping):
                    watch.add(at, holds=watch.condition.holds(readings))

    def all(self) -> list[Opening]:
        """All there are so far, oldest first."""
        return sorted((opening for watch in self._watches for opening in watch.openings()), key=lambda one: one.at)


class _Watch:
    """One gate's condition: when it held. Of rows in a row that say the same only the first and the last are kept."""

    def __init__(self, source: str, gate: Mapping[str, Any]) -> None:
        self.source = source
        self.sensor = str(gate["sensor"])
        self._why = f"{self.sensor}: {gate['key']}"
        test = next((test for test in _OPERANDS if test in gate), Test.TRUE)
        self.condition = Condition(gate["key"], test, gate.get(test))
        self._times: list[float] = []
        self._held: list[bool] = []

    def add(self, at: float, *, holds: bool) -> None:
        place = bisect.bisect(self._times, at)
        # In the middle of a run, or with one before it at the end: nothing new, or the run is longer.
        if place == len(self._times) and self._held[-2:] == [holds, holds]:
            self._times[-1] = at
        elif not 0 < place < len(self._times) or self._held[place - 1 : place + 1] != [holds, holds]:
            self._times.insert(place, at)
            self._held.insert(place, holds)

    def openings(self) -> list[Opening]:
        return [
            Opening(self.source, at, self._why)
            for before, held, at in zip([False, *self._held], self._held, self._times, strict=False)
            if held and not before
        ]
