from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from module.attributes.uploader import UploadConfig, parse
from module.collection.schedule import ActiveHours
from module.delivery.upload_windows import STALE_S, Permit, Ruling, Standing

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
CLOUD = {"part_id": "p", "api_key_id": "i", "api_key": "k"}


@dataclass
class Sensor:
    """What a watch of a sensor knows."""

    holds: bool | None = None
    problem: str | None = None
    answered_s: float | None = None


def config_of(upload: Mapping[str, Any]) -> UploadConfig:
    attributes = {"upload": dict(upload), "cloud": CLOUD, "spool": {"directory": "/spool"}}
    return parse(attributes, service="s", environ={}).upload


def permit_of(sensor: Sensor | None = None, **upload: Any) -> Permit:
    config = config_of(upload)
    hours = ActiveHours(config.active_hours, config.timezone) if config.active_hours else None
    return Permit(config, hours, sensor)


def ruling(permit: Permit, now: datetime = NOON, monotonic_s: float = 100.0, *, paused: bool = False) -> Ruling:
    return permit.ruling(now, monotonic_s, paused=paused)


def only_when(sensor: Sensor, **condition: Any) -> Permit:
    return permit_of(sensor, only_when={"sensor": "wifi", "key": "connected", **condition})


FREE = Ruling(Standing.FREE, None, math.inf)


def test_without_rules_uploads_are_free() -> None:
    assert ruling(permit_of()) == FREE


def test_what_is_paused_says_by_what() -> None:
    """The configuration stands before the command: ``resume`` would not help."""
    by_command = ruling(permit_of(), paused=True)
    assert by_command.standing is Standing.PAUSED
    assert "pause" in str(by_command.reason)
    by_config = ruling(permit_of(disabled=True), paused=True)
    assert by_config.standing is Standing.PAUSED
    assert by_config.reason == "upload.disabled is true"


def test_a_pause_stands_before_what_rests() -> None:
    permit = permit_of(Sensor(), active_hours=["00:00-01:00"], only_when={"sensor": "wifi", "key": "connected"})
    assert ruling(permit, paused=True).standing is Standing.PAUSED
    assert "active_hours" in str(ruling(permit).reason)
    assert "only_when" in str(ruling(permit, NOON.replace(hour=0)).reason)


class TestHours:
    """``upload.active_hours``."""

    def test_within_a_window_uploads_are_free(self) -> None:
        assert ruling(permit_of(active_hours=["11:00-13:00"])) == FREE

    def test_outside_the_reason_names_the_windows_their_zone_and_the_opening_in_utc(self) -> None:
        permit = permit_of(active_hours=["22:00-06:00", "sun 10:00-11:00"], timezone="Europe/Berlin")
        assert ruling(permit) == Ruling(
            Standing.RESTING,
            "outside upload.active_hours 22:00-06:00, sun 10:00-11:00 Europe/Berlin, opens at 2026-07-01T20:00:00Z",
            30.0,
        )

    def test_the_next_look_is_at_the_opening_if_that_is_soon(self) -> None:
        permit = permit_of(active_hours=["13:00-14:00"])
        assert ruling(permit, NOON.replace(minute=59, second=57)).look_again_s == 3.0
        assert ruling(permit, NOON.replace(hour=13)) == FREE
        closed = ruling(permit, NOON.replace(hour=14))
        assert closed.standing is Standing.RESTING
        assert "2026-07-02T13:00:00Z" in str(closed.reason)

    @pytest.mark.parametrize("step", [timedelta(hours=-5), timedelta(days=-3), timedelta(hours=9)])
    def test_a_clock_that_is_set_moves_the_opening(self, step: timedelta) -> None:
        """What is remembered of a closed window holds only for the stretch that it was found for."""
        permit, fresh = permit_of(active_hours=["13:00-14:00"]), permit_of(active_hours=["13:00-14:00"])
        ruling(permit)
        assert ruling(permit, NOON + step) == ruling(fresh, NOON + step)

    def test_the_opening_is_worked_out_once_while_a_window_is_closed(self) -> None:
        class Counting(ActiveHours):
            asked = 0

            def next_change(self, now: datetime) -> datetime | None:
                self.asked += 1
                return super().next_change(now)

        hours = Counting(["13:00-14:00"], "UTC")
        permit = Permit(config_of({"active_hours": ["13:00-14:00"]}), hours)
        for second in range(50):
            ruling(permit, NOON + timedelta(seconds=second))
        assert hours.asked == 1


