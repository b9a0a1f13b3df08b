"""The address of a server, for a channel."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address."""

    host: str
    port: int | None = None
    tls: bool = False
    socket: str | None = None
    """The path of a unix socket; if set, it is used instead of the host."""

    @property
    def origin(self) -> str:
        """Scheme and authority as in a URL."""
        port = "" if self.port is None else f":{self.port}"
        return f"{'https' if self.tls else 'http'}://{_bracketed(self.host)}{port}"

    def __str__(self) -> str:
        """Return the address for people to read."""
        return self.socket or f"{_bracketed(self.host)}:{self.port}"


def unix(path: str) -> Address:
    """Return the address of the server of a unix socket."""
    return Address("localhost", socket=path)


def _bracketed(host: str) -> str:
    try:
        return f"[{ipaddress.IPv6Address(host)}]"
    except ValueError:
        return host
