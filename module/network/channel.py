"""A channel of gRPC over libcurl, which the SDK's generated stubs use instead of grpclib's.

Its invariants:

- **Nothing blocks**, and each call ends: with its answer, with the server's error (GRPCError), at the end of its time
  (TimeoutError), with a failure on the way (NetworkError), or by its caller's cancellation.
- **A call is made at most once.** It is repeated only if the other side has refused to look at it.
- **Only ``grpc-status`` is a verdict.** A page of a proxy or a balancer is a NetworkError.
- **A status that has come is valid**, even if not all was sent, or if the connection broke afterwards.
- **Calls share one connection.** If there are more calls than the server allows, they wait. If the server wants to
  close a connection (GOAWAY), the calls on it continue to their end, and new calls go to a new one. New calls
  also go to a new one if the server has closed the old one between two calls.
- **Nothing is left over** after a call, except one easy handle, which the next call uses.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pycurl
from grpclib.const import Cardinality
from grpclib.metadata import encode_metadata

from module import __version__
from module.errors import NetworkError
from module.network.address import Address
from module.network.call import Call
from module.network.driver import Driver
from module.network.faults import fault
from module.network.throttle import Throttle
from module.network.transfer import Transfer

MOST_ANSWER_BYTES = 256 * 1024 * 1024
"""Limit of one message of an answer; a longer one ends its call."""
CONNECT_TIMEOUT_S = 20.0
_FIRST_WINDOW_BYTES = 64 * 1024
_MOST_IDLE_HANDLES = 100
_MOST_HEADERS_KNOWN = 64
_HEADERS = [
    "content-type: application/grpc",
    "te: trailers",
    f"user-agent: capture-courier/{__version__}",
    # What libcurl would add.
    "Accept:",
    "Expect:",
]
_UNITS = (("n", 1e9), ("u", 1e6), ("m", 1e3), ("S", 1.0))
_MOST_DIGITS = 8

Metadata = Mapping[str, str | bytes] | Collection[tuple[str, str | bytes]]


class Channel:
    """A channel to one server; see the top of this file. It may be made anywhere, and is used on one event loop."""

    def __init__(
        self,
        address: Address,
        *,
        configure: Callable[[pycurl.Curl], None] | None = None,
        most_connections: int = 1,
        most_answer_bytes: int = MOST_ANSWER_BYTES,
        short_answers: bool = False,
        throttle: Throttle | None = None,
    ) -> None:
        """``configure`` sets options of a handle, such as TLS and a proxy; without it no proxy is used.

        ``short_answers``: libcurl does not widen the window of each call, which saves a packet a call. Answers of more
        than 64 KiB are then slow.
        """
        self.address = address
        self._configure = configure or _without_proxy
        self._most_answer_bytes = most_answer_bytes
        self._throttle = throttle
        self._short_answers = short_answers
        self._most_connections = most_connections
        self._driver: Driver | None = None
        self._idle: list[Transfer] = []
        self._busy: set[Transfer] = set()
        self._headers: dict[tuple[float | None, tuple[tuple[str, str | bytes], ...]], list[str]] = {}
        self.closed = False

    def request(
        self,
        name: str,
        cardinality: Cardinality,
        request_type: Any,  # noqa: ARG002 - grpclib's own signature
        reply_type: Any,
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
    ) -> Call:
        """Return a call of the method with this path, as grpclib's ``ServiceMethod.open`` needs it; sends nothing yet.

        ``timeout``, in seconds, begins when the call's context is entered.
        """
        headers = _HEADERS if timeout is None and not metadata else self._headers_of(timeout, metadata or ())
        return Call(self, name, cardinality=cardinality, reply=reply_type, headers=headers, timeout=timeout)

    def _headers_of(self, timeout: float | None, metadata: Metadata) -> Sequence[str]:
        """Return the same object for the same metadata, so that a handle need not set the same headers again."""
        pairs = tuple(metadata.items() if isinstance(metadata, Mapping) else metadata) if metadata else ()
        known = self._headers.get((timeout, pairs))
        if known is None:
            known = [*_HEADERS]
            if timeout is not None:
                known.append(f"grpc-timeout: {_grpc_timeout(timeout)}")
            known += [f"{key}: {value}" for key, value in encode_metadata(pairs)]
            if len(self._headers) >= _MOST_HEADERS_KNOWN:
                self._headers.clear()
            self._headers[timeout, pairs] = known
        return known

    def close(self) -> None:
        """Close all connections at once; calls that are under way fail."""
        if self.closed:
            return
        self.closed = True
        for transfer in self._busy:
            if not transfer.ended:
                transfer.fail(NetworkError(f"the connection to {self.address} was closed"))
        for transfer in self._idle:
            transfer.curl.close()
        self._idle.clear()
        if self._driver is not None:
            if self._throttle is not None:
                self._throttle.sockets.discard(self._driver.sockets)
            self._driver.close()

    def take(self) -> Transfer:
        """For a call; see ``call.Lender``."""
        if self.closed:
            raise NetworkError(f"the connection to {self.address} has been closed")
        transfer = self._idle.pop() if self._idle else self._made()
        self._busy.add(transfer)
        return transfer

    def give_back(self, transfer: Transfer) -> None:
        """From a call; see ``call.Lender``."""
        self._busy.discard(transfer)
        transfer.reset()
        if self.closed or len(self._idle) >= _MOST_IDLE_HANDLES:
            transfer.curl.close()
        else:
            self._idle.append(transfer)

    async def connect(self) -> None:
        """Connect without a call. Raises NetworkError. A later call may use another connection."""
        curl, driver = self._handle(), self._drive()
        curl.setopt(pycurl.CONNECT_ONLY, 1)
        outcome: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

        def ended(code: int, words: str) -> None:
            if not outcome.done():
                outcome.set_result((code, words))

        driver.add(curl, ended)
        try:
            code, words = await outcome
        except asyncio.CancelledError:
            if not outcome.done() or outcome.cancelled():
                driver.remove(curl)
            raise
        finally:
            curl.close()
        if code:
            raise fault(self.address, code, words)

    def _drive(self) -> Driver:
        if self._driver is None:
            self._driver = Driver(self._most_connections, tcp=self.address.socket is None)
            if self._throttle is not None:
                self._throttle.sockets.add(self._driver.sockets)
        return self._driver

    def _made(self) -> Transfer:
        return Transfer(
            self._handle(),
            self._drive(),
            self.address,
            most_answer_bytes=self._most_answer_bytes,
            throttle=self._throttle,
        )

    def _handle(self) -> pycurl.Curl:
        curl = pycurl.Curl()
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PIPEWAIT, 1)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, int(CONNECT_TIMEOUT_S * 1000))
        # With TLS it is the one protocol that is offered (ALPN).
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE)
        if self._short_answers:
            # The window is as wide as the bytes that may come in a second, and has this width from the start.
            curl.setopt(pycurl.MAX_RECV_SPEED_LARGE, _FIRST_WINDOW_BYTES)
        if self.address.socket is not None:
            curl.setopt(pycurl.UNIX_SOCKET_PATH, os.fsencode(self.address.socket))
        curl.setopt(pycurl.URL, self.address.origin)
        self._configure(curl)
        return curl


def _without_proxy(curl: pycurl.Curl) -> None:
    # Empty: not even what the environment names.
    curl.setopt(pycurl.PROXY, "")


def _grpc_timeout(seconds: float) -> str:
    """Return a timeout as gRPC writes it: at most eight digits, in the finest unit that fits."""
    for unit, per_second in _UNITS:
        number = math.ceil(max(0.0, seconds) * per_second)
        if number < 10**_MOST_DIGITS:
            return f"{number}{unit}"
    return "9" * _MOST_DIGITS + "S"
