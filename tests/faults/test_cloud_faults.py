"""What the cloud does wrong, in short; ``tests/run.sh faults`` does it for minutes."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults.bench import Bench
from tests.faults.cloud_faults import FAULTS, cloud_round

SECONDS = 0.7


async def test_no_fault_of_the_cloud_loses_what_was_reported_as_captured(bench: Callable[[str], Bench]) -> None:
    """Each fault once, one after the other, over the same module: it recovers from each."""
    broken = bench("cloud")
    async with broken.open():
        for name in FAULTS:
            await cloud_round(broken, name, SECONDS)
    rows = broken.ledger.rows
    assert set(rows) == set(FAULTS)
    assert all(row.at_stake > 0 for row in rows.values()), rows
    assert {fault: row.lost for fault, row in rows.items() if row.lost} == {}
    # Where the answer is lost after the cloud has stored a batch, nothing but a repetition can be right.
    assert rows["replies are lost"].twice > 0
