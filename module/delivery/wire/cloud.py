"""One connection to the cloud and its token.

``viam.rpc.dial`` connects with a blocking socket on the event loop, and never renews its token (viam/rpc/dial.py). So
this file has its own channel. The token comes from ``proto.rpc.v1.AuthService/Authenticate``, as in the SDK.
"""

from __future__ import annotations

import asyncio
import collections
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pycurl
from grpclib import GRPCError, Status
from viam.proto.rpc.auth import AuthenticateRequest, AuthServiceStub, Credentials

from module.attributes.uploader import CloudConfig
from module.delivery.outcome import say
from module.delivery.wire.methods import CourierClient
from module.delivery.wire.stall import Patience
from module.errors import NetworkError
from module.network import tls
from module.network.address import Address
from module.network.channel import CONNECT_TIMEOUT_S, Channel
from module.network.routes import Route, first_open, routes
from module.network.sockets import watchful
from module.network.throttle import Throttle

_MOST_CONNECTIONS = 16
"""Connections at once: old ones, which the cloud wants to close, still finish their uploads beside the newest."""
_KEEPALIVE_IDLE_S = 30
_KEEPALIVE_EACH_S = 10
_IDLE_CONNECTION_S = 3600
_TOKENS_REMEMBERED = 16


class NotAdmitted(Exception):
    """The cloud does not accept the API key; the text has its answer, never the key."""


@dataclass(slots=True, eq=False)
class Session:
    """A channel and a token that uploads share."""

    channel: Channel
    client: CourierClient
    users: int = 0
    retired: bool = False


class _Lease:
    """The use of a session by one upload. It is a class because that is faster, and each upload enters one."""

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
    """Sessions with one address and one API key. Nothing here blocks, and nothing is tried twice."""

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
        self._patience = Patience(timeout_s)

    @property
    def part_id(self) -> str:
        """The machine part that uploads belong to."""
        return self._config.part_id

    def session(self) -> AbstractAsyncContextManager[Session]:
        """Return the current session, connected and authenticated; makes one if there is none.

        Entering it raises NotAdmitted if the cloud refuses the key, and otherwise NetworkError or TimeoutError.
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
        proxy = self._config.proxy.get_secret_value() if self._config.proxy is not None else None
        channel = await first_open(routes(self._config.host, proxy, os.environ), self._channel)
        try:
            if self._token is None:
                self._token = await self._authenticate(channel)
        except BaseException:
            channel.close()
            raise
        metadata = {"authorization": f"Bearer {self._token}"}
        client = CourierClient(
            channel, metadata, timeout_s=self._timeout_s, chunk_bytes=self._chunk_bytes, patience=self._patience
        )
        return Session(channel, client)

    def _channel(self, way: Route) -> Channel:
        address = Address(self._config.host, self._config.port, tls=self._config.tls)

        def configure(curl: pycurl.Curl) -> None:
            way.take(curl)
            if address.tls:
                tls.verify(curl)
            # Without the pings of HTTP/2, which servers punish when they come often (ENHANCE_YOUR_CALM).
            curl.setopt(pycurl.TCP_KEEPALIVE, 1)
            curl.setopt(pycurl.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S)
            curl.setopt(pycurl.TCP_KEEPINTVL, _KEEPALIVE_EACH_S)
            curl.setopt(pycurl.MAXAGE_CONN, _IDLE_CONNECTION_S)
            curl.setopt(pycurl.SOCKOPTFUNCTION, watchful(self._timeout_s))

        return Channel(
            address,
            configure=configure,
            most_connections=_MOST_CONNECTIONS,
            short_answers=True,
            throttle=self._throttle,
        )

    async def _authenticate(self, channel: Channel) -> str:
        credentials = Credentials(type="api-key", payload=self._config.api_key.get_secret_value())
        request = AuthenticateRequest(entity=self._config.api_key_id, credentials=credentials)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                response = await AuthServiceStub(channel).Authenticate(request)  # type: ignore[arg-type]
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
            # Not the error itself: its status would be taken for a verdict on the capture that was to be sent.
            raise NetworkError(f"{self._config.host} could not authenticate this machine: {say(error)}") from error
        return str(response.access_token)

    def retire(self, session: Session, *, token: bool) -> bool:
        """Open the next session on a new channel, and with a new token if ``token``; True if this call did it.

        Uploads under way on the old one continue. To retire a session twice changes nothing, so many uploads may fail
        at once and only one renewal follows.
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
        """Return the first 500 characters of the text, with the key and the tokens removed."""
        password = None if self._config.proxy is None else urlsplit(self._config.proxy.get_secret_value()).password
        for secret in (self._config.api_key.get_secret_value(), password, self._token, *self._retired_tokens):
            if secret:
                text = text.replace(secret, "[secret]")
        # Last, because a cut through a secret would hide it from the search.
        return text[:500]

    def close(self) -> None:
        """Close the connection at once; uploads that are under way on it fail."""
        if self._session is not None:
            self._session.channel.close()
            self._session.retired = True
            self._session = None
