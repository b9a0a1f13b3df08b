"""The uploader's status → flat readings, and whether all is well; pure, the clocks are arguments.

``ok`` is about the present, not about the past: it depends on states, on present errors, and on how much the counters
grew in the last minute. A person's choice (a pause, a disabled source, hours) is no trouble.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

WINDOW_S = 60.0
"""Rates are computed over this time; after it, a loss is no longer a reason."""
_APART_S = 1.0
_SLOW_S = 2.0
"""If a disk is further behind, sources miss ticks."""
_LONGEST = 240
"""Characters of ``reason``, at most."""
_OF_SOURCE = ("captured", "filtered", "missed", "errors", "dropped")

Readings = dict[str, float | int | bool | str]


@dataclass(frozen=True, slots=True)
class _Look:
    """The counters at one time."""

    at: float
    counters: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Growth:
    """How much the counters grew, and in how many seconds; 0 if there was no earlier look."""

    seconds: float
    by: Mapping[str, float]

    def of(self, counter: str) -> float:
        """Return how much a counter grew."""
        return self.by.get(counter, 0)

    def per_s(self, counter: str) -> float:
        """Return the rate of a counter, rounded to thousandths."""
        return round(self.of(counter) / self.seconds, 3) if self.seconds > 0 else 0.0


class Vitals:
    """Remembers the last minute of one uploader. ``now`` is in monotonic seconds."""

    def __init__(self, service: str, *, per_source: bool) -> None:
        self._service = service
        self._per_source = per_source
        self._looks: deque[_Look] = deque()
        """The earlier counters, the oldest first: about one a second, for as long as a rate covers."""

    def silent(self, why: str) -> Readings:
        """Return the readings if the uploader does not answer: no number is made up."""
        return {"ok": False, "reason": _short([f"{self._service}: {why}"])}

    def read(self, status: Mapping[str, Any], *, now: float) -> Readings:
        """Return the readings of a ``status`` answer. Raises KeyError, TypeError or ValueError if it is none."""
        sources, spool, upload = status["sources"], status["spool"], status["upload"]
        growth = self._grown(now, float(status["uptime_s"]), _counters(status))
        offline_s = float(upload["offline_s"])
        # A source that fails says so itself too.
        troubles = list(dict.fromkeys(_troubles(status, growth, offline_s)))
        total = {count: sum(_whole(source[count]) for source in sources.values()) for count in _OF_SOURCE}
        room = float(spool["max_bytes"])
        return {
            "ok": not troubles,
            "reason": _short(troubles),
            "upload_state": str(upload["state"]),
            "connected": bool(upload["connected"]),
            "backlog_items": _whole(spool["items"]),
            "backlog_bytes": _whole(spool["bytes"]),
            "backlog_age_s": float(spool["oldest_age_s"]),
            "backlog_percent": round(100 * float(spool["bytes"]) / room, 2) if room else 0.0,
            "uploads_per_s": growth.per_s("uploaded_items"),
            "bytes_per_s": growth.per_s("uploaded_bytes"),
            "uploaded_items": _whole(upload["uploaded_items"]),
            "uploaded_bytes": _whole(upload["uploaded_bytes"]),
            "retries": _whole(upload["retries"]),
            "clock_state": _clock(status),
            "offline_s": offline_s,
            **{count: total[count] for count in _OF_SOURCE if count != "dropped"},
            # The spool's count, which includes files and captures of commands.
            "dropped": _whole(spool["dropped"]),
            "failed": _whole(spool["failed"]),
            "disk_free_bytes": _whole(spool["free_disk_bytes"]),
            "disk_lag_s": float(spool.get("lag_s", 0)),
            "uptime_s": float(status["uptime_s"]),
            **(dict(_each(sources, growth)) if self._per_source else {}),
        }

    def _grown(self, now: float, uptime_s: float, counters: Mapping[str, float]) -> Growth:
        """Compare with the look of a minute ago, or with the oldest since the uploader's start."""
        looks, started = self._looks, now - uptime_s
        if looks and looks[-1].at < started:
            # Its counters began at 0 again.
            looks.clear()
        if not looks and uptime_s <= WINDOW_S:
            looks.append(_Look(started, {}))
        while len(looks) > 1 and looks[1].at <= now - WINDOW_S:
            looks.popleft()
        growth = Growth(0.0, {})
        if looks:
            base = looks[0]
            by = {name: max(0.0, count - base.counters.get(name, 0)) for name, count in counters.items()}
            growth = Growth(now - base.at, by)
        # At most some sixty looks are kept for a minute, however often the sensor is read.
        if not looks or now - looks[-1].at >= _APART_S:
            looks.append(_Look(now, counters))
        return growth


