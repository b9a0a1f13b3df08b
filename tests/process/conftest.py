from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from viam.resource.base import ResourceBase

from module import UPLOADER_MODEL
from module.local.cloud import LocalCloud
from module.local.viam_server import ViamServer
from tests.process.rig import KEY, KEY_ID, PART, ROOT, GuestRig, Rig, Starter, machine


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Let whoever shares a process run on the loop that its connections belong to."""
    for item in items:
        if "start_in_one_process" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy computer's module is not killed before it ends: its exit status is its own."""
    monkeypatch.setattr("module.local.viam_server._EXIT_S", 60.0)


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
            cloud, served = await _cloud(stack)
            environ = {} if import_first is None else {"PYTHONPATH": f"{import_first}{os.pathsep}{ROOT}"}
            rig = Rig(tmp_path, _listed(resources), cloud, address or served, log_level=log_level, environ=environ)
            await stack.enter_async_context(rig.server)
            if attributes:
                await rig.configure(**attributes)
            return rig

        yield start_rig


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[ViamServer, Path]]:
    """A module's process for the tests of one file, and where it prints to."""
    folder = tmp_path_factory.mktemp("module")
    async with machine(folder, [], folder / "module.log") as server:
        yield server, folder / "module.log"


@pytest_asyncio.fixture(loop_scope="module")
async def start_in_one_process(one_process: tuple[ViamServer, Path], tmp_path: Path) -> AsyncIterator[Starter]:
    """As ``start``, in a process that the tests of one file share; each finds it without resources and services.

    For files whose tests seldom end the process, and never ask what it costs: they have a ``start`` that is this one.
    """
    server, log = one_process
    server.logs.clear()
    guests: list[ResourceBase] = []
    async with AsyncExitStack() as stack:

        async def start_rig(*resources: ResourceBase, **attributes: Any) -> Rig:
            cloud, served = await _cloud(stack)
            rig = GuestRig(tmp_path, server, log, cloud, served)
            guests.extend(resources)
            for resource in resources:
                server.add(resource)
            if attributes:
                await rig.configure(**attributes)
            return rig

        yield start_rig
        if not server.running:
            await server.restart()
        for name, config in list(server._configs.items()):
            if config.model == UPLOADER_MODEL:
                # A pause outlives the service.
                await server.do_command(name, {"command": "resume"})
            await server.remove_resource(name)
        for resource in guests:
            await server.remove(resource)


async def _cloud(stack: AsyncExitStack) -> tuple[LocalCloud, str]:
    cloud = LocalCloud(None, api_keys={KEY_ID: KEY}, part_ids={PART}, keep_payloads=True, record_messages=True)
    address = await cloud.start()
    stack.push_async_callback(cloud.stop)
    return cloud, address


def _listed(resources: Sequence[ResourceBase]) -> list[ResourceBase]:
    return list(resources)
