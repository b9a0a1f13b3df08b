"""The module as viam-server starts it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from viam.proto.module import ReadyRequest
from viam.rpc.server import Server

from module.serving.module_server import ServedModule


async def test_a_module_at_rest_asks_the_machine_nothing(tmp_path: Path) -> None:
    """The SDK's client would ask for all names every ten seconds, and wake both sides for it."""
    machine = Server([])
    await machine._server.start(path=str(tmp_path / "parent.sock"))
    module = ServedModule(str(tmp_path / "module.sock"))
    before = asyncio.all_tasks()
    try:
        await module.ready(ReadyRequest(parent_address=str(tmp_path / "parent.sock")))
        assert module.parent is not None
        await asyncio.sleep(0)
        names = {task.get_name() for task in asyncio.all_tasks() - before}
        assert not [name for name in names if "check_connection" in name]
        # What the module asks for itself still goes through.
        await module.parent.refresh()  # type: ignore[no-untyped-call]
    finally:
        await module.stop()  # type: ignore[no-untyped-call]
        machine._server.close()
