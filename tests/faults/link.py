"""TCP links to the cloud that can stall, be silent, take nobody in, or show a certificate."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Coroutine
from typing import Any


class Link:
    """Passes bytes between the module and ``port`` on loopback; ``stall_after`` makes it stand still."""

    def __init__(self, port: int) -> None:
        self.port = port
        """May be changed, for the connections to come."""
        self.silent = False
        """Whether new connections are read from, and nothing else."""
        self.taken = 0
        """Connections so far; with TLS, those whose handshake was completed."""
        self.heard = 0
        """Bytes that clients have sent, without the TLS where it speaks that."""
        self.openings: list[bytes] = []
        """What each connection began with."""
        self._left: int | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self.stalled = asyncio.Event()
        """Set while bytes wait that do not pass."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, *, tls: ssl.SSLContext | None = None, sock: socket.socket | None = None) -> str:
        """Listen, with TLS or on a bound socket where one is given, and give the address."""
        if sock is None:
            sock = socket.create_server(("127.0.0.1", 0))
        self._server = await asyncio.start_server(self._serve, sock=sock, ssl=tls)
        return f"{'http://127.0.0.1' if tls is None else 'https://localhost'}:{sock.getsockname()[1]}"

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
        self.taken += 1
        if self.silent:
            self._start(self._swallow(reader), writer)
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.close()
            return
        self._start(self._pass(reader, up_writer, out=True), up_writer)
        self._start(self._pass(up_reader, writer, out=False), writer)

    def _start(self, way: Coroutine[Any, Any, None], writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(way)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Not in a finally: a task that is cancelled before its first step never gets there.
        task.add_done_callback(lambda _: writer.close())

    async def _swallow(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                self.heard += len(data)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, out: bool) -> None:
        begun = False
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                if out:
                    self.heard += len(data)
                    if not begun:
                        self.openings.append(data)
                    begun = True
                if out and self._left is not None:
                    self._left -= len(data)
                    if self._left < 0:
                        self._flows.clear()
                        self.stalled.set()
                await self._flows.wait()
                writer.write(data)
                await writer.drain()


class ClosedDoor:
    """An address whose queue of connections is full, so that the kernel drops whatever comes (listen(2))."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.create_server((host, port), family=family, backlog=0)
        self.address = f"http://{host}:{self.sock.getsockname()[1]}"
        self._queue: list[socket.socket] = []

    async def shut(self) -> None:
        """Fill the queue until one that knocks is not heard within a quarter of a second."""
        loop = asyncio.get_running_loop()
        for _ in range(16):
            knock = socket.socket(self.sock.family)
            knock.settimeout(0)
            self._queue.append(knock)
            try:
                async with asyncio.timeout(0.25):
                    await loop.sock_connect(knock, self.sock.getsockname())
            except TimeoutError:
                return
        raise AssertionError("the kernel takes more connections than the queue should hold")

    def open(self) -> None:
        """Take away what filled the queue."""
        while self._queue:
            self._queue.pop().close()
