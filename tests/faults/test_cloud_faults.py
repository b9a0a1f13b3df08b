"""What the cloud does wrong, in short; ``tests/run.sh faults`` does it for minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from tests.faults.bench import Bench
from tests.faults.cloud_faults import FAULTS, cloud_round

pytestmark = pytest.mark.slow

SECONDS = 0.7
MODULES = 2


async def test_no_fault_of_the_cloud_loses_what_was_reported_as_captured(bench: Callable[[str], Bench]) -> None:
    """Each fault once, one after the other, over the same module, which recovers from each; two modules share them."""
    benches = [bench(f"cloud-{n}") for n in range(MODULES)]

    async def tried(broken: Bench, names: Sequence[str]) -> None:
        async with broken.open():
            for name in names:
                await cloud_round(broken, name, SECONDS)

    async with asyncio.TaskGroup() as tasks:
        for n, broken in enumerate(benches):
            tasks.create_task(tried(broken, list(FAULTS)[n::MODULES]))
    rows = {name: row for broken in benches for name, row in broken.ledger.rows.items()}
    assert set(rows) == set(FAULTS)
    assert all(row.at_stake > 0 for row in rows.values()), rows
    assert {fault: row.lost for fault, row in rows.items() if row.lost} == {}
    # Where the answer is lost after the cloud has stored a batch, nothing but a repetition can be right.
    assert rows["replies are lost"].twice > 0
