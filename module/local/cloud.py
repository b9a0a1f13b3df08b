"""A cloud on loopback: it speaks Viam's protocol, and keeps what arrives as ordinary files.

It answers ``proto.rpc.v1.AuthService/Authenticate``, the calls of ``viam.app.datasync.v1.DataSyncService``, and
``viam.app.data.v1.DataService/CreateSequence`` through gRPC's C core, which shares no code with the client of this
module. An upload is answered only once it is stored, and one that breaks off leaves nothing behind. The folder has:

- ``<component>/<method>.ndjson``: rows, one JSON object a line;
- ``<component>/<method>/<time>-<n>.<extension>``: images and point clouds;
- ``files/<name>``: files.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
from viam.gen.proto.rpc.v1.auth_pb2 import AuthenticateRequest, AuthenticateResponse
from viam.proto.app import datasync
from viam.proto.app.data import CreateSequenceRequest, CreateSequenceResponse

from module.local.calls import Arrival, Call, CreatedSequence, Refusal, UploadMethod, opened
from module.local.held_port import HeldPort
from module.local.shelf import Shelf, Sink

_T = TypeVar("_T")
_Received = tuple[Any, int]  # a message, and its bytes on the wire

_OPTIONS = (
    # Two clouds on one port would share its connections, instead of the second one failing.
    ("grpc.so_reuseport", 0),
    # Viam's servers let a client ask every five seconds whether the link lives; the C core's default is five minutes.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


class LocalCloud:
    """Viam's cloud for one organisation: it checks keys, tokens and part ids, and keeps what arrives in ``folder``.

    ``stop`` and then ``start`` is an outage: the port and the tokens stay the same. A test may change the public
    attributes at any time.
    """

    api_keys: dict[str, str]
    """Key id → key. A client with another key gets UNAUTHENTICATED."""
    part_ids: set[str]
    """The machine parts that exist. An upload of another part gets UNKNOWN, as in Viam's cloud."""
    token_lifetime_s: float | None = None
    """Seconds for which a token is valid; None: for ever."""
    judge: Callable[[Call], Awaitable[None]] | None = None
    """Called before a call is stored; it may raise ``Refusal``, or take any time."""
    after: Callable[[Arrival], Awaitable[None]] | None = None
    """Called between storing and answering; if it raises ``Refusal``, the upload is stored and its answer is lost."""

    judge_sequence: Callable[[CreateSequenceRequest], Awaitable[None]] | None = None
    """As ``judge``, for ``CreateSequence``."""

    arrivals: list[Arrival]
    """All uploads that were stored, oldest first."""
    sequences: list[CreatedSequence]
    """All sequences, oldest first."""
    calls: collections.Counter[UploadMethod]
    """Uploads that began with a valid token, also those that failed later."""
    authentications: int = 0
    """How many tokens were issued."""
    unauthenticated: int = 0
    """How many calls were refused because of their key or token."""

    def __init__(
        self,
        folder: Path | None,
        *,
        api_keys: Mapping[str, str],
        part_ids: Collection[str],
        port: int = 0,
        max_message_bytes: int = 4 * 1024 * 1024,
        keep_payloads: bool = False,
        record_messages: bool = False,
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        """``options``: more options of gRPC, e.g. how old a connection may become."""
        self.api_keys = dict(api_keys)
        self.part_ids = set(part_ids)
        self.arrivals = []
        self.sequences = []
        self.calls = collections.Counter()
        self._shelf = Shelf(folder)
        self._port = port
        self._held: HeldPort | None = None
        self._keep_payloads = keep_payloads
        self._record_messages = record_messages
        self._max_message_bytes = max_message_bytes
        self._options = (*_OPTIONS, *options)
        self._tokens: dict[str, float] = {}
        self._changed = asyncio.Condition()
        # Between start and stop: the server, the calls under way, and the one thread that writes.
        self._server: grpc.aio.Server | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._writer = ThreadPoolExecutor(1)

    async def start(self) -> str:
        """Serve; returns the address, ``http://127.0.0.1:PORT``. The port stays the same from the first start on."""
        self._shelf.open()
        limit = ("grpc.max_receive_message_length", self._max_message_bytes)
        server = grpc.aio.server(options=[*self._options, limit])
        server.add_generic_rpc_handlers(self._services())
        if not self._port:
            self._held = HeldPort()
            self._port = self._held.number
        server.add_insecure_port(f"127.0.0.1:{self._port}")
        self._server = server
        await server.start()
        return f"http://127.0.0.1:{self._port}"

    async def stop(self, grace_s: float | None = None) -> None:
        """Cut every connection and refuse new ones; idempotent.

        With ``grace_s``, calls under way may finish for so many seconds, unless their client hangs up (grpclib does).
        """
        server, self._server = self._server, None
        if server is None:
            return
        await server.stop(grace_s)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        writer, self._writer = self._writer, ThreadPoolExecutor(1)
        await asyncio.to_thread(writer.shutdown)

    def forget_tokens(self) -> None:
        """Make every token invalid that was issued so far."""
        self._tokens.clear()

    async def wait_for(self, predicate: Callable[[], bool], timeout_s: float) -> None:
        """Return once ``predicate()`` is true; it is called when a call comes in or is stored. Raises TimeoutError."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(predicate)
        except TimeoutError:
            seen = f"stored: {len(self.arrivals)}, calls: {self.calls.total()}, tokens: {self.authentications}"
            raise TimeoutError(f"not within {timeout_s} s; {seen}") from None

    def _services(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """Return the three services for gRPC; viam's bindings are for another gRPC library."""
        authenticate = grpc.unary_unary_rpc_method_handler(
            self._authenticate, AuthenticateRequest.FromString, AuthenticateResponse.SerializeToString
        )
        create_sequence = grpc.unary_unary_rpc_method_handler(
            self._create_sequence, CreateSequenceRequest.FromString, CreateSequenceResponse.SerializeToString
        )
        uploads = {}
        # On the wire a unary call is a stream of one message, so that all three can be served alike.
        for name in ("DataCaptureUpload", "FileUpload", "StreamingDataCaptureUpload"):
            request, response = getattr(datasync, f"{name}Request"), getattr(datasync, f"{name}Response")
            serve, parse = functools.partial(self._upload, response), functools.partial(_parse, request)
            uploads[name] = grpc.stream_unary_rpc_method_handler(serve, parse, response.SerializeToString)
        return (
            grpc.method_handlers_generic_handler("proto.rpc.v1.AuthService", {"Authenticate": authenticate}),
            grpc.method_handlers_generic_handler("viam.app.datasync.v1.DataSyncService", uploads),
            grpc.method_handlers_generic_handler("viam.app.data.v1.DataService", {"CreateSequence": create_sequence}),
        )

    async def _authenticate(self, request: AuthenticateRequest, context: Any) -> AuthenticateResponse:
        if _bearer(context):
            # In Viam's servers a client that has a token needs no other.
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this caller is authenticated already")
        given, known = request.credentials, self.api_keys.get(request.entity, "")
        if not known or given.type != "api-key" or not secrets.compare_digest(given.payload.encode(), known.encode()):
            self.unauthenticated += 1
            await self._tell()
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such API key")
        token = secrets.token_urlsafe()
        self._tokens[token] = time.monotonic()
        self.authentications += 1
        await self._tell()
        return AuthenticateResponse(access_token=token)

    async def _admit(self, context: Any) -> None:
        """Abort the call if its token is not valid."""
        made, lifetime = self._tokens.get(_bearer(context)), self.token_lifetime_s
        if made is None or (lifetime is not None and time.monotonic() >= made + lifetime):
            self.unauthenticated += 1
            await self._tell()
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such token, or it has expired")

    async def _create_sequence(self, request: CreateSequenceRequest, context: Any) -> CreateSequenceResponse:
        await self._admit(context)
        try:
            await self._judge_sequence(request)
        except Refusal as refusal:
            await context.abort(*refusal.args)
        created = CreatedSequence(request, str(uuid.uuid4()), datetime.now(UTC))
        self.sequences.append(created)
        await self._tell()
        return CreateSequenceResponse(id=created.sequence_id)

    async def _judge_sequence(self, request: CreateSequenceRequest) -> None:
        if request.part_id not in self.part_ids:
            raise Refusal(grpc.StatusCode.UNKNOWN, f"no robot part found for {request.part_id!r}")
        if not request.resources or request.end_time.ToNanoseconds() < request.start_time.ToNanoseconds():
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "a sequence has resources, and ends after its start")
        if self.judge_sequence is not None:
            await self.judge_sequence(request)

    async def _upload(self, response: type[Any], requests: AsyncIterator[_Received], context: Any) -> Any:
        """Serve one upload of any kind: check the token, store the upload, and answer; refusals become statuses."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - gRPC runs each call in a task of its own
        self._under_way.add(task)
        try:
            await self._admit(context)
            arrival = await self._receive(requests, context)
            await self._tell()
            if self.after is not None:
                await self.after(arrival)
            return response(file_id=arrival.file_id, binary_data_id=arrival.file_id)
        except Refusal as refusal:
            await context.abort(*refusal.args)
        finally:
            self._under_way.discard(task)

    async def _receive(self, requests: AsyncIterator[_Received], context: Any) -> Arrival:
        """Receive one upload and store it, or raise ``Refusal`` and leave nothing behind."""
        # A default for anext makes the C core's iterator fail if the stream has no message.
        try:
            first = await anext(requests)
        except StopAsyncIteration:
            first = (None, 0)
        received = [first]
        call, rows = opened(first[0])
        self.calls[call.method] += 1
        await self._tell()
        if call.metadata.part_id not in self.part_ids:
            raise Refusal(grpc.StatusCode.UNKNOWN, f"no robot part found for {call.metadata.part_id!r}")
        if self.judge is not None:
            await self.judge(call)
        sink = self._shelf.sink(keep=self._keep_payloads, on_disk=not rows)
        try:
            if isinstance(call.first, datasync.DataCaptureUploadRequest):
                payload = [row.SerializeToString() for row in rows] or [call.first.sensor_contents[0].binary]
                await self._write(sink.add, b"".join(payload))
            async for message, size in requests:
                if message.HasField("metadata"):
                    raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "metadata may only be in the first message")
                received.append((message if self._record_messages else None, size))
                await self._write(sink.add, message.data if hasattr(message, "data") else message.file_contents.data)
            # A stream that was reset ends like one that is complete: sending the headers tells which of them it was.
            await context.send_initial_metadata(())
            # In one step of the writer: a call that is cut meanwhile leaves its file and its arrival, or neither.
            loop = asyncio.get_running_loop()
            return await self._write(self._store, call, sink, rows, received, loop)
        finally:
            self._writer.submit(sink.discard)

    def _store(
        self,
        call: Call,
        sink: Sink,
        rows: tuple[datasync.SensorData, ...],
        received: Sequence[_Received],
        loop: asyncio.AbstractEventLoop,
    ) -> Arrival:
        arrival = Arrival(
            method=call.method,
            metadata=call.metadata,
            sensor_metadata=call.sensor_metadata,
            rows=rows,
            size=sink.size,
            sha256=sink.sha256.hexdigest(),
            payload=b"".join(sink.kept) if self._keep_payloads else None,
            message_sizes=tuple(size for _, size in received),
            messages=tuple(message for message, _ in received) if self._record_messages else (),
            file_id=str(uuid.uuid4()),
            path=self._shelf.store(call.metadata, call.sensor_metadata, sink, rows),
            when=datetime.now(UTC),
        )
        loop.call_soon_threadsafe(self.arrivals.append, arrival)
        return arrival

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _write(self, work: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, work, *args)


def _parse(message: type[Any], raw: bytes) -> _Received:
    return message.FromString(raw), len(raw)


def _bearer(context: Any) -> str:
    headers = dict(context.invocation_metadata() or ())
    return str(headers.get("authorization", "")).removeprefix("Bearer ")
