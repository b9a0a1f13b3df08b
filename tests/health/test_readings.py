"""A status → flat readings, what ``ok`` means, and rates over the last minute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from module.health.readings import Vitals, prefixes


def status(**changes: Any) -> dict[str, Any]:
    """A status of an uploader that is well; ``upload__state="offline"`` changes what stands within."""
    made: dict[str, Any] = {
        "uptime_s": 1000.0,
        "sources": {"imu": source()},
        "folders": {"/logs": {"last_error": None}},
        "spool": {
            "items": 3.0,
            "bytes": 250.0,
            "oldest_age_s": 1.5,
            "max_bytes": 1000.0,
            "free_disk_bytes": 9e9,
            "lag_s": 0.25,
            "failed": 0.0,
            "dropped": 0.0,
            "damaged": None,
            "last_error": None,
        },
        "upload": {
            "state": "idle",
            "connected": True,
            "uploaded_items": 0.0,
            "uploaded_bytes": 0.0,
            "retries": 2.0,
            "offline_s": 0.0,
            "last_error": None,
            "last_upload": "2026-05-01T11:59:50Z",
        },
        "clock": {"state": "set", "by_s": None, "at": None},
        "sequences": [{"state": "open"}],
    }
    for path, value in changes.items():
        *steps, last = path.split("__")
        part = made
        for step in steps:
            part = part[step]
        part[last] = value
    return made


def source(**changes: Any) -> dict[str, Any]:
    counts = {"captured": 5.0, "filtered": 1.0, "missed": 0.0, "errors": 0.0, "dropped": 0.0}
    return {"state": "active", "last_error": None, "lateness_ms": {"p99": 0.5}, **counts, **changes}


def read(vitals: Vitals, of: dict[str, Any], after_s: float = 0.0) -> dict[str, Any]:
    return dict(vitals.read(of, now=5000.0 + after_s))


def once(of: dict[str, Any], *, per_source: bool = False) -> dict[str, Any]:
    return read(Vitals("u", per_source=per_source), of)


def test_a_status_without_trouble_is_ok() -> None:
    assert once(status()) == {
        "ok": True,
        "reason": "",
        "upload_state": "idle",
        "connected": True,
        "backlog_items": 3,
        "backlog_bytes": 250,
        "backlog_age_s": 1.5,
        "backlog_percent": 25.0,
        "uploads_per_s": 0,
        "bytes_per_s": 0,
        "uploaded_items": 0,
        "uploaded_bytes": 0,
        "retries": 2,
        "clock_state": "set",
        "offline_s": 0,
        "captured": 5,
        "filtered": 1,
        "missed": 0,
        "errors": 0,
        "dropped": 0,
        "failed": 0,
        "disk_free_bytes": 9_000_000_000,
        "disk_lag_s": 0.25,
        "uptime_s": 1000,
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"spool__last_error": "no room in the spool"}, "no room in the spool"),
        ({"spool__lag_s": 2.34}, "the disk is 2.3 s behind"),
        ({"spool__damaged": "/x.damaged"}, "a damaged spool was set aside as /x.damaged"),
        ({"upload__state": "refused", "upload__last_error": "no key"}, "the cloud refuses uploads: no key"),
        (
            {"upload__state": "offline", "upload__last_error": "no route", "upload__offline_s": 10.0},
            "the cloud has been away for 10 s: no route",
        ),
        ({"clock__state": "not_set"}, "the machine's clock is not set"),
        ({"spool__failed": 4.0}, "rejected by the cloud, to be retried or discarded: 4"),
        ({"sequences": [{"state": "failed"}]}, "sequences that the cloud will not make: 1"),
        ({"sources__imu": source(last_error="no bus")}, "source imu: no bus"),
        ({"sources__imu": source(state="waiting", last_error="not there")}, "source imu: not there"),
        ({"folders": {"/logs": {"last_error": "no rights"}}}, "folder /logs: no rights"),
    ],
)
def test_present_troubles_are_reasons(changes: dict[str, Any], reason: str) -> None:
    readings = once(status(**changes))
    assert (readings["ok"], readings["reason"]) == (False, reason)


@pytest.mark.parametrize(
    "changes",
    [
        {"upload__state": "paused"},
        {"upload__state": "resting"},
        {"clock__state": "stepped", "clock__by_s": 1.7e9},
        {"sources__imu": source(state="paused")},
        {"sources__imu": source(state="disabled", last_error="this machine has no imu")},
        {"sources__imu": source(errors=7.0, missed=9.0, dropped=3.0)},
        {"spool__dropped": 12.0},
        # The SDK's clients make 0 of null.
        {"spool__last_error": 0, "upload__last_error": 0, "sources__imu": source(last_error=0)},
        {"upload__last_upload": 0, "upload__state": "idle"},
    ],
)
def test_what_was_chosen_or_is_over_is_no_trouble(changes: dict[str, Any]) -> None:
    readings = once(status(**changes), per_source=True)
    assert (readings["ok"], readings["reason"], readings["source_imu_ok"]) == (True, "", True)


def test_rates_are_those_of_the_last_minute() -> None:
    """However often somebody reads in between."""
    vitals = Vitals("u", per_source=False)
    read(vitals, status())
    for second in range(1, 200):
        done = float(second * 2 if second <= 100 else 200)
        of = status(upload__uploaded_items=done, upload__uploaded_bytes=done * 100, uptime_s=1000.0 + second)
        readings = read(vitals, of, second)
        readings = read(vitals, of, second + 0.3)
        if second == 90:
            assert readings["uploads_per_s"] == pytest.approx(2, rel=0.02)
            assert readings["bytes_per_s"] == pytest.approx(200, rel=0.02)
    assert readings["uploads_per_s"] == 0


def test_what_is_remembered_is_a_minute_however_often_it_is_read() -> None:
    vitals = Vitals("u", per_source=False)
    for reading in range(10_000):
        read(vitals, status(uptime_s=1000.0 + reading / 50), reading / 50)
    assert len(vitals._looks) < 70


def test_an_uploader_that_has_just_begun_counts_from_its_start() -> None:
    vitals = Vitals("u", per_source=False)
    assert read(vitals, status(uptime_s=10.0, upload__uploaded_items=50.0))["uploads_per_s"] == 5
    # Another has begun since: its counters are its own.
    again = read(vitals, status(uptime_s=2.0, upload__uploaded_items=4.0), 30)
    assert again["uploads_per_s"] == 2


@pytest.mark.parametrize(
    ("grown", "reason"),
    [
        (lambda n: {"spool__dropped": 2.0 * min(n, 1)}, "the spool is full, and dropped 2 in the last 30 s"),
        (
            lambda n: {"sources__imu": source(captured=5.0 + 3 * min(n, 1), missed=4.0 * min(n, 1))},
            "source imu: it misses more ticks than it keeps",
        ),
    ],
)
def test_a_loss_is_trouble_for_a_minute(grown: Callable[[int], dict[str, Any]], reason: str) -> None:
    vitals = Vitals("u", per_source=True)
    read(vitals, status(**grown(0)))
    readings = read(vitals, status(uptime_s=1030.0, **grown(1)), 30)
    assert (readings["ok"], readings["reason"]) == (False, reason)
    read(vitals, status(uptime_s=1061.0, **grown(1)), 61)
    assert read(vitals, status(uptime_s=1095.0, **grown(2)), 95)["ok"] is True


def test_how_long_the_cloud_is_away_counts_from_the_last_sign_of_it() -> None:
    vitals = Vitals("u", per_source=False)
    away = {"upload__state": "offline", "upload__last_error": "x", "upload__offline_s": 12.5}
    assert read(vitals, status(**away))["offline_s"] == 12.5
    assert read(vitals, status(), 60)["offline_s"] == 0


def test_each_source_has_its_own_readings_under_names_that_any_query_takes() -> None:
    sources = {"a.b": source(last_error="no bus"), "a b": source(), "Käse:1": source(state="gated")}
    readings = once(status(sources=sources), per_source=True)
    own = {key for key in readings if key.startswith("source_a_b_2_")}
    ends = ("ok", "state", "captured", "filtered", "missed", "errors", "dropped", "lateness_p99_ms")
    assert own == {f"source_a_b_2_{end}" for end in ends}
    assert (readings["source_a_b_ok"], readings["source_a_b_2_ok"]) == (False, True)
    assert readings["source_K_se_1_state"] == "gated"
    assert not [key for key in once(status(sources=sources)) if key.startswith("source_")]


def test_no_two_sources_share_a_prefix() -> None:
    ids = ["a", "a-b", "a_b", "a_b_2", "a b"]
    assert len(set(prefixes(ids))) == len(ids)


def test_reasons_are_short() -> None:
    readings = once(status(sources={f"s{n}": source(last_error="x" * 50) for n in range(20)}))
    assert len(readings["reason"]) == 240
    assert readings["reason"].endswith("…")
    assert Vitals("u", per_source=False).silent("gone\n  away") == {"ok": False, "reason": "u: gone away"}
