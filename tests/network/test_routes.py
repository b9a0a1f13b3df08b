"""The ways to the cloud: directly and through real proxies, with and without a password."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pycurl
import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from module.errors import NetworkError
from module.local.held_port import HeldPort
from module.network import tls
from module.network.address import Address
from module.network.channel import Channel
from module.network.routes import FALLBACK_S, Route, first_open, routes
from tests.faults.certificates import Authority
from tests.network.raw import Connection, RawServer, answering, raw_server
from tests.network.rig import unary
from tests.network.test_tls import AUTHORITY, HOST, shows

DEAD = "192.0.2.1"
"""TEST-NET-1 of RFC 5737: nobody answers."""
USER, PASSWORD = "robot", "word-that-is-secret"


@contextlib.asynccontextmanager
async def proxy(scheme: str, *, locked: bool, certificate: Path | None = None) -> AsyncIterator[str]:
    """A proxy in another process (pproxy); its URL without credentials. ``certificate``: it speaks TLS."""
    held = HeldPort()
    port = held.number
    credentials = f"#{USER}:{PASSWORD}" if locked else ""
    kind = "socks5" if scheme.startswith("socks5") else "http"
    with_tls = [] if certificate is None else ["--ssl", str(certificate)]
    kind += "" if certificate is None else "+ssl"
    code = "import asyncio, pproxy.server; asyncio.set_event_loop(asyncio.new_event_loop()); pproxy.server.main()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, "-l", f"{kind}://127.0.0.1:{port}{credentials}", *with_tls,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[RawServer, Any]]:
    """A server with TLS, and what makes a channel to it by a way."""
    store = tmp_path / "store.pem"
    store.write_text(AUTHORITY.certificate.pem)
    opened: list[Channel] = []
    async with raw_server(None, answering(), ssl=shows(AUTHORITY.issue(HOST), tmp_path)) as server:

        def channel_by(way: Route) -> Channel:
            def configure(curl: pycurl.Curl) -> None:
                way.take(curl)
                tls.verify(curl, {"SSL_CERT_FILE": str(store)})
                # Directly nobody answers.
                there = DEAD if way.proxy is None else "127.0.0.1"
                curl.setopt(pycurl.RESOLVE, [f"{HOST}:{server.port}:{there}"])

            opened.append(Channel(Address(HOST, server.port, tls=True), configure=configure))
            return opened[-1]

        yield server, channel_by
        for each in opened:
            each.close()


async def ask(channel: Channel) -> bytes:
    return bytes((await unary(channel, "ask")(BytesValue(), timeout=20)).value)


@pytest.mark.parametrize("locked", [False, True], ids=["open", "with a password"])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "http"])
async def test_calls_go_through_a_proxy(served: tuple[RawServer, Any], scheme: str, locked: bool) -> None:
    server, channel_by = served
    async with proxy(scheme, locked=locked) as where:
        credentials = f"{USER}:{PASSWORD}@" if locked else ""
        assert await ask(channel_by(Route(f"{scheme}://{credentials}{where}"))) == b""
    assert len(server.connections) == 1


async def test_a_proxy_with_tls_is_verified_by_the_same_store(served: tuple[RawServer, Any], tmp_path: Path) -> None:
    server, channel_by = served
    for authority, reached in ((Authority("another"), 0), (AUTHORITY, 1)):
        path, certificate = tmp_path / "proxy.pem", authority.issue(HOST)
        path.write_text(certificate.pem + certificate.key_pem)
        async with proxy("http", locked=False, certificate=path) as where:
            way = Route(f"https://{HOST}:{where.rpartition(':')[2]}")
            if reached:
                assert await ask(channel_by(way)) == b""
            else:
                with pytest.raises(NetworkError, match="TLS certificate"):
                    await ask(channel_by(way))
        assert len(server.connections) == reached


@pytest.mark.parametrize("scheme", ["socks5h", "http"])
async def test_a_proxy_that_lets_nobody_in_is_named_without_the_password(
    served: tuple[RawServer, Any], scheme: str
) -> None:
    _, channel_by = served
    async with proxy(scheme, locked=True) as where:
        way = Route(f"{scheme}://{USER}:wrong-{PASSWORD}@{where}")
        with pytest.raises(NetworkError) as refused:
            await ask(channel_by(way))
    assert PASSWORD not in f"{refused.value} {way} {way!r} {refused.value.__cause__!r}"
    assert str(way) == f"through the proxy {where}"


@pytest.mark.parametrize("scheme", ["socks5h", "http"])
async def test_what_fails_behind_a_proxy_is_said_as_without_one(tmp_path: Path, scheme: str) -> None:
    """Such as the certificate of a proxy that looks into connections; the proxy's own answer was no failure."""

    async def no_answer(connection: Connection) -> None:
        await connection.greet()
        await connection.request()
        await connection.request()

    store = tmp_path / "store.pem"
    async with proxy(scheme, locked=False) as where:
        for authority, failure, said, timeout_s in (
            (AUTHORITY, TimeoutError, "was not answered", 2),
            (Authority("another"), NetworkError, "^the TLS certificate", 30),
        ):
            store.write_text(authority.certificate.pem)

            def configure(curl: pycurl.Curl) -> None:
                Route(f"{scheme}://{where}").take(curl)
                tls.verify(curl, {"SSL_CERT_FILE": str(store)})

            async with raw_server(None, no_answer, ssl=shows(AUTHORITY.issue(HOST), tmp_path)) as server:
                channel = Channel(Address(HOST, server.port, tls=True), configure=configure)
                with pytest.raises(failure, match=said):
                    await unary(channel, "ask")(BytesValue(), timeout=timeout_s)
                channel.close()


