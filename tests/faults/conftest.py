from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.bench import Bench

SEED = 4


@pytest.fixture
def bench(tmp_path: Path) -> Callable[[str], Bench]:
    """A bench for a fault, with the chances of a fixed seed."""
    return lambda name: Bench(tmp_path, random.Random(f"{SEED}:{name}"), name)
