"""What an address may be other than the cloud's, in short; ``tests/run.sh faults`` does it for minutes."""

from __future__ import annotations

import random
from pathlib import Path

from tests.faults.address_faults import FAULTS, OUTAGE, SHORT_OUTAGE_S, Place, address_round, outage
from tests.faults.conftest import SEED

SECONDS = 0.3


async def test_no_address_loses_what_was_reported_as_captured(tmp_path: Path) -> None:
    """Each once, over the same module, and then an outage that default retries are to survive."""
    place = Place(tmp_path, random.Random(f"{SEED}:address"))
    away = OUTAGE.format(SHORT_OUTAGE_S)
    async with place.bench.open():
        for name, fault in FAULTS.items():
            await address_round(place, name, fault, SECONDS)
        await address_round(place, away, outage, SHORT_OUTAGE_S)
    rows = place.bench.ledger.rows
    assert set(rows) == {*FAULTS, away}
    assert all(row.waiting > 0 for row in rows.values()), rows
    assert {fault: row.lost for fault, row in rows.items() if row.lost} == {}
