"""The books of the fault suite: what they call at stake, lost and delivered twice."""

from __future__ import annotations

from tests.faults.ledger import Ledger, Row


def test_what_was_reported_and_never_arrives_is_lost() -> None:
    ledger = Ledger()
    ledger.report([("s", 1), ("s", 2), ("s", 3)])
    ledger.deliver([("s", 1)])
    ledger.begin("kill")
    ledger.strike()
    ledger.deliver([("s", 2)])
    assert ledger.close() == {("s", 3): ["kill"]}
    assert ledger.rows["kill"] == Row(tries=1, at_stake=3, waiting=2, lost=1)


def test_what_waits_over_two_faults_is_at_stake_in_both() -> None:
    ledger = Ledger()
    ledger.report([("s", 1)])
    for fault in ("first", "second"):
        ledger.begin(fault)
        ledger.strike()
    assert ledger.close() == {("s", 1): ["first", "second"]}
    assert ledger.rows == {fault: Row(tries=1, at_stake=1, waiting=1, lost=1) for fault in ("first", "second")}


def test_what_vanishes_without_a_fault_is_lost_too() -> None:
    ledger = Ledger()
    ledger.report([("s", 1)])
    assert ledger.close() == {("s", 1): []}
    assert [row.lost for row in ledger.rows.values()] == [1]


def test_what_arrives_unreported_is_no_loss_and_what_arrives_again_counts_for_the_last_fault() -> None:
    ledger = Ledger()
    ledger.deliver([("s", 1)])
    ledger.report([("s", 1)])
    ledger.begin("kill")
    ledger.strike()
    ledger.deliver([("s", 1), ("s", 2)])
    assert ledger.close() == {}
    assert ledger.rows["kill"] == Row(tries=1, at_stake=1, twice=1)
