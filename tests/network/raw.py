"""A server of HTTP/2 that sends what a script says, frame by frame, right or wrong."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from google.protobuf.wrappers_pb2 import BytesValue
from hpack import Decoder, Encoder
from hyperframe import frame as frames
from hyperframe.frame import Frame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS = [(":status", "200"), ("content-type", "application/grpc")]
OK = [("grpc-status", "0")]
_HEAD_BYTES = 9


def message(value: bytes, flag: int = 0) -> bytes:
    """A BytesValue as it travels."""
    data = bytes(BytesValue(value=value).SerializeToString())
    return bytes((flag,)) + struct.pack(">I", len(data)) + data


class Gone(Exception):
    """The other side has closed the connection."""


class Connection:
    """One connection; the script reads requests and writes frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.number = number
        """Counted from 0."""
        self.asked: dict[int, dict[str, str]] = {}
        """The headers of each request."""
        self.resets: dict[int, int] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self._reader = reader
        self.writer = writer
        self._encoder, self._decoder = Encoder(), Decoder()

    async def greet(self, **settings: int) -> None:
        """The preface, and our settings by their names, e.g. ``MAX_CONCURRENT_STREAMS``."""
        await self._read(len(PREFACE))
        ours = {getattr(frames.SettingsFrame, name): value for name, value in settings.items()}
        self.write(frames.SettingsFrame(0, settings=ours))

    async def _read(self, size: int) -> bytes:
        try:
            return await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Gone from error

    async def frame(self) -> Frame:
        """The next frame, noted."""
        head, length = Frame.parse_frame_header(memoryview(await self._read(_HEAD_BYTES)))
        head.parse_body(memoryview(await self._read(length)))
        stream = head.stream_id
        if isinstance(head, frames.SettingsFrame) and "ACK" not in head.flags:
            self.write(frames.SettingsFrame(0, flags=["ACK"]))
        elif isinstance(head, frames.PingFrame) and "ACK" not in head.flags:
            self.write(frames.PingFrame(0, head.opaque_data, flags=["ACK"]))
        elif isinstance(head, frames.RstStreamFrame):
            self.resets[stream] = head.error_code
        elif isinstance(head, frames.DataFrame):
            self.bodies[stream] = self.bodies.get(stream, b"") + head.data
        if "END_STREAM" in head.flags:
            self.ended.add(stream)
        return head

    async def request(self, *, whole: bool = True) -> int:
        """The stream of the next request; ``whole``: once all of it has come."""
        stream = 0
        while not stream or (whole and stream not in self.ended):
            head = await self.frame()
            if isinstance(head, frames.HeadersFrame):
                stream = int(head.stream_id)
                self.asked[stream] = {str(name): str(value) for name, value in self._decoder.decode(head.data)}
            elif stream in self.resets:
                stream = 0
        return stream

    def write(self, *parts: Frame | bytes) -> None:
        """Send these together."""
        if not self.writer.is_closing():
            self.writer.write(b"".join(part if isinstance(part, bytes) else part.serialize() for part in parts))

    def headers(self, stream: int, headers: list[tuple[str, str]], *, end: bool = False) -> Frame:
        """A HEADERS frame."""
        flags = ["END_HEADERS", "END_STREAM"] if end else ["END_HEADERS"]
        return frames.HeadersFrame(stream, self._encoder.encode(headers), flags=flags)

    def data(self, stream: int, data: bytes, *, end: bool = False) -> Frame:
        """A DATA frame."""
        return frames.DataFrame(stream, data, flags=["END_STREAM"] if end else [])

    def answer(self, stream: int, value: bytes = b"") -> None:
        """A whole answer that is right."""
        self.write(self.headers(stream, HEADERS), self.data(stream, message(value)), self.headers(stream, OK, end=True))

    def goaway(self, last: int, code: int = 0) -> Frame:
        """A GOAWAY frame."""
        return frames.GoAwayFrame(0, last, code)

    def reset(self, stream: int, code: int) -> Frame:
        """An RST_STREAM frame."""
        return frames.RstStreamFrame(stream, code)

    def abort(self) -> None:
        """Close as a machine does that crashes: with a reset, where the transport knows one."""
        sock: Any = self.writer.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Connection], Awaitable[None]]


class RawServer:
    """The connections that have come."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.connections: list[Connection] = []
        self.errors: list[BaseException] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Run the script on a connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = Connection(reader, writer, len(self.connections))
        self.connections.append(connection)
        try:
            await self._script(connection)
        except (Gone, asyncio.CancelledError):
            pass
        except Exception as error:  # noqa: BLE001 - shown by the test that has started it
            self.errors.append(error)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def end(self) -> None:
        """End what runs."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self.errors == []


@contextlib.asynccontextmanager
async def raw_server(where: Path | None, script: Script, **tls: Any) -> AsyncIterator[RawServer]:
    """A server at a unix socket, or on a port of loopback if there is no path."""
    server = RawServer(script)
    if where is None:
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, **tls)
        server.port = listener.sockets[0].getsockname()[1]
    else:
        listener = await asyncio.start_unix_server(server.serve, where, **tls)
    try:
        yield server
    finally:
        listener.close()
        await server.end()


def answering(*, first: Script | None = None, **settings: int) -> Script:
    """A script that answers each request with its own body's message."""

    async def script(connection: Connection) -> None:
        await connection.greet(**settings)
        if first is not None:
            await first(connection)
        while True:
            connection.answer(await connection.request())

    return script
