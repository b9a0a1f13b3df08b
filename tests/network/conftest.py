"""The two channels, and the two servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.network.rig import channel_of


@pytest.fixture(params=["ours", "grpclib"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which channel calls; a test marked ``grpclib_fails`` says what grpclib gets wrong."""
    chosen: str = request.param
    fails = request.node.get_closest_marker("grpclib_fails")
    if fails is not None and chosen == "grpclib":
        pytest.skip(f"grpclib: {fails.args[0]}")
    return chosen


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where servers listen."""
    return tmp_path / "s.sock"


@pytest.fixture
async def dial(kind: str, path: Path) -> Any:
    """Makes channels to ``path``, which are closed in the end."""
    opened: list[Any] = []

    def make(**options: Any) -> Any:
        opened.append(channel_of(kind, path, **options))
        return opened[-1]

    yield make
    for each in opened:
        each.close()
