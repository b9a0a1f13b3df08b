"""A TCP link to the cloud that can stall in the middle of anything."""

from __future__ import annotations

import asyncio
import contextlib


class Link:
    """Passes bytes between the module and ``port`` on loopback; ``stall_after`` makes it stand still."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._left: int | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self.stalled = asyncio.Event()
        """Set while bytes wait that do not pass."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> str:
        """Listen, and give the address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Cut all connections and listen no more."""
        self._server.close()
        await self.cut()

    def stall_after(self, size: int) -> None:
        """Let ``size`` more bytes through towards the cloud, and then nothing in either direction."""
        self._left = size

    def flow(self) -> None:
        """Go on with what stalled."""
        self._left = None
        self.stalled.clear()
        self._flows.set()

    async def cut(self) -> None:
        """Cut every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.close()
            return
        for way in (self._pass(reader, up_writer, out=True), self._pass(up_reader, writer, out=False)):
            task = asyncio.create_task(way)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, out: bool) -> None:
        with contextlib.suppress(ConnectionError):
            try:
                while data := await reader.read(4096):
                    if out and self._left is not None:
                        self._left -= len(data)
                        if self._left < 0:
                            self._flows.clear()
                            self.stalled.set()
                    await self._flows.wait()
                    writer.write(data)
                    await writer.drain()
            finally:
                writer.close()
