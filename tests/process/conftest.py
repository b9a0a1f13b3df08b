from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from viam.resource.base import ResourceBase

from module.local.cloud import LocalCloud
from tests.process.rig import KEY, KEY_ID, PART, ROOT, Rig, Starter


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Starter]:
    """Start a machine with these resources, its module and a cloud; everything ends with the test."""
    async with AsyncExitStack() as stack:

        async def start_rig(
            *resources: ResourceBase,
            address: str | None = None,
            log_level: str = "info",
            import_first: Path | None = None,
            **attributes: Any,
        ) -> Rig:
            cloud = LocalCloud(None, api_keys={KEY_ID: KEY}, part_ids={PART}, keep_payloads=True, record_messages=True)
            served = await cloud.start()
            stack.push_async_callback(cloud.stop)
            environ = {} if import_first is None else {"PYTHONPATH": f"{import_first}{os.pathsep}{ROOT}"}
            rig = Rig(tmp_path, _listed(resources), cloud, address or served, log_level=log_level, environ=environ)
            await stack.enter_async_context(rig.server)
            if attributes:
                await rig.configure(**attributes)
            return rig

        yield start_rig


def _listed(resources: Sequence[ResourceBase]) -> list[ResourceBase]:
    return list(resources)
