"""The ways to the cloud: directly, or through a proxy, as viam-server goes.

- If ``cloud.proxy`` is set, it is the only way. So is ``SOCKS_PROXY`` if ``ONLY_SOCKS_PROXY`` is set too.
- Otherwise the direct way comes first. If it does not connect within 300 ms, ``SOCKS_PROXY`` is tried too.
- On the direct way, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` mean the same as for curl.
- Loopback addresses never use a proxy. A proxy's password is in no text.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pycurl

from module.network.channel import Channel

FALLBACK_S = 0.3
"""Seconds after which the next way is tried too."""
_SUPPRESS_CONNECT_HEADERS = 265
"""CURLOPT_SUPPRESS_CONNECT_HEADERS, which pycurl has no name for."""


@dataclass(frozen=True, slots=True)
class Route:
    """One way to the cloud; without a proxy it is the direct one."""

    proxy: str | None = field(default=None, repr=False)
    """The proxy with its password, as libcurl takes it; empty: no proxy, not even one of the environment."""

    def __str__(self) -> str:
        """Return the way for people to read, without the password."""
        if not self.proxy:
            return "directly"
        try:
            parts = urlsplit(self.proxy)
            port = "" if parts.port is None else f":{parts.port}"
        except ValueError:
            # Its text may quote a part of the password.
            return "through a proxy whose address is not valid"
        return f"through the proxy {parts.hostname}{port}"

    def take(self, curl: pycurl.Curl) -> None:
        """Set the options of a handle for this way."""
        # A proxy's "200" is no answer of the server: what fails afterwards, such as TLS, is what must be said.
        curl.setopt(_SUPPRESS_CONNECT_HEADERS, 1)
        if self.proxy is not None:
            curl.setopt(pycurl.PROXY, os.fsencode(self.proxy))
            # NO_PROXY of the environment is only for the proxies of the environment.
            curl.setopt(pycurl.NOPROXY, "")


def routes(host: str, proxy: str | None, environ: Mapping[str, str]) -> Sequence[Route]:
    """Return the ways to a host, in the order in which they are tried; ``proxy`` is the configured one."""
    if _is_loopback(host):
        return (Route(""),)
    if proxy:
        return (Route(proxy),)
    socks = environ.get("SOCKS_PROXY")
    if not socks:
        return (Route(),)
    through = Route(socks if "://" in socks else f"socks5h://{socks}")
    return (through,) if environ.get("ONLY_SOCKS_PROXY") else (Route(), through)


async def first_open(ways: Sequence[Route], channel_by: Callable[[Route], Channel]) -> Channel:
    """Return the channel of the way that connects first. Each way begins ``FALLBACK_S`` after the one before it.

    If there is only one way, nothing is tried. If none connects, raises the NetworkError of the first one.
    """
    if len(ways) == 1:
        return channel_by(ways[0])
    channels = [channel_by(way) for way in ways]
    tasks = [
        asyncio.create_task(_connect(channel, number * FALLBACK_S), name=f"connect {way}")
        for number, (way, channel) in enumerate(zip(ways, channels, strict=True))
    ]
    chosen = None
    try:
        for done in asyncio.as_completed(tasks):
            with contextlib.suppress(OSError):
                chosen = await done
                return chosen
        return await tasks[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for channel in channels:
            if channel is not chosen:
                channel.close()


async def _connect(channel: Channel, delay_s: float) -> Channel:
    await asyncio.sleep(delay_s)
    await channel.connect()
    return channel


def _is_loopback(host: str) -> bool:
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
