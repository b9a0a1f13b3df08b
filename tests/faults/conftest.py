from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.bench import Bench

SEED = 4


@pytest.fixture
def bench(tmp_path: Path) -> Callable[[str], Bench]:
    """A bench for a fault, with its own folder and a fixed seed for its random choices."""

    def made(name: str) -> Bench:
        folder = tmp_path / name
        folder.mkdir()
        return Bench(folder, random.Random(f"{SEED}:{name}"), name)

    return made
