"""Findings → an uploader's attributes: rates, a budget, and what gave nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from module.attributes.uploader import parse
from module.discovery.proposal import DAY_S, LADDER_S, Finding, Proposal, amount, propose

SENSOR, CAMERA = "rdk:component:sensor", "rdk:component:camera"
ENVIRON = {"VIAM_MODULE_DATA": "/data", "VIAM_MACHINE_PART_ID": "p", "VIAM_API_KEY_ID": "i", "VIAM_API_KEY": "k"}


def sensor(name: str = "s", **known: Any) -> Finding:
    return Finding(
        name, SENSOR, "Readings", **{"answers": 1, "size": 100, "took_s": 0.01, "gives": "2 values", **known}
    )


def camera(name: str = "c", **known: Any) -> Finding:
    return Finding(name, CAMERA, "GetImages", **{"answers": 1, "size": 100_000, "took_s": 0.1, "gives": "x", **known})


def made(*findings: Finding, budget: int = 1_000_000_000, cloud: bool = True, others: Sequence[str] = ()) -> Proposal:
    names = [*(each.name for each in findings), *others]
    proposal = propose(findings, names=names, health="health", daily_budget_bytes=budget, cloud_is_known=cloud)
    parse(proposal.attributes, service="courier", environ=ENVIRON if cloud else {"VIAM_MODULE_DATA": "/data"})
    return proposal


def test_small_readings_are_polled_each_second_and_images_share_what_is_left() -> None:
    proposal = made(sensor(), camera("a"), camera("b", size=400_000))
    assert proposal.periods_s[SENSOR, "s"] == 1
    assert proposal.bytes_per_day <= 1_000_000_000
    a, b = (size * DAY_S / proposal.periods_s[CAMERA, name] for name, size in (("a", 100_000), ("b", 400_000)))
    assert 0.3 < a / b < 3


@pytest.mark.parametrize("budget", [2_000_000, 20_000_000, 300_000_000, 5_000_000_000, 10**12])
def test_the_budget_is_kept_and_no_rung_more_is_given_away(budget: int) -> None:
    findings = [camera(f"c{n}", size=50_000 * (n + 1)) for n in range(3)]
    proposal = made(*findings, budget=budget)
    assert proposal.bytes_per_day <= budget
    slowest = max(proposal.periods_s.values())
    if slowest > 1:
        faster = LADDER_S[LADDER_S.index(slowest) - 1]
        (key,) = [key for key, period_s in proposal.periods_s.items() if period_s == slowest][-1:]
        size = next(each.size for each in findings if (each.api, each.name) == key)
        assert proposal.bytes_per_day + size * DAY_S * (1 / faster - 1 / slowest) > budget * 0.6


def test_a_budget_that_nothing_fits_is_reported() -> None:
    proposal = made(camera(size=10**9), budget=10_000_000)
    assert proposal.periods_s[CAMERA, "c"] == DAY_S
    assert "which one poll a day of each would exceed" in proposal.attributes["comment"]


def test_what_answers_slowly_is_not_asked_faster_than_it_can() -> None:
    assert made(sensor(took_s=0.6)).periods_s[SENSOR, "s"] == 2
    assert made(sensor(took_s=4.0)).periods_s[SENSOR, "s"] == 10
    assert made(sensor(took_s=50_000.0)).periods_s[SENSOR, "s"] == DAY_S


def test_large_readings_give_way_as_images_do() -> None:
    assert made(sensor(size=1_000_000)).periods_s[SENSOR, "s"] > 60


def test_what_gave_nothing_is_disabled_with_the_reason() -> None:
    attributes = made(sensor(), Finding("bad", CAMERA, problem="no answer")).attributes
    assert attributes["sources"][1] == {"name": "bad", "disabled": True, "comment": "no answer"}
    assert "disabled, because they returned nothing: 1 of 2" in attributes["comment"]


def test_the_ids_of_two_resources_of_one_name_are_those_of_no_other() -> None:
    findings = [sensor("front"), sensor("front-camera"), sensor("front-camera-2"), camera("front")]
    sources = made(*findings).attributes["sources"]
    assert [source.get("id", source["name"]) for source in sources] == [
        "front-sensor",
        "front-camera",
        "front-camera-2",
        "front-camera-3",
        "health",
    ]


def test_a_name_that_another_resource_has_too_is_told_apart_by_the_api() -> None:
    """viam-server passes neither of the two by the name alone, whatever the other one is, e.g. a vision service."""
    front, back = made(camera("front"), camera("back"), others=["front"]).attributes["sources"][:2]
    assert (front["api"], front.get("id")) == (CAMERA, None)
    assert "api" not in back


def test_the_health_sensor_is_captured_each_minute() -> None:
    (health,) = made().attributes["sources"]
    assert (health["name"], health["interval_s"]) == ("health", 60)


def test_without_a_cloud_uploads_are_disabled() -> None:
    attributes = made(sensor(), cloud=False).attributes
    assert attributes["upload"] == {"disabled": True}
    assert "upload" not in made(sensor()).attributes


@pytest.mark.parametrize(
    ("size", "words"),
    [
        *((0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (99_400, "99.4 kB"), (99_600, "100 kB")),
        *((999_400, "999 kB"), (999_600, "1.0 MB"), (2.5e9, "2.5 GB"), (7e15, "7000 TB")),
    ],
)
def test_amounts_read_well(size: float, words: str) -> None:
    assert amount(size) == words
