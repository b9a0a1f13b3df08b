from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.viam_server.rig import BINARY, Maker, local_cloud

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if BINARY is None:
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="no viam-server on the PATH"))


@pytest.fixture
async def machines(tmp_path: Path) -> AsyncIterator[Maker]:
    """Make machines on one cloud; everything ends with the test."""
    async with local_cloud() as (cloud, address):
        maker = Maker(tmp_path, cloud, address)
        try:
            yield maker
        finally:
            await maker.end()
