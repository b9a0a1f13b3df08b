"""A link to the cloud that hands every byte on after a delay, however many are under way: its port, and the seconds."""

from __future__ import annotations

import asyncio
import sys

from benchmarks.processes import serve

_READ_BYTES = 262_144


class Link:
    """Passes bytes both ways."""

    def __init__(self, port: int, delay_s: float) -> None:
        self._port = port
        self._delay_s = delay_s
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> str:
        """Listen, and give the address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_READ_BYTES)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Cut all of it."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port, limit=_READ_BYTES)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pass(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        # Timers of one delay run in the order in which they were set.
        while data := await reader.read(_READ_BYTES):
            if self._delay_s:
                loop.call_later(self._delay_s, writer.write, data)
            else:
                writer.write(data)
        loop.call_later(self._delay_s, writer.close)


async def main() -> None:
    """Serve until the standard input ends."""
    link = Link(int(sys.argv[1]), float(sys.argv[2]))
    address = await link.open()

    async def tell() -> dict[str, str]:
        return {"address": address}

    await serve({"address": tell})
    await link.close()


if __name__ == "__main__":
    asyncio.run(main())
