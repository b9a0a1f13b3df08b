"""Which texts tell time, and how the others are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from module.attributes.timetable import BadTimeText, Window, check_cron, parse_timezone, parse_windows

EVERY_DAY = frozenset(range(7))


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("08:00-18:00", Window(EVERY_DAY, 480, 1080)),
        ("8:00-9:30", Window(EVERY_DAY, 480, 570)),
        ("22:00-02:00", Window(EVERY_DAY, 1320, 120)),
        ("00:00-24:00", Window(EVERY_DAY, 0, 1440)),
        ("18:00-00:00", Window(EVERY_DAY, 1080, 0)),
        ("mon-fri 08:00-18:00", Window(frozenset({0, 1, 2, 3, 4}), 480, 1080)),
        ("sun 23:59-00:01", Window(frozenset({6}), 1439, 1)),
        ("fri-mon 08:00-18:00", Window(frozenset({4, 5, 6, 0}), 480, 1080)),
        ("sat,sun 08:00-18:00", Window(frozenset({5, 6}), 480, 1080)),
        ("mon-tue,sun 08:00-18:00", Window(frozenset({0, 1, 6}), 480, 1080)),
        ("tue-tue 08:00-18:00", Window(frozenset({1}), 480, 1080)),
        ("  MON-Fri   08:00 - 18:00 ", Window(frozenset({0, 1, 2, 3, 4}), 480, 1080)),
    ],
)
def test_a_window_is_read(text: str, window: Window) -> None:
    assert parse_windows([text]) == (window,)


def test_windows_keep_their_order_and_none_is_none() -> None:
    assert parse_windows([]) == ()
    assert [window.start for window in parse_windows(["10:00-11:00", "08:00-09:00"])] == [600, 480]


@pytest.mark.parametrize(
    "text",
    [
        *("", "08:00", "08:00-", "-18:00", "08-18", "25:00-26:00", "08:60-09:00", "08:00-09:60", "24:00-25:00"),
        *("24:00-02:00", "00:00-24:01", "08:00-08:00", "0800-1800", "08:00-18:00 mon", "mon08:00-18:00", "08:0-9:00"),
        *("- 08:00-18:00", "mon- 08:00-18:00", "-fri 08:00-18:00", "mon,, 08:00-18:00", "monday 08:00-18:00"),
        *("mon-wed-fri 08:00-18:00", "xyz 08:00-18:00", "mon-xyz 08:00-18:00", "\u06608:00-18:00", "08:00-18:00-20:00"),
    ],
)
def test_what_is_no_window_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no window; allowed is e\.g\. \"08:00-18:00\""):
        parse_windows(["08:00-18:00", text])


def test_a_refusal_quotes_the_text_shortened() -> None:
    with pytest.raises(BadTimeText) as refusal:
        parse_windows(["25:00-26:00"])
    expected = "'25:00-26:00' is no window; allowed is " + refusal.value.allowed
    assert str(refusal.value) == expected
    with pytest.raises(BadTimeText) as refusal:
        parse_windows(["x" * 10_000])
    assert len(str(refusal.value)) < 250


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Chatham"])
def test_a_zone_is_found_by_its_iana_name(name: str) -> None:
    assert parse_timezone(name).key == name


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "Europe", "../etc/passwd", "/etc/localtime", "a\0b", "é", "x" * 300]
)
def test_what_is_no_zone_is_refused_whatever_the_file_system_says(name: str) -> None:
    with pytest.raises(ValueError, match=r'is no time zone; allowed is an IANA name, e\.g\. "UTC"'):
        parse_timezone(name)


@pytest.mark.parametrize(
    "text",
    [
        *("* * * * *", "* * * * * *", "*/5 * * * *", "0 0 29 2 *", "0 9-17/2 * * MON-FRI", "0,30 1,2 1 jan sun"),
        *("0 0 L * *", "0 0 LW * *", "0 0 * * 5L", "0 0 * * MON#2", "0 0 31 2 MON", "30 */5 * * * 7", "  0  0 1 1 * "),
    ],
)
def test_a_cron_expression_of_five_or_six_fields_is_taken(text: str) -> None:
    check_cron(text, "Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "field", "allowed"),
    [
        ("61 * * * *", "'61' for the minute", "0-59"),
        ("* 24 * * *", "'24' for the hour", "0-23"),
        ("* * 0 * *", "'0' for the day of month", "1-31"),
        ("* * * 13 *", "'13' for the month", "1-12 or JAN-DEC"),
        ("* * * * 8", "'8' for the day of week", "0-7 or SUN-SAT"),
        ("60 * * * * *", "'60' for the second", "0-59"),
        ("* 60 * * * *", "'60' for the minute", "0-59"),
        ("* * * * * MON#6", "'MON#6' for the day of week", "MON#2"),
        ("*/0 * * * *", "'*/0' for the minute", "steps"),
        ("5-1 * * * *", "'5-1' for the minute", "ranges"),
        ("a * * * *", "'a' for the minute", "0-59"),
        ("² * * * *", "'²' for the minute", "0-59"),
    ],
)
def test_a_cron_error_names_the_field(text: str, field: str, allowed: str) -> None:
    with pytest.raises(BadTimeText) as refusal:
        check_cron(text, "UTC")
    assert field in str(refusal.value)
    assert allowed in refusal.value.allowed
    assert "Bad" not in str(refusal.value)


@pytest.mark.parametrize("text", ["", "* * * *", "* * * * * * *", "@daily", "* " * 600])
def test_the_refusal_of_a_cron_expression_lists_the_fields(text: str) -> None:
    with pytest.raises(ValueError, match=r"allowed is 5 fields \(minute, hour, .*\) or 6 \(second first\)"):
        check_cron(text, "UTC")


@pytest.mark.parametrize("text", ["0 0 31 2 *", "0 0 30 2 */2", "0 0 31 4,6 *", "0 0 */15 2 MON#5"])
def test_a_cron_expression_that_matches_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="never fires"):
        check_cron(text, "UTC")


def test_a_cron_expression_is_refused_for_its_zone() -> None:
    with pytest.raises(ValueError, match="is no time zone"):
        check_cron("* * * * *", "Mars/Olympus")


@given(st.text(alphabet="*/-,LW#15 MONJA039²+_", max_size=40))
def test_whatever_is_no_cron_expression_is_refused_in_our_words(text: str) -> None:
    """No exception of the cron library ever comes through."""
    try:
        check_cron(text, "UTC")
    except BadTimeText as refusal:
        assert "allowed is" in str(refusal)  # noqa: PT017  either outcome is right
