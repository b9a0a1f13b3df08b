"""What the page shows, as JSON: what has arrived at the local cloud, and how the run goes.

The page asks regularly, and gets what it does not have yet: ``news(after, sampled)`` counts arrivals and samples from
the first one on. Times are seconds since the epoch; texts are those of the captures, to be shown as texts.
"""

from __future__ import annotations

import enum
import math
import uuid
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from viam.proto.app.data import Annotations
from viam.proto.app.datasync import SensorData
from viam.utils import struct_to_dict

from module.demo.chronicle import Chronicle
from module.demo.openings import Opening, Openings
from module.demo.tally import identities
from module.local.calls import Arrival

_MOST_ARRIVALS = 400
_MOST_KEYS = 64
_MOST_TEXT = 200
_IMAGES = (".jpeg", ".jpg", ".png", ".webp")
_POINT_CLOUDS = (".pcd",)


class Kind(enum.StrEnum):
    """What an arrival is, to somebody who looks at it."""

    ROWS = "rows"
    """Readings, one or more."""
    IMAGE = "image"
    """A picture that a browser shows, or that can be made one."""
    POINT_CLOUD = "point cloud"
    """A PCD."""
    FILE = "file"
    """All others, such as documents with a reading in each line."""


class Exhibit:
    """One run's arrivals and chronicle, of which both may grow; any one thread may ask at a time."""

    def __init__(self, arrivals: Sequence[Arrival], chronicle: Chronicle) -> None:
        self._arrivals = arrivals
        self._chronicle = chronicle
        self._run = str(uuid.uuid4())
        self._entries: list[dict[str, Any]] = []
        self._seen: set[int] = set()
        self._paths: dict[str, Path] = {}
        self._openings: Openings | None = None

    def news(self, after: int, sampled: int) -> dict[str, Any]:
        """What there is beyond the first ``after`` arrivals and ``sampled`` samples, and how things stand."""
        self._catch_up()
        there, run = self._entries, self._chronicle
        upto = min(len(there), after + _MOST_ARRIVALS)
        return {
            "run": self._run,
            "now": run.clock(),
            "began": run.began,
            "ended": run.ended,
            "faults": list(run.faults),
            "arrivals": there[after:upto],
            "more": upto < len(there),
            "samples": [[s.at, s.captured, s.waiting, s.waiting_bytes] for s in run.samples[sampled:]],
            "captured": run.captured_by_source,
            "absences": [[absence.since, absence.until] for absence in run.absences],
            "notes": [[note.at, note.text] for note in run.notes],
            "sources": list(run.sources),
            "openings": self._opened(),
        }

    def _opened(self) -> list[list[Any]]:
        """Source, time and reason of each opening of a gate, oldest first."""
        openings = [
            Opening(source, one.at, "trigger command") for one in self._chronicle.triggers for source in one.sources
        ]
        openings += self._openings.all() if self._openings is not None else []
        return [list(one) for one in sorted(openings, key=lambda one: one.at)]

    def path(self, name: str) -> Path | None:
        """The file of the arrival with this name in the cloud; None if it has no file."""
        self._catch_up()
        return self._paths.get(name)

    def _catch_up(self) -> None:
        """Read what has arrived since; each arrival is read once."""
        if self._openings is None and self._chronicle.began is not None:
            self._openings = Openings(self._chronicle.sources)
        for arrival in self._arrivals[len(self._entries) :]:
            if self._openings is not None:
                self._openings.add(arrival.metadata.component_name, arrival.rows)
            kind = _kind(arrival)
            if arrival.path is not None and kind is not Kind.ROWS:
                self._paths[arrival.file_id] = arrival.path
            entry, captures = _entry(arrival, kind), identities(arrival)
            again = self._count_again(entry["source"], captures)
            self._entries.append(entry | {"items": len(captures), "again": again})

    def _count_again(self, source: str, captures: Sequence[Hashable]) -> int:
        """How many of the captures had arrived before: those of an upload whose answer was lost come twice."""
        hashes = [hash((source, capture)) for capture in captures]
        before = sum(one in self._seen for one in hashes)
        self._seen.update(hashes)
        return before


def _kind(arrival: Arrival) -> Kind:
    if arrival.rows:
        return Kind.ROWS
    extension = arrival.metadata.file_extension.lower()
    if extension in _IMAGES:
        return Kind.IMAGE
    return Kind.POINT_CLOUD if extension in _POINT_CLOUDS else Kind.FILE


def _entry(arrival: Arrival, kind: Kind) -> dict[str, Any]:
    metadata = arrival.metadata
    captured = None
    if arrival.rows:
        captured = _seconds(arrival.rows[-1])
    elif arrival.sensor_metadata is not None:
        captured = arrival.sensor_metadata.time_requested.ToMicroseconds() / 1e6
    entry = {
        "id": arrival.file_id,
        "kind": str(kind),
        "source": metadata.tags[-1] if metadata.tags else metadata.component_name or "-",
        "component": metadata.component_name,
        "method": str(arrival.method),
        "name": metadata.file_name if arrival.path is None or kind is Kind.ROWS else arrival.path.name,
        "tags": list(metadata.tags),
        "size": arrival.size,
        "captured": captured,
        "arrived": arrival.when.timestamp(),
        "kept": arrival.path is not None and kind is not Kind.ROWS,
    }
    if kind is Kind.IMAGE and arrival.sensor_metadata is not None:
        entry |= _seen(arrival.sensor_metadata.annotations)
    return entry | _table(arrival.rows) if arrival.rows else entry


def _seen(annotations: Annotations) -> dict[str, Any]:
    """The image's own name, and the boxes in it: label, confidence, and left, top, right and bottom from 0 to 1."""
    names = [one.label for one in annotations.classifications if not one.HasField("confidence")]
    boxes = [
        [
            box.label,
            round(box.confidence, 3),
            *(box.x_min_normalized, box.y_min_normalized, box.x_max_normalized, box.y_max_normalized),
        ]
        for box in annotations.bboxes
    ]
    return {"image": names[-1] if names else "", "boxes": boxes}


def _table(rows: Sequence[SensorData]) -> dict[str, Any]:
    """Readings as a table: the keys, and for each row its time and what it has for each key, null if it has none."""
    flat = [dict(_flat(struct_to_dict(row.struct))) for row in rows]
    keys = sorted({key for row in flat for key in row})[:_MOST_KEYS]
    return {
        "keys": keys,
        "rows": [[_seconds(row), *(values.get(key) for key in keys)] for row, values in zip(rows, flat, strict=True)],
    }


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, float | bool | str]]:
    """The numbers, bools and texts of a reading, under their keys joined by dots; ``readings`` itself is left out."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _flat(part, f"{key}.{name}" if key else "" if name == "readings" else name)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, part in enumerate(value):
            yield from _flat(part, f"{key}.{number}" if key else str(number))
    elif not isinstance(value, bool | int | float):
        yield key or "value", str(value)[:_MOST_TEXT]
    elif math.isfinite(value):
        yield key or "value", value


def _seconds(row: SensorData) -> float:
    return float(row.metadata.time_requested.ToMicroseconds() / 1e6)
