"""A TCP proxy on loopback that writes down when how many bytes went from the client to the server."""

from __future__ import annotations

import asyncio
import bisect
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

_LOOK_S = 0.01


class CountingProxy:
    """What passed towards the server, over all connections."""

    def __init__(self) -> None:
        self.passed: list[tuple[float, int]] = []
        """(monotonic seconds, bytes), in order."""
        self.most_late_s = 0.0
        """How late this proxy has been at most: bytes of so many seconds may look as if they had come at once."""
        self._late_s = 0.0

    @property
    def total(self) -> int:
        return sum(size for _, size in self.passed)

    def most_within(self, seconds: float) -> int:
        """The most bytes that passed within any stretch of so many seconds."""
        most = within = first = 0
        for at, size in self.passed:
            within += size
            while self.passed[first][0] < at - seconds:
                within -= self.passed[first][1]
                first += 1
            most = max(most, within)
        return most

    def within(self, seconds: float) -> tuple[int, int]:
        """The most and the fewest bytes that passed within any so many seconds, from the first byte to the last."""
        sums = [0]
        for _, size in self.passed:
            sums.append(sums[-1] + size)
        times = [at for at, _ in self.passed]
        fewest = min(
            sums[bisect.bisect_right(times, at + seconds)] - sums[index + 1]
            for index, at in enumerate(times)
            if at + seconds <= times[-1]
        )
        return self.most_within(seconds), fewest

    def rate(self) -> float:
        """Bytes a second from the first byte to the last."""
        return self.total / self._seconds

    def rate_in_time(self) -> float:
        """The same, without the time that a busy computer took away: by so much was this proxy late altogether."""
        return self.total / max(_LOOK_S, self._seconds - self._late_s)

    @property
    def _seconds(self) -> float:
        return self.passed[-1][0] - self.passed[0][0]

    async def _watch_itself(self) -> None:
        while True:
            asked = time.monotonic()
            await asyncio.sleep(_LOOK_S)
            late_s = time.monotonic() - asked - _LOOK_S
            self.most_late_s = max(self.most_late_s, late_s)
            self._late_s += late_s

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, count: bool) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                if count:
                    self.passed.append((time.monotonic(), len(data)))
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def counting_proxy(address: str) -> AsyncIterator[tuple[CountingProxy, str]]:
    """A proxy before ``http://127.0.0.1:PORT``, and its own address."""
    proxy = CountingProxy()
    port = int(address.rpartition(":")[2])
    tasks = {asyncio.create_task(proxy._watch_itself())}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
        start(proxy._pass(reader, upstream_writer, count=True), upstream_writer)
        start(proxy._pass(upstream_reader, writer, count=False), writer)

    def start(way: Coroutine[Any, Any, None], writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(way)
        tasks.add(task)
        # Not in a finally: a task that is cancelled before its first step never gets there.
        task.add_done_callback(lambda _: writer.close())

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield proxy, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
