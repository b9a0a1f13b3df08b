"""How many lines trouble makes in the log."""

from __future__ import annotations

import logging

import pytest

from module.throttled_log import ThrottledLog

PERIOD_S = 0.0625


class Clock:
    """Stands still until a test moves it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttled(clock: Clock, caplog: pytest.LogCaptureFixture) -> ThrottledLog:
    caplog.set_level(logging.INFO)
    return ThrottledLog(logging.getLogger("courier"), clock)


def test_trouble_that_lasts_makes_a_line_a_minute_with_a_count(
    throttled: ThrottledLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(round(61 / PERIOD_S)):
        throttled.warning("imu", "no answer")
        clock.now += PERIOD_S
    assert caplog.messages == ["imu: no answer", "imu: no answer (and 959 more in the last 60 s)"]


def test_trouble_that_comes_and_goes_floods_nothing(
    throttled: ThrottledLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A sensor of which every other poll fails, for a minute."""
    for _ in range(round(61 / PERIOD_S / 2)):
        throttled.warning("imu", "no answer")
        clock.now += PERIOD_S
        throttled.recovered("imu", "captures again")
        clock.now += PERIOD_S
    assert len(caplog.messages) == 4
    assert caplog.messages[2] == "imu: no answer (and 479 more in the last 60 s)"


def test_trouble_that_comes_back_soon_and_stays_is_logged(
    throttled: ThrottledLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    throttled.warning("the cloud", "uploads wait")
    throttled.recovered("the cloud", "uploads work again")
    for _ in range(7):
        clock.now += 1
        throttled.warning("the cloud", "uploads wait")
    throttled.recovered("the cloud", "uploads work again")
    assert caplog.messages[2:] == [
        "the cloud: uploads wait (and 5 more in the last 6 s)",
        "the cloud: uploads work again",
    ]


def test_another_trouble_of_the_same_subject_is_logged_at_once(
    throttled: ThrottledLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The numbers in a text make it no other one."""
    throttled.warning("the cloud", "it cannot be reached after 3 ms")
    clock.now += 2
    throttled.warning("the cloud", "it cannot be reached after 5 ms")
    throttled.recovered("the cloud", "uploads work again")
    throttled.warning("the cloud", "this machine is refused")
    assert [text.partition(" (")[0] for text in caplog.messages] == [
        "the cloud: it cannot be reached after 3 ms",
        "the cloud: uploads work again",
        "the cloud: this machine is refused",
    ]


def test_the_end_of_a_trouble_that_nobody_read_of_is_not_logged(
    throttled: ThrottledLog, caplog: pytest.LogCaptureFixture
) -> None:
    throttled.recovered("imu", "captures again")
    assert caplog.messages == []


def test_a_line_names_its_subject_once(throttled: ThrottledLog, caplog: pytest.LogCaptureFixture) -> None:
    throttled.warning("imu", "imu: Readings failed with UNKNOWN: i2c")
    throttled.warning("left", "imu: Readings failed with UNKNOWN: i2c")
    assert caplog.messages == [
        "imu: Readings failed with UNKNOWN: i2c",
        "left: imu: Readings failed with UNKNOWN: i2c",
    ]
