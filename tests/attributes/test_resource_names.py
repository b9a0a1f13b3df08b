"""Which names viam-server is asked for, and which of those that it passes a config means."""

from __future__ import annotations

from module.attributes.resource_names import asked, is_remote, last_part, meant, missing

SENSOR = "rdk:component:sensor"


def test_a_name_is_asked_for_as_it_is_with_its_api_if_there_is_one() -> None:
    assert asked("far-gauge") == ("far-gauge",)
    assert asked("far-gauge", SENSOR) == (f"{SENSOR}/far-gauge",)


def test_a_name_with_remotes_is_asked_for_whole_and_by_its_last_part() -> None:
    assert asked("far:gauge") == ("far:gauge", "gauge")
    assert asked("a:b:gauge", SENSOR) == ("a:b:gauge", f"{SENSOR}/gauge")
    assert (is_remote("far:gauge"), is_remote("far-gauge")) == (True, False)
    assert (last_part("a:b:gauge"), last_part("gauge")) == ("gauge", "gauge")


def test_the_same_name_goes_before_its_last_part() -> None:
    assert meant("far:gauge", ["gauge", "far:gauge", "near"]) == {"far:gauge"}
    assert meant("gauge", ["gauge", "far:gauge"]) == {"gauge"}


def test_a_remotes_name_is_matched_on_one_side_only() -> None:
    """Today's servers pass ``gauge`` for ``far:gauge``; earlier ones passed ``far:gauge`` for ``gauge``."""
    assert meant("far:gauge", ["gauge", "near"]) == {"gauge"}
    assert meant("gauge", ["far:gauge", "near"]) == {"far:gauge"}
    assert meant("far", ["gauge", "far:gauge"]) == set()


def test_what_may_be_the_case_is_said_of_a_resource_that_is_missing() -> None:
    """Its name, what to do about two of that name, and for a remote's resource how such a one is named."""
    assert "no twin," in missing("twin")
    assert missing("twin", "set its api").startswith(missing("twin"))
    assert missing("twin", "set its api").endswith("two resources have this name, set its api")
    assert "by the remote's prefix" in missing("far:twin", "set its api")
