"""What a disk goes through, in short; ``tests/run.sh faults`` does it for minutes, with other chances."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.conftest import SEED
from tests.faults.disk_bench import CannotMount
from tests.faults.disk_faults import CASES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", CASES)
async def test_no_fault_of_the_disk_loses_what_was_captured_without_a_word(name: str, tmp_path: Path) -> None:
    """Whatever was polled or handed in is in the cloud, or was dropped, refused or set aside by name."""
    try:
        rows = await CASES[name](tmp_path, random.Random(f"{SEED}:{name}"))
    except CannotMount as error:
        pytest.skip(str(error))
    (row,) = rows.values()
    assert row.tries == 1
    assert row.at_stake > 0
    assert row.lost == 0
