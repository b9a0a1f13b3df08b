from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from grpclib.client import Channel
from viam.app.data_client import DataClient

from tests.delivery.pair import Pair, connected
from tests.delivery.rig import KEY, Rig, Starter, config_of, local_cloud


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Starter]:
    """Start a cloud and an uploader with these ``upload`` attributes; everything ends with the test."""
    async with AsyncExitStack() as stack:

        async def start_rig(*, api_key: str = KEY, cloud: dict[str, Any] | None = None, **upload: Any) -> Rig:
            served, address = await stack.enter_async_context(local_cloud(**(cloud or {})))
            rig = Rig(config_of(tmp_path / "spool", address, upload=upload, api_key=api_key), served)
            stack.push_async_callback(rig.close)
            await rig.open()
            return rig

        yield start_rig


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with (
        local_cloud() as (cloud, address),
        connected(address) as ours,
        Channel("127.0.0.1", int(address.rpartition(":")[2])) as channel,
    ):
        yield Pair(cloud, address, ours, DataClient(channel, ours._metadata))
