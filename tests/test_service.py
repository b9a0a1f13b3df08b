"""The service as the SDK holds it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from viam.proto.app.robot import ComponentConfig
from viam.utils import dict_to_struct

from module.service import Uploader
from tests.waiting import until


async def test_a_service_that_another_thread_drops_is_closed(tmp_path: Path) -> None:
    """The collector runs on any thread, and the event loop takes tasks on its own only."""
    asyncio.get_running_loop().set_debug(True)
    before = set(threading.enumerate())
    attributes = {
        "spool": {"directory": str(tmp_path / "spool")},
        "cloud": {"part_id": "p", "api_key_id": "k", "api_key": "s"},
    }
    held = [Uploader.new(ComponentConfig(name="uploader", attributes=dict_to_struct(attributes)), {})]
    await until(lambda: any(each.name == "courier-spool" for each in set(threading.enumerate()) - before))
    (spool,) = [each for each in set(threading.enumerate()) - before if each.name == "courier-spool"]
    await asyncio.to_thread(held.clear)
    await until(lambda: not spool.is_alive())
