"""What an address may be other than the cloud's, in short; ``tests/run.sh faults`` does it for minutes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.address_faults import FAULTS, OUTAGE, SHORT_OUTAGE_S, AddressFault, Place, address_round, outage
from tests.faults.conftest import SEED

pytestmark = pytest.mark.slow

SECONDS = 0.3
MODULES = 3


async def test_no_address_loses_what_was_reported_as_captured(tmp_path: Path) -> None:
    """Each once, some over one module and some over another, and then an outage that default retries are to survive."""
    away = OUTAGE.format(SHORT_OUTAGE_S)
    faults = [*((name, fault, SECONDS) for name, fault in FAULTS.items()), (away, outage, SHORT_OUTAGE_S)]
    places = [Place(tmp_path / str(n), random.Random(f"{SEED}:address:{n}")) for n in range(MODULES)]

    async def tried(place: Place, its_own: Sequence[tuple[str, AddressFault, float]]) -> None:
        async with place.bench.open():
            for name, fault, seconds in its_own:
                await address_round(place, name, fault, seconds)

    # They mostly wait.
    async with asyncio.TaskGroup() as tasks:
        for n, place in enumerate(places):
            tasks.create_task(tried(place, faults[n::MODULES]))
    rows = {name: row for place in places for name, row in place.bench.ledger.rows.items()}
    assert set(rows) == {*FAULTS, away}
    assert all(row.waiting > 0 for row in rows.values()), rows
    assert {fault: row.lost for fault, row in rows.items() if row.lost} == {}
