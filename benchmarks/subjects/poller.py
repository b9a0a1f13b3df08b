"""The least that polling can cost: the SDK's clients ask on time, and what they answer is thrown away."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from grpclib.client import Channel
from viam.components.camera.client import CameraClient
from viam.components.sensor.client import SensorClient

from benchmarks.figures import percentile
from benchmarks.processes import serve

_EXTRA = {"fromDataManagement": True}


class Poller:
    """Polls every source on its own absolute deadlines."""

    def __init__(self, socket: str) -> None:
        self._channel = Channel(path=socket)
        self._tasks: list[asyncio.Task[None]] = []
        self._polls = 0
        self._late: list[float] = []

    async def begin(self, sensors: dict[str, float], cameras: dict[str, float]) -> None:
        """Poll these, by name at so many hertz, from now on."""
        works: dict[str, tuple[Callable[..., Awaitable[Any]], float]]
        works = {name: (SensorClient(name, self._channel).get_readings, hertz) for name, hertz in sensors.items()}
        works |= {name: (CameraClient(name, self._channel).get_images, hertz) for name, hertz in cameras.items()}
        now = asyncio.get_running_loop().time()
        for index, (name, (ask, hertz)) in enumerate(works.items()):
            at = now + index / len(works) / hertz
            self._tasks.append(asyncio.create_task(self._poll(ask, 1 / hertz, at), name=name))

    async def _poll(self, ask: Callable[..., Awaitable[Any]], period: float, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if deadline > loop.time():
                await asyncio.sleep(deadline - loop.time())
            self._late.append(loop.time() - deadline)
            await ask(extra=_EXTRA, timeout=10)
            self._polls += 1
            deadline += period * max(1, -((deadline - loop.time()) // period))

    async def count(self) -> dict[str, float]:
        """Polls since the start, and how late they were, in milliseconds."""
        late = [seconds * 1000 for seconds in self._late] or [0.0]
        self._late.clear()
        return {"polls": self._polls, "p50": percentile(late, 0.5), "p99": percentile(late, 0.99), "max": max(late)}

    async def close(self) -> None:
        """Poll no more, and hang up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._channel.close()


async def main() -> None:
    """Serve until the standard input ends."""
    poller = Poller(sys.argv[1])
    await serve({"begin": poller.begin, "count": poller.count})
    await poller.close()


if __name__ == "__main__":
    asyncio.run(main())