@pytest.mark.parametrize(
    "given",
    [
        f"http://{USER}:{PASSWORD}@host:99999",
        f"http://{USER}:{PASSWORD}#1@host:8080",
        f"socks5h://{USER}:{PASSWORD}/1@host:1080",
        f"http://{USER}:{PASSWORD}'{'1' * 300}'@host:port",
        f"ftp://{USER}:{PASSWORD}@host:21",
        f"socks5h://[{USER}:{PASSWORD}@host:1080",
    ],
)
async def test_a_proxy_whose_address_is_not_valid_is_no_way_and_is_not_quoted(
    served: tuple[RawServer, Any], given: str
) -> None:
    _, channel_by = served
    way = Route(given)
    with pytest.raises(NetworkError) as of_one:
        await ask(channel_by(way))
    with pytest.raises(NetworkError) as of_both:
        await first_open([way, Route(given)], channel_by)
    assert "proxy" in str(of_one.value)
    assert PASSWORD not in f"{of_one.value} {of_both.value} {way}"


async def test_a_proxy_of_the_environment_that_is_not_valid_is_not_quoted(
    served: tuple[RawServer, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, channel_by = served
    monkeypatch.setenv("HTTPS_PROXY", f"http://{USER}:{PASSWORD}@host:99999")
    monkeypatch.setenv("https_proxy", f"http://{USER}:{PASSWORD}@host:99999")
    with pytest.raises(NetworkError) as refused:
        await ask(channel_by(Route()))
    assert PASSWORD not in str(refused.value)


async def test_a_password_may_have_any_letters(served: tuple[RawServer, Any]) -> None:
    _, channel_by = served
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1"):
        await ask(channel_by(Route(f"http://{USER}:schlüssel@127.0.0.1:1")))


async def test_the_second_way_is_tried_beside_a_first_that_is_dead(served: tuple[RawServer, Any]) -> None:
    server, channel_by = served
    async with proxy("socks5", locked=False) as where:
        begun = time.monotonic()
        channel = await first_open([Route(), Route(f"socks5h://{where}")], channel_by)
        assert await ask(channel) == b""
        assert FALLBACK_S <= time.monotonic() - begun < 10
    assert len(server.connections) >= 1


async def test_the_first_way_is_taken_if_it_is_open(served: tuple[RawServer, Any]) -> None:
    taken: list[Route] = []
    _, channel_by = served

    def noted(way: Route) -> Channel:
        taken.append(way)
        return channel_by(way)  # type: ignore[no-any-return]

    direct, other = Route(""), Route("socks5h://127.0.0.1:1")
    channel = await first_open([direct, other], noted)
    assert await ask(channel) == b""
    assert taken == [direct, other]


async def test_the_first_ways_error_is_raised_if_none_connects(served: tuple[RawServer, Any]) -> None:
    _, channel_by = served
    ways = [Route("socks5h://127.0.0.1:1"), Route("socks5h://127.0.0.1:2")]
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1|localhost"):
        await first_open(ways, channel_by)


@pytest.mark.parametrize(
    ("host", "configured", "environ", "ways"),
    [
        ("app.viam.com", None, {}, [None]),
        ("app.viam.com", None, {"SOCKS_PROXY": "h:1080"}, [None, "socks5h://h:1080"]),
        ("app.viam.com", None, {"SOCKS_PROXY": "socks5://u:p@h:1"}, [None, "socks5://u:p@h:1"]),
        ("app.viam.com", None, {"SOCKS_PROXY": "h:1080", "ONLY_SOCKS_PROXY": "1"}, ["socks5h://h:1080"]),
        ("app.viam.com", None, {"ONLY_SOCKS_PROXY": "1"}, [None]),
        ("app.viam.com", "http://p:8080", {"SOCKS_PROXY": "h:1080"}, ["http://p:8080"]),
        ("127.0.0.1", "http://p:8080", {"SOCKS_PROXY": "h:1080", "ONLY_SOCKS_PROXY": "1"}, [""]),
        ("localhost", None, {"SOCKS_PROXY": "h:1080"}, [""]),
        ("::1", None, {"SOCKS_PROXY": "h:1080"}, [""]),
    ],
)
def test_the_ways_are_viam_servers(
    host: str, configured: str | None, environ: Mapping[str, str], ways: list[str | None]
) -> None:
    assert [way.proxy for way in routes(host, configured, environ)] == ways


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
async def test_the_direct_way_heeds_what_curl_heeds(
    served: tuple[RawServer, Any], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    server, channel_by = served
    for name in tuple(os.environ):
        if name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    async with proxy("http", locked=False) as where:
        monkeypatch.setenv(variable, f"http://{where}")
        assert await ask(channel_by(Route())) == b""
    assert len(server.connections) == 1


@pytest.mark.parametrize("dead", [DEAD, "127.0.0.2"], ids=["lets nothing through", "refuses"])
async def test_an_address_that_is_dead_is_passed_over(path: Path, dead: str) -> None:
    """The first of a name's two."""
    async with raw_server(None, answering()) as server:

        def configure(curl: pycurl.Curl) -> None:
            curl.setopt(pycurl.PROXY, "")
            curl.setopt(pycurl.RESOLVE, [f"two.example:{server.port}:{dead},127.0.0.1"])

        channel = Channel(Address("two.example", server.port), configure=configure)
        begun = time.monotonic()
        assert await ask(channel) == b""
        assert time.monotonic() - begun < 10
        channel.close()