def _clock(status: Mapping[str, Any]) -> str:
    # An uploader of an earlier version does not say.
    return str(status.get("clock", {}).get("state", "set"))


def _counters(status: Mapping[str, Any]) -> dict[str, float]:
    upload = status["upload"]
    counters = {name: float(upload[name]) for name in ("uploaded_items", "uploaded_bytes")}
    counters["dropped"] = float(status["spool"]["dropped"])
    for key, source in status["sources"].items():
        counters[f"missed {key}"] = float(source["missed"])
        counters[f"polled {key}"] = sum(float(source[count]) for count in ("captured", "filtered", "errors"))
    return counters


def _troubles(status: Mapping[str, Any], growth: Growth, offline_s: float) -> Iterator[str]:
    """Yield the present troubles, the worst first: captures are lost, are not sent, or cannot be made."""
    yield from _not_kept(status["spool"], growth)
    yield from _not_sent(status, offline_s)
    for name, error in status.get("failing", {}).items():
        yield f"{name}: {error}"
    for key, source in status["sources"].items():
        if trouble := _not_had(key, source, growth):
            yield f"source {key}: {trouble}"
    for path, folder in status.get("folders", {}).items():
        if error := _text(folder["last_error"]):
            yield f"folder {path}: {error}"


def _not_kept(spool: Mapping[str, Any], growth: Growth) -> Iterator[str]:
    if lost := growth.of("dropped"):
        yield f"the spool is full, and dropped {lost:.0f} in the last {growth.seconds:.0f} s"
    if error := _text(spool["last_error"]):
        yield error
    if (lag_s := float(spool.get("lag_s", 0))) > _SLOW_S:
        yield f"the disk is {lag_s:.1f} s behind"
    if aside := _text(spool.get("damaged")):
        yield f"a damaged spool was set aside as {aside}"


def _not_sent(status: Mapping[str, Any], offline_s: float) -> Iterator[str]:
    upload = status["upload"]
    error = _text(upload["last_error"])
    if _clock(status) == "not_set":
        yield "the machine's clock is not set"
    if upload["state"] == "refused":
        yield f"the cloud refuses uploads: {error}"
    elif upload["state"] == "offline":
        yield f"the cloud has been away for {offline_s:.0f} s: {error}"
    if failed := _whole(status["spool"]["failed"]):
        yield f"rejected by the cloud, to be retried or discarded: {failed}"
    if failed := sum(sequence["state"] == "failed" for sequence in status.get("sequences", ())):
        yield f"sequences that the cloud will not make: {failed}"


def _not_had(key: str, source: Mapping[str, Any], growth: Growth) -> str | None:
    if source["state"] == "disabled":
        return None
    if growth.of(f"missed {key}") > growth.of(f"polled {key}"):
        return _text(source["last_error"]) or "it misses more ticks than it keeps"
    return _text(source["last_error"])


def _each(sources: Mapping[str, Mapping[str, Any]], growth: Growth) -> Iterator[tuple[str, float | int | bool | str]]:
    for prefix, (key, source) in zip(prefixes(sources), sources.items(), strict=True):
        yield f"{prefix}_ok", _not_had(key, source, growth) is None
        yield f"{prefix}_state", str(source["state"])
        for count in _OF_SOURCE:
            yield f"{prefix}_{count}", _whole(source[count])
        yield f"{prefix}_lateness_p99_ms", float(source["lateness_ms"]["p99"])


def prefixes(ids: Iterable[str]) -> list[str]:
    """Return ``source_`` and the id for each, with "_" for all but letters, digits and "_"; equal ones get a number."""
    made: list[str] = []
    for key in ids:
        plain = "source_" + re.sub(r"[^0-9A-Za-z_]", "_", key)
        prefix, number = plain, 1
        while prefix in made:
            number += 1
            prefix = f"{plain}_{number}"
        made.append(prefix)
    return made


def _short(troubles: list[str]) -> str:
    # What others said may have lines of its own.
    text = " ".join("; ".join(troubles).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _text(value: Any) -> str | None:
    # The SDK's clients make 0 of null.
    return value if isinstance(value, str) and value else None


def _whole(value: Any) -> int:
    # Numbers come out of a protobuf Struct as floats.
    return int(value)
