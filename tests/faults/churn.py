"""Polls over one channel while the server is killed again and again: what is left of it in the end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pycurl
from grpclib.client import UnaryUnaryMethod
from viam.proto.common import GetReadingsRequest, GetReadingsResponse

from benchmarks.processes import started
from benchmarks.subjects.callee import SERVICE
from module.errors import NetworkError
from module.network.address import unix
from module.network.channel import Channel
from tests.faults.report import Finding

_POLLERS = 20
_TIMEOUT_S = 10.0
_ON_THEIR_WAY = 2
"""Descriptors that may be open at any moment; a server would have left one each."""
_SPREAD_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds."""

    descriptors: int
    handles: int
    resident_bytes: int

    @classmethod
    def now(cls) -> Held:
        """As of this moment, garbage left out."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        handles = sum(isinstance(each, pycurl.Curl) for each in gc.get_objects())
        return cls(len(os.listdir("/proc/self/fd")), handles, pages * os.sysconf("SC_PAGE_SIZE"))  # noqa: PTH208


@dataclass(slots=True)
class Churned:
    """What came of it."""

    seconds: float = 0.0
    answered: int = 0
    failed: int = 0
    kills: int = 0
    early: Held | None = None
    """Once the server had been killed a few times."""
    late: Held | None = None

    def finding(self) -> Finding:
        """For the report."""
        assert self.early is not None
        assert self.late is not None
        sound = (
            self.late.descriptors <= self.early.descriptors + _ON_THEIR_WAY
            and self.late.handles <= _POLLERS + 1
            and self.late.resident_bytes <= self.early.resident_bytes + _SPREAD_BYTES
        )
        said = (
            f"in {self.seconds / 60:.1f} minutes {self.answered:,} polls were answered, "
            f"{self.answered / self.seconds:.0f} a second, and {self.failed:,} failed; the server was killed "
            f"{self.kills} times. Descriptors went from {self.early.descriptors} to {self.late.descriptors}, handles "
            f"from {self.early.handles} to {self.late.handles}, memory from {self.early.resident_bytes / 1e6:.1f} to "
            f"{self.late.resident_bytes / 1e6:.1f} MB"
        )
        return Finding(said, sound)


async def churned(folder: Path, *, kills: int, polls_per_s: float, kill_every_s: float) -> Churned:
    """Poll until so many servers have been killed, each after it has answered for so long.

    What is held is looked at after a fifth of the kills, and in the end.
    """
    result, begun = Churned(), time.monotonic()
    path = folder / "s.sock"
    channel = Channel(unix(str(path)))
    interval_s = _POLLERS / polls_per_s
    pollers = [
        asyncio.create_task(_poll(channel, result, interval_s, index * interval_s / _POLLERS), name=f"poller {index}")
        for index in range(_POLLERS)
    ]
    try:
        for number in range(kills):
            async with started("callee", path) as callee:
                await callee.ask("port")
                await asyncio.sleep(kill_every_s)
                os.kill(callee.pid, signal.SIGKILL)
                result.kills += 1
            path.unlink(missing_ok=True)
            if number == kills // 5:
                result.early = Held.now()
    finally:
        result.seconds = time.monotonic() - begun
        for poller in pollers:
            poller.cancel()
        await asyncio.gather(*pollers, return_exceptions=True)
    result.late = Held.now()
    channel.close()
    return result


async def _poll(channel: Channel, result: Churned, interval_s: float, after_s: float) -> None:
    loop = asyncio.get_running_loop()
    under: Any = channel
    method = UnaryUnaryMethod(under, f"/{SERVICE}/Call", GetReadingsRequest, GetReadingsResponse)
    deadline = loop.time() + after_s
    while True:
        await asyncio.sleep(max(0.0, deadline - loop.time()))
        try:
            await method(GetReadingsRequest(name="sensor"), timeout=_TIMEOUT_S)
            result.answered += 1
        except (NetworkError, TimeoutError):
            result.failed += 1
        # What is late skips to the next tick.
        deadline = max(deadline, loop.time() - interval_s) + interval_s
