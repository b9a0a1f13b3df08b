from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from module.collection.schedule import ActiveHours, Cron, Periodic, describe

NEW_YORK, BERLIN, LORD_HOWE = "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"

# When the clocks of 2024 are set, in UTC: New York and Berlin by an hour, Lord Howe by half of one.
SPRING = {NEW_YORK: "2024-03-10T07:00", BERLIN: "2024-03-31T01:00", LORD_HOWE: "2024-10-05T15:30"}
AUTUMN = {NEW_YORK: "2024-11-03T06:00", BERLIN: "2024-10-27T01:00", LORD_HOWE: "2024-04-06T15:00"}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(instant: datetime, zone: str) -> datetime:
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def firings(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """Return all that fires after ``start``, up to ``end``."""
    cron, found = Cron(expression, zone), []
    now = cron.next_after(start)
    while now <= end:
        assert now.tzinfo is UTC
        found.append(now)
        now = cron.next_after(now)
    return found


def local_firings(expression: str, zone: str, around: str) -> list[str]:
    """Return what the wall clock reads at each firing, with its offset, from 165 minutes before to as many after."""
    span = timedelta(minutes=165)
    found = firings(expression, zone, utc(around) - span, utc(around) + span)
    return [instant.astimezone(ZoneInfo(zone)).strftime("%H:%M:%S%z") for instant in found]


@given(
    st.floats(1e-3, 1e5),
    st.floats(0, 1e5),
    st.floats(-1e3, 1e8),
)
def test_a_periodic_tick_comes_strictly_after_now_and_within_a_period(period: float, phase: float, now: float) -> None:
    ticks = Periodic(period, phase)
    deadline = ticks.next_after(now)
    assert now < deadline <= (now + period) * (1 + 1e-9) + 1e-6
    assert ticks.next_after(deadline) > deadline
    assert ticks.next_after(math.nextafter(deadline, -math.inf)) == deadline
    following = ticks.next_after(deadline)
    assert ticks.after(deadline, deadline) == (following, 0)
    assert ticks.after(deadline, following) == (following, 0)
    assert ticks.after(deadline, now) == (following, 0)


@pytest.mark.parametrize("hz", [1000, 700, 3, 0.1])
def test_periodic_ticks_never_drift(hz: float) -> None:
    """Ten thousand ticks later the clock is where arithmetic says, not where the errors of so many sums led."""
    ticks, deadline = Periodic(1 / hz, 0.25), 86_400.25
    for _ in range(10_000):
        deadline = ticks.next_after(deadline)
    assert deadline == pytest.approx(86_400.25 + 10_000 / hz, abs=1e-6)


@pytest.mark.parametrize(
    ("periods", "skipped"), [(-10, 0), (0, 0), (0.99, 0), (1, 0), (1.49, 0), (1.5, 1), (2, 1), (9.9, 9), (10.5, 10)]
)
def test_a_tick_that_passed_less_than_half_a_period_ago_is_taken_late_and_those_before_are_skipped(
    periods: float, skipped: int
) -> None:
    ticks = Periodic(0.125, 0.5)
    taken = ticks.next_after(1000)
    assert ticks.after(taken, taken + periods * 0.125) == (taken + (skipped + 1) * 0.125, skipped)


@pytest.mark.parametrize(
    ("expression", "zone", "expected"),
    [
        # A reading that is left out fires once, right after.
        ("30 2 * * *", NEW_YORK, ["03:00:00-0400"]),
        ("30 2 * * *", BERLIN, ["03:00:00+0200"]),
        ("15 2 * * *", LORD_HOWE, ["02:30:00+1100"]),
        ("0 2 * * *", NEW_YORK, ["03:00:00-0400"]),
        ("0 2 * * *", LORD_HOWE, ["02:30:00+1100"]),
        # All that was left out comes to one firing, and joins what is due then anyway.
        ("0,15,30 2 * * *", NEW_YORK, ["03:00:00-0400"]),
        ("0 2,3 * * *", BERLIN, ["03:00:00+0200"]),
        ("0,15,30 2 * * *", LORD_HOWE, ["02:30:00+1100"]),
        # Six fields likewise, whatever the seconds.
        ("30 30 2 * * *", NEW_YORK, ["03:00:00-0400"]),
        ("*/20 30 2 * * *", BERLIN, ["03:00:00+0200"]),
        ("59 29 2 * * *", LORD_HOWE, ["02:30:00+1100"]),
        # What is not left out keeps its time.
        ("59 1 * * *", NEW_YORK, ["01:59:00-0500"]),
        ("0 3 * * *", NEW_YORK, ["03:00:00-0400"]),
        ("59 59 1 * * *", BERLIN, ["01:59:59+0100"]),
        ("30 2 * * *", LORD_HOWE, ["02:30:00+1100"]),
        ("45 2 * * *", LORD_HOWE, ["02:45:00+1100"]),
        # A pace goes on by real time.
        ("30 * * * *", NEW_YORK, [f"{hour}:30:00-0500" for hour in ("23", "00", "01")]
            + [f"{hour}:30:00-0400" for hour in ("03", "04", "05")]),
        ("0 */2 * * *", BERLIN, ["00:00:00+0100", "04:00:00+0200"]),
        ("*/30 2 * * *", NEW_YORK, []),
        ("*/30 3 * * *", BERLIN, ["03:00:00+0200", "03:30:00+0200"]),
        ("*/15 2 * * *", LORD_HOWE, ["02:30:00+1100", "02:45:00+1100"]),
        ("0 */15 1-3 * * *", LORD_HOWE, [f"01:{minute:02}:00+1030" for minute in (0, 15, 30, 45)]
            + ["02:30:00+1100", "02:45:00+1100"] + [f"03:{minute:02}:00+1100" for minute in (0, 15, 30, 45)]),
    ],
)  # fmt: skip
def test_cron_when_the_clock_is_put_forward(expression: str, zone: str, expected: list[str]) -> None:
    assert local_firings(expression, zone, SPRING[zone]) == expected


@pytest.mark.parametrize(
    ("expression", "zone", "expected"),
    [
        # A reading that comes twice fires the first time only.
        ("30 1 * * *", NEW_YORK, ["01:30:00-0400"]),
        ("30 2 * * *", BERLIN, ["02:30:00+0200"]),
        ("45 1 * * *", LORD_HOWE, ["01:45:00+1100"]),
        ("0 1 * * *", NEW_YORK, ["01:00:00-0400"]),
        ("30 1 * * *", LORD_HOWE, ["01:30:00+1100"]),
        ("0 1,2 * * *", NEW_YORK, ["01:00:00-0400", "02:00:00-0500"]),
        ("30 30 1 * * *", NEW_YORK, ["01:30:30-0400"]),
        ("*/20 59 2 * * *", BERLIN, ["02:59:00+0200", "02:59:20+0200", "02:59:40+0200"]),
        ("59 59 1 * * *", LORD_HOWE, ["01:59:59+1100"]),
        # What comes once keeps its time.
        ("0 2 * * *", NEW_YORK, ["02:00:00-0500"]),
        ("0 3 * * *", BERLIN, ["03:00:00+0100"]),
        ("15 1 * * *", LORD_HOWE, ["01:15:00+1100"]),
        ("0 2 * * *", LORD_HOWE, ["02:00:00+1030"]),
        # A pace goes on by real time.
        ("30 * * * *", NEW_YORK, [f"{hour}:30:00-0400" for hour in ("23", "00", "01")]
            + [f"{hour}:30:00-0500" for hour in ("01", "02", "03")]),
        ("0 */2 * * *", BERLIN, ["02:00:00+0200", "02:00:00+0100", "04:00:00+0100"]),
        ("*/15 1 * * *", LORD_HOWE, [f"01:{minute:02}:00+1100" for minute in (0, 15, 30, 45)]
            + ["01:30:00+1030", "01:45:00+1030"]),
    ],
)  # fmt: skip
def test_cron_when_the_clock_is_put_back(expression: str, zone: str, expected: list[str]) -> None:
    assert local_firings(expression, zone, AUTUMN[zone]) == expected


@pytest.mark.parametrize("zone", [NEW_YORK, BERLIN, LORD_HOWE])
@pytest.mark.parametrize("changes", [SPRING, AUTUMN])
@pytest.mark.parametrize(
    ("expression", "period"),
    [("* * * * * *", 1), ("*/10 * * * * *", 10), ("* * * * *", 60), ("*/5 * * * *", 300), ("*/30 * * * *", 1800)],
)
def test_a_pace_never_falters(zone: str, changes: dict[str, str], expression: str, period: int) -> None:
    start = utc(changes[zone]) - timedelta(seconds=period * 50)
    found = firings(expression, zone, start, start + timedelta(seconds=period * 100))
    assert found == [start + timedelta(seconds=period * tick) for tick in range(1, 101)]


@given(
    st.sampled_from([*((zone, SPRING[zone]) for zone in SPRING), *((zone, AUTUMN[zone]) for zone in AUTUMN)]),
    st.sets(st.integers(0, 59), min_size=1, max_size=4),
    st.sets(st.integers(0, 23), min_size=1, max_size=5),
    st.sampled_from(
        ["{minutes} {hours} * * *", "* {hours} * * *", "{minutes} * * * *", "{minutes} {hours} 3,7,10 * 0"]
    ),
    st.integers(-36 * 60, 36 * 60),
)
def test_cron_agrees_with_watching_the_clock(
    change: tuple[str, str], minutes: set[int], hours: set[int], pattern: str, start_minutes: int
) -> None:
    """Each minute of two days is looked at: that is slow, and too simple to be wrong."""
    zone, start = change[0], utc(change[1]) + timedelta(minutes=start_minutes)
    expression = pattern.format(minutes=",".join(map(str, minutes)), hours=",".join(map(str, hours)))
    is_pace = "*" in expression.split()[:2]
    any_hour, any_minute = pattern.split()[1] == "*", pattern.startswith("*")

    def matches(reading: datetime) -> bool:
        day_fits = "3,7,10" not in pattern or reading.day in (3, 7, 10) or reading.weekday() == 6
        return day_fits and (any_minute or reading.minute in minutes) and (any_hour or reading.hour in hours)

    expected: list[datetime] = []
    # The latest reading so far: what lies before it has had its firing. The watch begins before any of it counts.
    latest = wall(start - timedelta(hours=30), zone)
    for step in range(-30 * 60 + 1, 24 * 60 + 1):
        instant = start + timedelta(minutes=step)
        reading = wall(instant, zone)
        new = [latest + timedelta(minutes=more) for more in range(1, (reading - latest) // timedelta(minutes=1) + 1)]
        if step > 0 and (matches(reading) if is_pace else any(map(matches, new))):
            expected.append(instant)
        latest = max(latest, reading)
    assert firings(expression, zone, start, start + timedelta(hours=24)) == expected


@pytest.mark.parametrize(
    ("expression", "zone", "now", "expected"),
    [
        ("0 0 * * *", "UTC", "2024-01-01T00:00", "2024-01-02T00:00"),
        ("0 0 * * *", "UTC", "2024-01-01T23:59:59.999999", "2024-01-02T00:00"),
        ("* * * * * *", "UTC", "2024-01-01T00:00:00.000001", "2024-01-01T00:00:01"),
        ("0 12 29 2 *", NEW_YORK, "2024-03-01T00:00", "2028-02-29T17:00"),
        ("* 12 29 2 *", NEW_YORK, "2024-03-01T00:00", "2028-02-29T17:00"),
        ("0 9 * * mon-fri", BERLIN, "2024-06-07T08:00", "2024-06-10T07:00"),
        ("0 0 L * *", BERLIN, "2024-02-01T00:00", "2024-02-28T23:00"),
        # The next match by the wall clock alone lies months ahead, but the hour comes again first.
        ("*/20 1 3 6,11 *", NEW_YORK, "2024-11-03T05:50", "2024-11-03T06:00"),
        # Half a second before a change, the reading of the second after is already another.
        ("* 2 * * *", NEW_YORK, "2024-03-10T06:59:59.500000", "2024-03-11T06:00"),
        # A whole day was left out on these islands.
        ("0 9 30 12 *", "Pacific/Apia", "2011-12-30T00:00", "2011-12-30T10:00"),
        ("*/30 9 31 12 *", "Pacific/Apia", "2011-12-20T00:00", "2011-12-30T19:00"),
    ],
)
def test_cron_fires_at_the_next_time_strictly_after(expression: str, zone: str, now: str, expected: str) -> None:
    assert Cron(expression, zone).next_after(utc(now)) == utc(expected)
    assert Cron(expression, zone).next_after(utc(now).astimezone(ZoneInfo("Asia/Kolkata"))) == utc(expected)


@pytest.mark.parametrize(
    ("expression", "zone"),
    [("* * * *", "UTC"), ("61 * * * *", "UTC"), ("0 0 30 2 *", "UTC"), ("* * * * *", "Mars/Base")],
)
def test_a_cron_that_cannot_be_is_refused(expression: str, zone: str) -> None:
    with pytest.raises(ValueError, match="allowed is"):
        Cron(expression, zone)


def test_a_source_without_windows_is_always_open() -> None:
    hours = ActiveHours([], "UTC")
    assert hours.open_at(utc("2024-01-01T03:00"))
    assert hours.next_change(utc("2024-01-01T03:00")) is None


@pytest.mark.parametrize(
    ("windows", "now", "is_open", "change"),
    [
        (["08:00-18:00"], "2024-06-03T07:59:59.9", False, "2024-06-03T08:00"),
        (["08:00-18:00"], "2024-06-03T08:00", True, "2024-06-03T18:00"),
        (["08:00-18:00"], "2024-06-03T18:00", False, "2024-06-04T08:00"),
        (["mon-fri 08:00-18:00"], "2024-06-07T18:00", False, "2024-06-10T08:00"),
        (["mon-fri 08:00-18:00"], "2024-06-08T09:00", False, "2024-06-10T08:00"),
        (["22:00-02:00"], "2024-06-03T23:00", True, "2024-06-04T02:00"),
        (["22:00-02:00"], "2024-06-03T01:59", True, "2024-06-03T02:00"),
        (["22:00-02:00"], "2024-06-03T02:00", False, "2024-06-03T22:00"),
        # 2024-06-07 is a Friday, and its window runs into Saturday; Friday's early hours are Thursday's.
        (["fri 22:00-02:00"], "2024-06-07T23:00", True, "2024-06-08T02:00"),
        (["fri 22:00-02:00"], "2024-06-08T01:00", True, "2024-06-08T02:00"),
        (["fri 22:00-02:00"], "2024-06-07T01:00", False, "2024-06-07T22:00"),
        (["fri 22:00-02:00"], "2024-06-08T22:30", False, "2024-06-14T22:00"),
        (["sun 22:00-02:00"], "2024-06-10T01:00", True, "2024-06-10T02:00"),
        (["08:00-12:00", "11:00-14:00"], "2024-06-03T09:00", True, "2024-06-03T14:00"),
        (["08:00-12:00", "12:00-14:00"], "2024-06-03T09:00", True, "2024-06-03T14:00"),
        (["20:00-24:00", "00:00-03:00"], "2024-06-03T21:00", True, "2024-06-04T03:00"),
        (["00:00-24:00"], "2024-06-03T21:00", True, None),
        (["mon-fri 00:00-24:00"], "2024-06-03T21:00", True, "2024-06-08T00:00"),
    ],
)
def test_windows_open_and_close(windows: list[str], now: str, is_open: bool, change: str | None) -> None:
    hours = ActiveHours(windows, "UTC")
    assert hours.open_at(utc(now)) is is_open
    assert hours.next_change(utc(now)) == (utc(change) if change else None)


@pytest.mark.parametrize(
    ("window", "zone", "opens", "closes"),
    [
        ("22:00-04:00", NEW_YORK, "2024-03-10T03:00", "2024-03-10T08:00"),
        ("22:00-04:00", NEW_YORK, "2024-11-03T02:00", "2024-11-03T09:00"),
        ("01:00-02:30", BERLIN, "2024-03-31T00:00", "2024-03-31T01:00"),
        ("02:30-04:00", BERLIN, "2024-03-31T01:00", "2024-03-31T02:00"),
        ("02:00-03:00", BERLIN, "2024-10-27T00:00", "2024-10-27T02:00"),
        ("02:15-04:00", LORD_HOWE, "2024-10-05T15:30", "2024-10-05T17:00"),
        ("01:00-02:00", LORD_HOWE, "2024-04-06T14:00", "2024-04-06T15:30"),
        # In the hour that comes twice it opens twice.
        ("02:00-02:30", BERLIN, "2024-10-27T00:00", "2024-10-27T00:30"),
        ("02:00-02:30", BERLIN, "2024-10-27T01:00", "2024-10-27T01:30"),
        # In the hour that is left out it does not open at all.
        ("sun 02:00-02:30", BERLIN, "2024-03-24T01:00", "2024-03-24T01:30"),
        ("sun 02:00-02:30", BERLIN, "2024-04-07T00:00", "2024-04-07T00:30"),
    ],
)
def test_windows_follow_the_wall_clock_through_its_changes(window: str, zone: str, opens: str, closes: str) -> None:
    hours = ActiveHours([window], zone)
    assert not hours.open_at(utc(opens) - timedelta(seconds=1))
    assert hours.next_change(utc(opens) - timedelta(seconds=1)) == utc(opens)
    assert hours.next_change(utc(opens)) == utc(closes)
    assert hours.open_at(utc(closes) - timedelta(seconds=1))
    assert not hours.open_at(utc(closes))


def test_a_window_that_a_change_swallows_opens_the_week_after() -> None:
    hours = ActiveHours(["sun 02:00-02:30"], BERLIN)
    assert hours.next_change(utc("2024-03-24T01:30")) == utc("2024-04-07T00:00")


TIMES = st.integers(0, 1439)


@given(
    st.lists(st.tuples(st.sampled_from(["", "sat ", "sun ", "fri-mon "]), TIMES, TIMES), min_size=1, max_size=3),
    st.sampled_from([*((zone, SPRING[zone]) for zone in SPRING), *((zone, AUTUMN[zone]) for zone in AUTUMN)]),
    st.integers(-24 * 60, 24 * 60),
)
def test_the_next_change_is_the_first_minute_that_answers_differently(
    given_windows: list[tuple[str, int, int]], change: tuple[str, str], start_minutes: int
) -> None:
    clock = "{}{:02}:{:02}-{:02}:{:02}"
    windows = [clock.format(days, *divmod(a, 60), *divmod(b, 60)) for days, a, b in given_windows if a != b]
    hours = ActiveHours(windows, change[0])
    now = utc(change[1]) + timedelta(minutes=start_minutes)
    answers = [hours.open_at(now + timedelta(minutes=step)) for step in range(24 * 60)]
    found = hours.next_change(now)
    if answers.count(answers[0]) == len(answers):
        assert found is None or found >= now + timedelta(days=1)
    else:
        assert found == now + timedelta(minutes=answers.index(not answers[0]))


@pytest.mark.parametrize("zone", ["UTC", NEW_YORK, BERLIN, LORD_HOWE])
def test_windows_in_words_of_no_zone_are_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="is no window"):
        ActiveHours(["25:00-26:00"], zone)


def test_a_schedule_reads_as_words() -> None:
    assert describe(capture_frequency_hz=10.0) == "10 Hz"
    assert describe(capture_frequency_hz=0.5) == "0.5 Hz"
    assert describe(interval_s=5.0) == "every 5 s"
    assert describe(interval_s=86_400.5) == "every 86400.5 s"
    assert describe(cron="*/5 * * * *") == "cron */5 * * * * UTC"
    assert describe(cron="0 9 * * *", timezone=BERLIN) == "cron 0 9 * * * Europe/Berlin"
    assert describe() == "on demand"
