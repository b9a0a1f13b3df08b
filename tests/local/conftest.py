from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from grpclib.client import Channel
from viam.app.data_client import DataClient

from module.local.cloud import LocalCloud
from tests.local.rig import channel_to, client_on, local_cloud


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[LocalCloud]:
    cloud = local_cloud(tmp_path / "cloud")
    yield cloud
    await cloud.stop()


@pytest.fixture
async def channel(cloud: LocalCloud) -> AsyncIterator[Channel]:
    async with channel_to(await cloud.start()) as channel:
        yield channel


@pytest.fixture
async def client(channel: Channel) -> DataClient:
    return await client_on(channel)
