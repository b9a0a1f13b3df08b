"""Whom a channel trusts, and what it says of those that it does not."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import warnings
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pycurl
import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from module.errors import NetworkError
from module.network import tls
from module.network.address import Address
from module.network.channel import Channel
from tests.faults.certificates import Authority, Certificate, self_signed
from tests.network.raw import Connection, answering, raw_server
from tests.network.rig import unary

HOST = "localhost"
AUTHORITY = Authority()


def shows(certificate: Certificate, folder: Path, *protocols: str) -> ssl.SSLContext:
    path = folder / "server.pem"
    path.write_text(certificate.pem + certificate.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.set_alpn_protocols(protocols or ("h2",))
    return context


@pytest.fixture
def store(tmp_path: Path) -> Mapping[str, str]:
    """An environment that trusts one authority."""
    path = tmp_path / "store.pem"
    path.write_text(AUTHORITY.certificate.pem)
    return {"SSL_CERT_FILE": str(path)}


@contextlib.asynccontextmanager
async def trusting(port: int, environ: Mapping[str, str]) -> AsyncIterator[Channel]:
    def configure(curl: pycurl.Curl) -> None:
        curl.setopt(pycurl.PROXY, "")
        tls.verify(curl, environ)

    channel = Channel(Address(HOST, port, tls=True), configure=configure)
    yield channel
    channel.close()


async def test_a_server_that_is_vouched_for_is_called(tmp_path: Path, store: Mapping[str, str]) -> None:
    async with (
        raw_server(None, answering(), ssl=shows(AUTHORITY.issue(HOST), tmp_path)) as server,
        trusting(server.port, store) as channel,
    ):
        assert (await unary(channel, "ask")(BytesValue(), timeout=10)).value == b""


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        (lambda: AUTHORITY.issue(HOST, expired=True), r"has expired, or this machine's clock, which says 2\d\d\d-"),
        (
            lambda: AUTHORITY.issue(HOST, early=True),
            "is not valid yet: this machine's clock, which says 2",
        ),
        (lambda: self_signed(HOST), "was not issued by an authority that this machine trusts"),
        (
            lambda: Authority("another").issue(HOST),
            "was not issued by an authority that this machine trusts, or the serv",
        ),
        (lambda: AUTHORITY.issue("other.example"), "is for another name"),
    ],
    ids=["expired", "not yet valid", "self-signed", "unknown issuer, or an intermediate missing", "wrong name"],
)
async def test_a_server_that_is_not_trusted_gets_nothing_and_the_error_says_why(
    tmp_path: Path, store: Mapping[str, str], certificate: object, said: str
) -> None:
    heard: list[int] = []

    async def listen(connection: Connection) -> None:
        await connection.greet()
        heard.append(await connection.request())

    assert callable(certificate)
    async with (
        raw_server(None, listen, ssl=shows(certificate(), tmp_path)) as server,
        trusting(server.port, store) as channel,
    ):
        with pytest.raises(NetworkError, match=f"^the TLS certificate of {HOST} {said}"):
            await unary(channel, "ask")(BytesValue(), timeout=10)
        await asyncio.sleep(0)
    assert heard == []


async def test_old_tls_is_refused(tmp_path: Path, store: Mapping[str, str]) -> None:
    context = shows(AUTHORITY.issue(HOST), tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with raw_server(None, answering(), ssl=context) as server, trusting(server.port, store) as channel:
        with pytest.raises(NetworkError, match="localhost"):
            await unary(channel, "ask")(BytesValue(), timeout=10)


async def test_a_machine_without_a_store_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "STORES", ("/nowhere/at/all.pem",))
    monkeypatch.setattr("sys.platform", "linux")
    async with trusting(1, {}) as channel:
        with pytest.raises(NetworkError, match="set SSL_CERT_FILE"):
            await unary(channel, "ask")(BytesValue(), timeout=10)


async def test_the_path_of_a_store_may_have_any_letters(tmp_path: Path, store: Mapping[str, str]) -> None:
    named = Path(store["SSL_CERT_FILE"]).rename(tmp_path / "größer.pem")
    async with (
        raw_server(None, answering(), ssl=shows(AUTHORITY.issue(HOST), tmp_path)) as server,
        trusting(server.port, {"SSL_CERT_FILE": str(named), "SSL_CERT_DIR": f"{tmp_path}/größe"}) as channel,
    ):
        assert (await unary(channel, "ask")(BytesValue(), timeout=10)).value == b""


async def test_a_named_store_that_is_not_there_trusts_nobody(tmp_path: Path) -> None:
    async with (
        raw_server(None, answering(), ssl=shows(AUTHORITY.issue(HOST), tmp_path)) as server,
        trusting(server.port, {"SSL_CERT_FILE": str(tmp_path / "none.pem")}) as channel,
    ):
        with pytest.raises(NetworkError, match="localhost"):
            await unary(channel, "ask")(BytesValue(), timeout=10)
