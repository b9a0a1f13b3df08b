"""Reads the headers and trailers of an answer; pure.

libcurl passes one line after another: the status line, the headers, an empty line, and after the body the trailers. An
answer of only one block (gRPC's Trailers-Only) has its ``grpc-status`` among the headers. A new status line replaces
everything before it, which was a proxy's answer or an interim one.

Only ``grpc-status`` is the server's verdict on the call (GRPCError). An answer without it comes from something on the
way, such as a proxy or a load balancer, and says nothing about the call (NetworkError).
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import unquote

from google.protobuf.message import DecodeError
from grpclib import GRPCError, Status
from grpclib.encoding.proto import ProtoStatusDetailsCodec

from module.errors import NetworkError

Pair = tuple[str, str | bytes]
_OK = 200
_DETAILS = "grpc-status-details-bin"
_RESERVED = ("grpc-", ":")


class Answer:
    """The headers and trailers that have come so far."""

    __slots__ = ("_headers", "_last", "_trailers", "has_status", "http_status", "is_grpc")

    is_grpc: bool
    """Whether it is the answer of a gRPC server: HTTP's 200, and gRPC's content type."""
    has_status: bool
    """Whether ``grpc-status`` has come."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.http_status = 0
        self._headers: dict[str, str] = {}
        self._trailers: dict[str, str] = {}
        block = self._headers
        for line in lines:
            if line.startswith(b"HTTP/"):
                block = self._headers = {}
                self.http_status = _number(line.split(None, 2)[1])
            elif line.isspace():
                block = self._trailers
            else:
                name, _, value = line.partition(b":")
                block[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
        # Said once: many calls have the same answer.
        self._last = self._trailers or self._headers
        self.has_status = "grpc-status" in self._last
        self.is_grpc = self.http_status == _OK and self._headers.get("content-type", "").startswith("application/grpc")

    def check(self) -> None:
        """Return if the call succeeded. Raises GRPCError for any other status, and NetworkError without a status."""
        said = self._last.get("grpc-status")
        if said is None:
            raise NetworkError(self._without_status())
        status = _STATUSES.get(said)
        if status is Status.OK:
            return
        message = unquote(self._last.get("grpc-message", ""), errors="replace") or None
        if status is None:
            raise GRPCError(Status.UNKNOWN, f"grpc-status is {said!r}" + (f": {message}" if message else ""))
        raise GRPCError(status, message, _details(status, message, self._last.get(_DETAILS)))

    @property
    def trailers(self) -> list[Pair]:
        """The metadata that came last."""
        return list(_metadata(self._last.items()))

    def _without_status(self) -> str:
        if self.is_grpc:
            return "the answer ended without grpc-status"
        kind = self._headers.get("content-type", "no content type")
        return (
            f"the answer is not a gRPC server's: HTTP status {self.http_status}, {kind}, no grpc-status. "
            "A proxy or a load balancer may have made it"
        )


@functools.lru_cache(maxsize=32)
def answer_of(lines: tuple[bytes, ...]) -> Answer:
    """Return the answer of these lines. Servers repeat the same lines, so the last few results are cached."""
    return Answer(lines)


_STATUSES = {str(status.value): status for status in Status}


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() else 0


def _details(status: Status, message: str | None, value: str | None) -> Sequence[Any] | None:
    if value is None:
        return None
    try:
        details: Sequence[Any] = ProtoStatusDetailsCodec().decode(status, message, _binary(value))
    except (DecodeError, ValueError):
        # They explain the status, which is valid without them.
        return None
    return details


def _metadata(headers: Iterable[tuple[str, str]]) -> Iterable[Pair]:
    for name, value in headers:
        if name.startswith(_RESERVED) or name == "content-type":
            continue
        if not name.endswith("-bin"):
            yield name, value
            continue
        try:
            yield name, _binary(value)
        except binascii.Error:
            yield name, value


def _binary(value: str) -> bytes:
    # gRPC lets the padding be left out.
    return base64.b64decode(value + "=" * (-len(value) % 4))
