"""What was reported as captured, what the cloud holds, and what each fault did to it; pure.

A capture is known by its source and its number. It is at stake in a fault if the module had reported it as captured
before the fault ended, and not yet at the end of the fault before, or if it still waited then. It is lost if it is in
the cloud neither when the fault is over nor after everything waiting has been uploaded.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable

Key = tuple[str, int]


@dataclasses.dataclass
class Row:
    """One fault, all its tries together."""

    tries: int = 0
    at_stake: int = 0
    """Captures reported before the fault ended."""
    waiting: int = 0
    """Those of them that were not in the cloud then."""
    lost: int = 0
    twice: int = 0
    """Deliveries of what the cloud had already, from this fault to the next one."""

    def add(self, other: Row) -> None:
        """Add the figures of another row to this one."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


class Ledger:
    """The books of one module's lives."""

    def __init__(self) -> None:
        self.rows: collections.defaultdict[str, Row] = collections.defaultdict(Row)
        self.delivered: set[Key] = set()
        self._waiting: set[Key] = set()
        self._passed: set[Key] = set()
        self._at_risk: dict[Key, list[str]] = {}
        self._fault: str | None = None

    @property
    def waiting(self) -> set[Key]:
        """What was reported as captured and has not been delivered."""
        return set(self._waiting)

    def report(self, keys: Iterable[Key]) -> None:
        """Note what the module says that it has captured; again and again, if it says so."""
        for key in keys:
            (self._passed if key in self.delivered else self._waiting).add(key)

    def deliver(self, keys: Iterable[Key]) -> None:
        """Note what the cloud has stored."""
        for key in keys:
            if key not in self.delivered:
                self.delivered.add(key)
                self._at_risk.pop(key, None)
                if key in self._waiting:
                    self._waiting.remove(key)
                    self._passed.add(key)
            elif self._fault is not None:
                self.rows[self._fault].twice += 1

    def begin(self, fault: str) -> None:
        """A fault begins: what is delivered twice from here on is due to it."""
        self._fault = fault

    def strike(self) -> None:
        """The fault has done its work: what was reported until now was at stake."""
        assert self._fault is not None
        row = self.rows[self._fault]
        row.tries += 1
        row.waiting += len(self._waiting)
        row.at_stake += len(self._waiting) + len(self._passed)
        for key in self._waiting:
            self._at_risk.setdefault(key, []).append(self._fault)
        self._passed = set()

    def close(self) -> dict[Key, list[str]]:
        """Everything that waited has been uploaded: count as lost what is missing, and give it with its faults."""
        lost = {key: list(dict.fromkeys(self._at_risk.get(key, []))) for key in self._waiting}
        for faults in lost.values():
            for fault in faults or ["no fault at all"]:
                self.rows[fault].lost += 1
        self._waiting, self._at_risk = set(), {}
        return lost
