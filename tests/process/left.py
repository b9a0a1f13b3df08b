"""A machine that is to be killed: ``python -m tests.process.left FOLDER [PROGRAM ARGUMENT...]``.

Starts the module, by the program if there is one, with one sensor, and prints the number of each poll.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from module.local.cloud import LocalCloud
from tests.process.rig import MODULE, CountingSensor, Rig


class PrintingSensor(CountingSensor):
    """Says when it is asked."""

    async def get_readings(self, **given: Any) -> Mapping[str, Any]:
        print(len(self.polls) + 1, flush=True)  # noqa: T201 - its parent reads it
        return await super().get_readings(**given)


async def _serve(folder: Path, program: list[str]) -> None:
    cloud = LocalCloud(None, api_keys={}, part_ids=set())
    rig = Rig(folder, [PrintingSensor("s1")], cloud, await cloud.start(), program=program or MODULE)
    async with rig.server:
        await rig.configure(sources=[{"name": "s1", "capture_frequency_hz": 20}], upload={"disabled": True})
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2:]))
