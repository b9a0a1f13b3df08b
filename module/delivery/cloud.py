"""One connection to the cloud and its token.

``viam.rpc.dial`` connects with a blocking socket on the event loop, fetches its token once and never renews it
(viam/rpc/dial.py). A ``grpclib`` channel with a TLS context connects lazily and without blocking, so that is what
stands here; the token comes from ``proto.rpc.v1.AuthService/Authenticate``, as the SDK's does.
"""

from __future__ import annotations

import asyncio
import collections
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import cast

from grpclib import GRPCError, Status
from grpclib.client import Channel, Handler
from grpclib.protocol import H2Protocol
from viam.proto.rpc.auth import AuthenticateRequest, AuthServiceStub, Credentials

from module.config import CloudConfig
from module.delivery.cork import Cork
from module.delivery.methods import CourierClient
from module.delivery.outcome import say
from module.delivery.throttle import Throttle

CONNECT_TIMEOUT_S = 20.0
"""Of the TCP and TLS handshakes together, and of the Authenticate call."""
_DEAD_LINK_MS = 30_000
_UNSENT_BYTES = 128 * 1024
_TOKENS_REMEMBERED = 16


class _Protocol(H2Protocol):
    """Notices a dead link without HTTP/2 pings, which servers punish when they come often (ENHANCE_YOUR_CALM)."""

    throttle: Throttle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.throttle is None:
            super().connection_made(cast("asyncio.Transport", Cork(transport)))
        else:
            super().connection_made(self.throttle.meter(transport))
            self.throttle.rule(self.connection)
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is None:
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # Linux only: the kernel gives a connection up when sent bytes stay unacknowledged for this long, and takes no
        # megabytes ahead of what the road carries, behind which an alarm would have to wait.
        for name, value in (
            ("TCP_NOTSENT_LOWAT", _UNSENT_BYTES),
            ("TCP_USER_TIMEOUT", _DEAD_LINK_MS),
            ("TCP_KEEPIDLE", 30),
            ("TCP_KEEPINTVL", 10),
            ("TCP_KEEPCNT", 3),
        ):
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class _Channel(Channel):
    throttle: Throttle | None = None

    def _protocol_factory(self) -> H2Protocol:
        protocol = _Protocol(Handler(), self._config, self._h2_config)
        protocol.throttle = self.throttle
        return protocol

    async def _create_connection(self) -> H2Protocol:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return await super()._create_connection()
        except TimeoutError as error:
            raise TimeoutError(f"{self._host}:{self._port} did not accept a connection in time") from error
        except socket.gaierror as error:
            # It names neither the host nor what it was looked up for.
            raise ConnectionError(f"the name {self._host} does not resolve: {error.strerror}") from error


class NotAdmitted(Exception):
    """The cloud does not accept the API key; the text says what it answered, never the key."""


@dataclass(slots=True, eq=False)
class Session:
    """A channel and a token that uploads share."""

    channel: Channel
    client: CourierClient
    users: int = 0
    retired: bool = False


class _Lease:
    """The use of a session for a while; a class, as each upload enters one."""

    __slots__ = ("_current", "_session")

    def __init__(self, current: Callable[[], Awaitable[Session]]) -> None:
        self._current = current

    async def __aenter__(self) -> Session:
        session = self._session = await self._current()
        session.users += 1
        return session

    async def __aexit__(self, *_: object) -> None:
        session = self._session
        session.users -= 1
        if session.retired and not session.users:
            session.channel.close()


class Cloud:
    """Sessions with one address under one key. Nothing here blocks; nothing tries twice by itself."""

    def __init__(
        self, config: CloudConfig, *, timeout_s: float, chunk_bytes: int, max_bytes_per_s: int | None = None
    ) -> None:
        self._config = config
        self._throttle = None if max_bytes_per_s is None else Throttle(max_bytes_per_s)
        self._timeout_s = timeout_s
        self._chunk_bytes = chunk_bytes
        self._session: Session | None = None
        self._token: str | None = None
        self._retired_tokens: collections.deque[str] = collections.deque(maxlen=_TOKENS_REMEMBERED)
        self._opening = asyncio.Lock()
        self._tls: ssl.SSLContext | None = None

    @property
    def part_id(self) -> str:
        """As whom uploads are made."""
        return self._config.part_id

    def session(self) -> AbstractAsyncContextManager[Session]:
        """The current session, made if there is none: connected and authenticated.

        Entering it raises NotAdmitted when the cloud refuses the key, and what the network raises otherwise.
        """
        return _Lease(self._current)

    async def _current(self) -> Session:
        if self._session is not None:
            return self._session
        async with self._opening:
            if self._session is None:
                self._session = await self._open()
            return self._session

    async def _open(self) -> Session:
        if self._config.tls and self._tls is None:
            # Loading the system's certificates takes tens of milliseconds of disk and CPU.
            self._tls = await asyncio.to_thread(_tls_context)
        channel = _Channel(self._config.host, self._config.port, ssl=self._tls)
        channel.throttle = self._throttle
        try:
            if self._token is None:
                self._token = await self._authenticate(channel)
        except BaseException:
            channel.close()
            raise
        metadata = {"authorization": f"Bearer {self._token}"}
        client = CourierClient(
            channel, metadata, timeout_s=self._timeout_s, chunk_bytes=self._chunk_bytes, throttle=self._throttle
        )
        return Session(channel, client)

    async def _authenticate(self, channel: Channel) -> str:
        credentials = Credentials(type="api-key", payload=self._config.api_key.get_secret_value())
        request = AuthenticateRequest(entity=self._config.api_key_id, credentials=credentials)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                response = await AuthServiceStub(channel).Authenticate(request)
        except TimeoutError as error:
            raise TimeoutError(f"{self._config.host} did not answer the authentication in time") from error
        except GRPCError as error:
            if error.status in (
                Status.UNAUTHENTICATED,
                Status.PERMISSION_DENIED,
                Status.INVALID_ARGUMENT,
                Status.NOT_FOUND,
            ):
                raise NotAdmitted(
                    f"the cloud does not accept cloud.api_key with cloud.api_key_id {self._config.api_key_id}: "
                    f"{self.redact(say(error))}"
                ) from error
            raise
        return str(response.access_token)

    def retire(self, session: Session, *, token: bool) -> bool:
        """Open the next session on a new channel, and with a new token if ``token``; True if this call did it.

        Uploads that are under way on the old one end as they may. Retiring a session twice changes nothing, so that
        many uploads may fail at once and one renewal follows.
        """
        if session.retired:
            return False
        session.retired = True
        if self._session is session:
            self._session = None
            if token:
                # Uploads under way still have it, and errors may quote it.
                if self._token is not None:
                    self._retired_tokens.append(self._token)
                self._token = None
        if not session.users:
            session.channel.close()
        return True

    def redact(self, text: str) -> str:
        """The first 500 characters of the text without the key and the tokens, whoever put them there."""
        for secret in (self._config.api_key.get_secret_value(), self._token, *self._retired_tokens):
            if secret:
                text = text.replace(secret, "[secret]")
        # Last, as a cut that goes through a secret would hide it from the search.
        return text[:500]

    def close(self) -> None:
        """Close the connection at once; uploads that are under way on it fail."""
        if self._session is not None:
            self._session.channel.close()
            self._session.retired = True
            self._session = None


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context(purpose=ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    return context
