"""Servers to call, of two libraries and of frames by script, and channels to call them by: ours and grpclib's."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import BytesValue
from grpclib import GRPCError, Status
from grpclib.client import Channel as GrpclibChannel
from grpclib.client import StreamUnaryMethod, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Cardinality, Handler
from grpclib.encoding.base import CodecBase
from grpclib.server import Server

from module.network.address import unix
from module.network.channel import Channel

SERVICE = "/courier.tests.Service/"
AnyChannel = Channel | GrpclibChannel


def unary(channel: Any, name: str) -> UnaryUnaryMethod[BytesValue, BytesValue]:
    return UnaryUnaryMethod(channel, SERVICE + name, BytesValue, BytesValue)


def upload(channel: Any, name: str) -> StreamUnaryMethod[BytesValue, BytesValue]:
    return StreamUnaryMethod(channel, SERVICE + name, BytesValue, BytesValue)


def download(channel: Any, name: str) -> UnaryStreamMethod[BytesValue, BytesValue]:
    return UnaryStreamMethod(channel, SERVICE + name, BytesValue, BytesValue)


def channel_of(kind: str, path: Path, **options: Any) -> Any:
    """A channel of one of the two kinds to a unix socket."""
    return Channel(unix(str(path)), **options) if kind == "ours" else GrpclibChannel(path=str(path))


class Served:
    """One call, as the servers below see it; the same of both libraries."""

    def __init__(self, messages: AsyncIterator[bytes], metadata: Mapping[str, Any], seconds_left: float | None) -> None:
        self.messages = messages
        self.metadata = metadata
        self.seconds_left = seconds_left
        self.send: Callable[[bytes], Awaitable[None]]
        self.trailers: list[tuple[str, Any]] = []

    async def read(self) -> list[bytes]:
        """All that is sent to it."""
        return [BytesValue.FromString(message).value async for message in self.messages]

    async def answer(self, value: bytes) -> None:
        """One message of the answer."""
        await self.send(BytesValue(value=value).SerializeToString())


class Refuse(Exception):
    """What a script raises to end its call with a status."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


Script = Callable[[Served], Awaitable[None]]
Scripts = Mapping[str, Script]


class _Raw(CodecBase):
    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> Any:
        return data


class _Service:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def __mapping__(self) -> Mapping[str, Handler]:
        return {
            SERVICE + name: Handler(self._handler(script), Cardinality.STREAM_STREAM, bytes, bytes)
            for name, script in self._scripts.items()
        }

    def _handler(self, script: Script) -> Callable[[Any], Awaitable[None]]:
        async def handle(stream: Any) -> None:
            left = None if stream.deadline is None else stream.deadline.time_remaining()
            call = Served(aiter(stream), stream.metadata, left)
            call.send = stream.send_message
            try:
                await script(call)
            except Refuse as refusal:
                raise GRPCError(refusal.status, refusal.message) from refusal
            await stream.send_trailing_metadata(metadata=call.trailers)

        return handle


@contextlib.asynccontextmanager
async def grpclib_server(path: Path, scripts: Scripts) -> AsyncIterator[None]:
    server = Server([_Service(scripts)], codec=_Raw())
    await server.start(path=str(path))
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def grpcio_server(path: Path, scripts: Scripts) -> AsyncIterator[None]:
    def handler(script: Script) -> Any:
        async def handle(requests: AsyncIterator[bytes], context: Any) -> None:
            metadata = dict(context.invocation_metadata())
            call = Served(requests, metadata, context.time_remaining())
            call.send = context.write
            try:
                await script(call)
            except Refuse as refusal:
                code = next(code for code in grpc.StatusCode if code.value[0] == refusal.status.value)
                await context.abort(code, refusal.message)
            context.set_trailing_metadata(call.trailers)

        return grpc.stream_stream_rpc_method_handler(handle)

    service = SERVICE.strip("/")
    handlers = grpc.method_handlers_generic_handler(service, {name: handler(each) for name, each in scripts.items()})
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers((handlers,))
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


SERVERS = {"grpclib": grpclib_server, "grpcio": grpcio_server}