class TestSensor:
    """``upload.only_when``."""

    def test_uploads_wait_for_the_first_answer(self) -> None:
        assert ruling(only_when(Sensor())) == Ruling(
            Standing.RESTING, "upload.only_when: wifi has not answered yet", math.inf
        )

    def test_a_sensor_that_is_not_there_is_said_to_be_missing(self) -> None:
        missing = Sensor(problem="this machine has no wifi, or it is not ready")
        assert ruling(only_when(missing)).reason == ("upload.only_when: this machine has no wifi, or it is not ready")

    def test_while_it_holds_uploads_are_free(self) -> None:
        assert ruling(only_when(Sensor(holds=True, problem=None, answered_s=99.5))) == FREE

    @pytest.mark.parametrize(
        ("condition", "words"),
        [
            ({}, "wifi.connected is not true"),
            ({"equals": "home"}, 'wifi.connected is not "home"'),
            ({"equals": None}, "wifi.connected is not null"),
            ({"not_equals": "roaming"}, 'wifi.connected is "roaming"'),
            ({"above": 20}, "wifi.connected is not above 20"),
            ({"below": -1.5}, "wifi.connected is not below -1.5"),
        ],
    )
    def test_while_it_does_not_the_reason_is_the_condition_in_words(
        self, condition: dict[str, Any], words: str
    ) -> None:
        found = ruling(only_when(Sensor(holds=False, problem=None, answered_s=99.5), **condition))
        assert (found.standing, found.reason) == (Standing.RESTING, f"upload.only_when: {words}")

    def test_a_sensor_that_fails_is_believed_for_three_polls(self) -> None:
        failing = Sensor(holds=True, problem="wifi: Readings failed with UNAVAILABLE: gone", answered_s=100.0)
        assert ruling(only_when(failing), monotonic_s=100.0 + STALE_S) == FREE
        found = ruling(only_when(failing), monotonic_s=100.1 + STALE_S)
        assert found.standing is Standing.RESTING
        assert found.reason == "upload.only_when: wifi: Readings failed with UNAVAILABLE: gone"

    def test_a_sensor_that_is_slow_but_answers_is_believed(self) -> None:
        """Whatever it said."""
        slow = Sensor(holds=False, problem=None, answered_s=91.0)
        assert ruling(only_when(slow), monotonic_s=100.0).standing is Standing.RESTING
        assert ruling(only_when(Sensor(holds=True, problem=None, answered_s=91.0)), monotonic_s=100.0) == FREE

    def test_a_sensor_that_fails_frees_nothing(self) -> None:
        """It said no, and what it would say now is not known."""
        failing = Sensor(holds=False, problem="wifi: no answer", answered_s=100.0)
        assert "connected is not true" in str(ruling(only_when(failing), monotonic_s=101.0).reason)
        assert "no answer" in str(ruling(only_when(failing), monotonic_s=200.0).reason)


def test_a_clock_that_is_not_set_holds_uploads_before_their_hours_are_asked() -> None:
    """Hours by a clock that is not set mean nothing; what a person has said stands before it."""
    hours = ActiveHours(("13:00-14:00",), "UTC")
    permit = Permit(
        config_of({"active_hours": ["13:00-14:00"]}), hours, clock=lambda at: None if at > 60 else "not set"
    )
    assert ruling(permit, monotonic_s=60) == Ruling(Standing.RESTING, "not set", 1.0)
    assert ruling(permit, monotonic_s=60, paused=True).standing is Standing.PAUSED
    assert "outside upload.active_hours" in str(ruling(permit, monotonic_s=61).reason)
