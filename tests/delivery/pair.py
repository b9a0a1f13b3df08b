"""Our client of the five methods and the SDK's, side by side in front of one cloud."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from viam.app.data_client import DataClient

from module.delivery.wire.cloud import Cloud
from module.delivery.wire.methods import CourierClient
from module.local.calls import Arrival
from module.local.cloud import LocalCloud
from tests.delivery.rig import config_of

CHUNK = 4096
T1 = datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
T2 = datetime(2025, 1, 2, 5, 4, 6, 1, tzinfo=timezone(timedelta(hours=2)))
CAMERA: dict[str, Any] = {"component_type": "rdk:component:camera", "component_name": "eye", "method_name": "GetImages"}


class Pair:
    """One cloud, and two clients of it: the SDK's and ours."""

    def __init__(self, cloud: LocalCloud, address: str, ours: CourierClient, sdk: DataClient) -> None:
        self.cloud = cloud
        self.address = address
        self.ours = ours
        self.sdk = sdk

    async def compare(self, method: str, **arguments: Any) -> tuple[Arrival, Arrival]:
        """Upload with both; what arrived, the SDK's first."""
        answers = [await getattr(client, method)(**arguments) for client in (self.sdk, self.ours)]
        theirs, own = self.cloud.arrivals[-2:]
        assert answers == [theirs.file_id, own.file_id]
        return theirs, own


@contextlib.asynccontextmanager
async def connected(address: str, *, timeout_s: float = 10, chunk_bytes: int = CHUNK) -> AsyncIterator[CourierClient]:
    config = config_of(Path("/unused"), address, upload={}).cloud
    cloud = Cloud(config, timeout_s=timeout_s, chunk_bytes=chunk_bytes)
    async with cloud.session() as session:
        yield session.client
    cloud.close()


def assert_same(theirs: Arrival, own: Arrival) -> None:
    """All but the borders of the chunks."""
    assert own.method == theirs.method
    assert own.metadata == theirs.metadata
    assert own.sensor_metadata == theirs.sensor_metadata
    assert own.payload == theirs.payload
    assert own.messages[0] == theirs.messages[0]
    of_chunks = {type(message) for message in own.messages[1:]}
    assert of_chunks == {type(message) for message in theirs.messages[1:]}
