"""kill -9 at random moments, in short; ``tests/run.sh faults`` does it for minutes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.bench import Bench
from tests.faults.kills import QUICK, SLOW, kill_rounds

pytestmark = pytest.mark.slow

KILLS = 12
"""Each quick moment twice; a start-up begins with a kill of its own."""


async def test_kill_9_loses_nothing_that_was_reported_as_captured(bench: Callable[[str], Bench]) -> None:
    """At a random moment of a capture, a commit, an upload, an acknowledgement, a start-up, a retention, a vacuum."""
    broken = bench("kills")
    async with broken.open():
        await kill_rounds(broken, KILLS, QUICK)
        await kill_rounds(broken, len(SLOW), SLOW)
    rows = broken.ledger.rows
    assert set(rows) == {f"kill -9 at {moment.__name__.replace('_', '-')}" for moment in (*QUICK, *SLOW)}
    assert sum(row.tries for row in rows.values()) >= KILLS + len(SLOW)
    assert all(row.at_stake > 0 for row in rows.values()), rows
    assert {fault: row.lost for fault, row in rows.items() if row.lost} == {}
