"""The ways to the cloud: directly, or through a proxy, as viam-server goes.

- ``cloud.proxy`` is the only way if it is set; so is ``SOCKS_PROXY`` if ``ONLY_SOCKS_PROXY`` is set beside it.
- Otherwise the direct way comes first, and ``SOCKS_PROXY`` is tried too if that does not connect within 300 ms.
- On the direct way ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` mean what they mean to curl.
- Loopback is never behind a proxy. A proxy's password is in no text.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pycurl

from module.network.channel import Channel

FALLBACK_S = 0.3
"""How long the first way has before the next is tried beside it."""
SCHEMES = ("socks5", "socks5h", "http", "https")


@dataclass(frozen=True, slots=True)
class Route:
    """One way; without a proxy it is the direct one."""

    proxy: str | None = field(default=None, repr=False)
    """With its password, as libcurl takes it; empty: not even one that the environment names."""

    def __str__(self) -> str:
        """For people, without the password."""
        if not self.proxy:
            return "directly"
        parts = urlsplit(self.proxy)
        port = "" if parts.port is None else f":{parts.port}"
        return f"through the proxy {parts.hostname}{port}"

    def take(self, curl: pycurl.Curl) -> None:
        """Have a handle go this way."""
        if self.proxy is not None:
            curl.setopt(pycurl.PROXY, self.proxy)
            # What the environment excepts was meant for its own proxies.
            curl.setopt(pycurl.NOPROXY, "")


def routes(host: str, proxy: str | None, environ: Mapping[str, str]) -> Sequence[Route]:
    """The ways to a host, the first one first; ``proxy`` is the one that is configured."""
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
    """The channel by the first way that connects, each begun a little after the one before it.

    Where there is one way only, nothing is tried. Raises NetworkError, the first way's, if none connects.
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
