"""Cron through both changes of the clock, beside the cron library, which follows Debian's rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from module.collection.schedule import Cron

CHANGES = [
    ("America/New_York", "2024-03-10T07:00"),
    ("America/New_York", "2024-11-03T06:00"),
    ("Europe/Berlin", "2024-03-31T01:00"),
    ("Europe/Berlin", "2024-10-27T01:00"),
    ("Australia/Lord_Howe", "2024-10-05T15:30"),
    ("Australia/Lord_Howe", "2024-04-06T15:00"),
]
READINGS = [
    "0 2 * * *",
    "15 2 * * *",
    "30 2 * * *",
    "30 1 * * *",
    "45 1 * * *",
    "59 1 * * *",
    "0 3 * * *",
    "5,35 1,2,3 * * *",
]
PACES = ["*/10 * * * *", "30 * * * *", "*/15 2 * * *", "0 */2 * * *"]
SPAN = timedelta(minutes=165)


def _ours(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    cron, found = Cron(expression, zone), []
    at = cron.next_after(start)
    while at <= end:
        found.append(at)
        at = cron.next_after(at)
    return found


def _the_librarys(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    found = []
    for at in CronSim(expression, start.astimezone(ZoneInfo(zone))):
        if at.astimezone(UTC) > end:
            break
        found.append(at.astimezone(UTC))
    return found


@pytest.mark.parametrize(
    ("zone", "change", "expression"),
    [
        (zone, change, expression)
        for zone, change in CHANGES
        # The library steps by whole hours, and so leaves paces out where the clock moves by half of one.
        for expression in READINGS + (PACES[:1] if zone == "Australia/Lord_Howe" else PACES)
    ],
)
def test_five_fields_fire_when_the_cron_library_says(zone: str, change: str, expression: str) -> None:
    around = datetime.fromisoformat(change).replace(tzinfo=UTC)
    span = (around - SPAN, around + SPAN)
    assert _ours(expression, zone, *span) == _the_librarys(expression, zone, *span)


@pytest.mark.parametrize(
    ("expression", "change", "fires"),
    [
        ("30 * * * *", "2024-10-05T15:30", "01:30+1030 02:30+1100 03:30+1100"),
        ("30 * * * *", "2024-04-06T15:00", "01:30+1100 01:30+1030 02:30+1030"),
        ("0 */2 * * *", "2024-04-06T15:00", "02:00+1030"),
    ],
)
def test_a_pace_leaves_nothing_out_where_the_clock_moves_by_half_an_hour(
    expression: str, change: str, fires: str
) -> None:
    around = datetime.fromisoformat(change).replace(tzinfo=UTC)
    found = _ours(expression, "Australia/Lord_Howe", around - timedelta(minutes=70), around + timedelta(minutes=95))
    assert " ".join(at.astimezone(ZoneInfo("Australia/Lord_Howe")).strftime("%H:%M%z") for at in found) == fires
