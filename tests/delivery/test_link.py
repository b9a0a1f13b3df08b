"""The one view of the network, on a clock that the tests hand in."""

from __future__ import annotations

import math

import pytest

from module.delivery.backoff import Backoff
from module.delivery.link import Link, State


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> Link:
    """A link whose dice always fall on the longest delay."""
    monkeypatch.setattr(Backoff, "delay", lambda self, attempt, most_s=math.inf: min(most_s, self.ceiling(attempt)))
    return Link(Backoff(1, 100))


def test_one_upload_finds_out_what_the_link_is(link: Link) -> None:
    assert (link.state, link.slots(8), link.wait(0)) == (State.UNKNOWN, 1, 0)
    assert link.worked()
    assert (link.state, link.slots(8), link.wait(0)) == (State.ONLINE, 8, 0)
    assert not link.worked()


def test_probes_come_later_and_later(link: Link) -> None:
    waits = []
    for now in range(0, 2000, 200):
        assert link.failed(now, link.epoch, "gone") is (now == 0)
        waits.append(link.wait(now))
    assert waits == [1, 2, 4, 8, 16, 32, 64, 100, 100, 100]
    assert (link.state, link.slots(8), link.last_error) == (State.OFFLINE, 1, "gone")
    assert link.wait(99_999) == 0


def test_a_probe_is_never_further_off_than_an_eighth_of_the_outage(link: Link) -> None:
    """Or five seconds: whoever was cut off for a minute is back within seconds."""
    link.worked()
    now, waits = 1000.0, []
    while now < 1060:
        link.failed(now, link.epoch, "gone")
        waits.append(link.wait(now))
        now += waits[-1]
    assert waits[:5] == [1, 2, 4, 5, 5]
    assert max(waits) <= 60 / 8
    link.failed(1400, link.epoch, "gone")
    assert link.wait(1400) == pytest.approx(50)
    for _ in range(20):
        link.worked()
    link.failed(2000, link.epoch, "again")
    assert link.wait(2000) == 1


def test_an_outage_that_ends_in_a_refusal_and_goes_on_is_one(link: Link) -> None:
    link.failed(0, link.epoch, "gone")
    link.refused(100, link.epoch, "not you")
    for _ in range(8):
        link.failed(200, link.epoch, "gone")
    assert link.wait(200) == 25


def test_each_success_opens_the_way_for_one_more_and_forgives_a_try(link: Link) -> None:
    """A cloud that has room for a part of its fleet is not taken by storm."""
    for now in range(5):
        link.failed(now, link.epoch, "gone")
    assert [link.worked() for _ in range(4)] == [True, False, False, False]
    assert (link.state, link.slots(8), link.wait(4), link.last_error) == (State.ONLINE, 4, 0, None)
    link.failed(10, link.epoch, "again")
    assert link.wait(10) == 2
    for _ in range(20):
        link.worked()
    assert link.slots(8) == 8


def test_uploads_that_fail_together_count_as_one(link: Link) -> None:
    link.worked()
    epoch = link.epoch
    assert [link.failed(5, epoch, f"upload {n}") for n in range(8)] == [True] + [False] * 7
    assert (link.wait(5), link.last_error) == (1, "upload 0")


def test_a_late_failure_does_not_close_a_way_that_was_opened_since(link: Link) -> None:
    link.worked()
    epoch = link.epoch
    link.failed(0, epoch, "one")
    link.worked()
    assert not link.failed(1, epoch, "begun before")
    assert not link.refused(1, epoch, "begun before")
    assert link.state is State.ONLINE


def test_who_is_refused_asks_slowly_from_the_first_try_on(link: Link) -> None:
    assert link.refused(0, link.epoch, "no such key")
    assert (link.state, link.slots(8), link.last_error) == (State.REFUSED, 1, "no such key")
    assert 50 <= link.wait(0) <= 100
    assert not link.refused(60, link.epoch, "no such key")
    assert 50 <= link.wait(60) <= 100


def test_a_refusal_after_an_outage_is_news_and_the_other_way_round(link: Link) -> None:
    link.failed(0, link.epoch, "gone")
    assert link.refused(1, link.epoch, "no")
    assert link.failed(2, link.epoch, "gone")
    assert link.wait(2) == 1


def test_whoever_hurries_tries_at_once(link: Link) -> None:
    link.refused(0, link.epoch, "no")
    link.hurry(10)
    assert link.wait(10) == 0
    link.hurry(20)
    assert link.wait(10) == 0
    assert link.state is State.REFUSED
