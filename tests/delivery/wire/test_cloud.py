"""Sessions with the cloud: one connection, one token, and what it takes to get them."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpclib import Status

from module.attributes.uploader import CloudConfig
from module.delivery.outcome import Verdict, judge, say
from module.delivery.wire import cloud as cloud_module
from module.delivery.wire.cloud import Cloud, NotAdmitted, Session
from module.errors import NetworkError
from module.local.calls import Refusal
from module.local.cloud import LocalCloud
from tests.delivery.rig import KEY, KEY_ID, PART, config_of, local_cloud
from tests.network.raw import HEADERS, Connection, raw_server


def client_of(address: str, *, api_key: str = KEY) -> Cloud:
    settings: CloudConfig = config_of(Path("/unused"), address, upload={}, api_key=api_key).cloud
    return Cloud(settings, timeout_s=5, chunk_bytes=4096)


@pytest.fixture
async def served() -> AsyncIterator[tuple[LocalCloud, Cloud]]:
    async with local_cloud() as (local, address):
        client = client_of(address)
        yield local, client
        client.close()


async def upload(session: Session) -> str:
    return await session.client.file_upload(PART, b"x")


async def test_many_uploads_share_one_connection_and_one_token(served: tuple[LocalCloud, Cloud]) -> None:
    local, client = served
    sessions: list[Session] = []

    async def use() -> None:
        async with client.session() as session:
            sessions.append(session)
            await upload(session)

    await asyncio.gather(*(use() for _ in range(20)))
    assert len(set(map(id, sessions))) == 1
    assert (local.authentications, len(local.arrivals)) == (1, 20)
    assert client.part_id == PART


async def test_a_retired_session_ends_once_its_last_user_has(served: tuple[LocalCloud, Cloud]) -> None:
    """And the next one has a channel of its own: whoever has a token is not given another."""
    local, client = served
    async with client.session() as old:
        await upload(old)
        assert client.retire(old, token=True)
        assert not client.retire(old, token=True)
        async with client.session() as new:
            assert new.channel is not old.channel
            await upload(new)
        await upload(old)
        assert not old.channel.closed
    assert old.channel.closed
    assert local.authentications == 2
    async with client.session() as again:
        assert again is new
    assert len(local.arrivals) == 3


async def test_a_broken_connection_costs_no_token(served: tuple[LocalCloud, Cloud]) -> None:
    local, client = served
    async with client.session() as old:
        await upload(old)
    assert client.retire(old, token=False)
    async with client.session() as new:
        await upload(new)
    assert new.channel is not old.channel
    assert local.authentications == 1


async def test_a_session_survives_an_outage(served: tuple[LocalCloud, Cloud]) -> None:
    local, client = served
    async with client.session() as session:
        await upload(session)
    await local.stop()
    async with client.session() as session:
        with pytest.raises(OSError, match=r"127\.0\.0\.1"):
            await upload(session)
    await local.start()
    async with client.session() as session:
        await upload(session)
    assert len(local.arrivals) == 2


async def test_a_key_that_is_not_accepted_is_named_but_never_shown() -> None:
    async with local_cloud() as (local, address):
        client = client_of(address, api_key="the-wrong-key")
        with pytest.raises(NotAdmitted) as refused:
            async with client.session():
                pass
        text = str(refused.value)
        assert KEY_ID in text
        assert "UNAUTHENTICATED" in text
        assert "the-wrong-key" not in text + repr(client) + repr(refused.value.__cause__)
        local.api_keys[KEY_ID] = "the-wrong-key"
        async with client.session() as session:
            await upload(session)
        client.close()


@pytest.mark.parametrize(
    "status",
    [
        each
        for each in Status
        if each is not Status.OK
        and each not in (Status.UNAUTHENTICATED, Status.PERMISSION_DENIED, Status.INVALID_ARGUMENT, Status.NOT_FOUND)
    ],
    ids=lambda status: status.name,
)
async def test_an_authentication_that_fails_is_no_verdict_on_a_capture(status: Status) -> None:
    """Such as that of a cloud whose database is away, or of a server that is not Viam's."""

    async def fail(connection: Connection) -> None:
        await connection.greet()
        stream, said = (
            await connection.request(),
            [("grpc-status", str(status.value)), ("grpc-message", "larger than max")],
        )
        connection.write(connection.headers(stream, [*HEADERS, *said], end=True))

    async with raw_server(None, fail) as server:
        client = client_of(f"http://127.0.0.1:{server.port}")
        with pytest.raises(NetworkError, match=f"authenticate this machine: {status.name}: larger than max") as failed:
            async with client.session():
                pass
        assert judge(failed.value) is Verdict.AWAY


async def test_errors_quote_neither_the_key_nor_any_token(served: tuple[LocalCloud, Cloud]) -> None:
    local, client = served
    tokens: list[str] = []

    async def tell(_: object) -> None:
        tokens.extend(local._tokens)
        raise Refusal(grpc.StatusCode.INTERNAL, f"key {KEY}, tokens {' '.join(local._tokens)}")

    local.judge = tell
    async with client.session() as session:
        client.retire(session, token=True)
        async with client.session() as new:
            for each in (session, new):
                with pytest.raises(Exception, match="INTERNAL") as told:
                    await upload(each)
                text = client.redact(say(told.value))
                assert "[secret]" in text
                assert not any(secret in text for secret in (KEY, *tokens))
    assert len(set(tokens)) == 2


async def test_closing_ends_the_session_and_a_new_one_may_follow(served: tuple[LocalCloud, Cloud]) -> None:
    local, client = served
    async with client.session() as session:
        await upload(session)
    client.close()
    client.close()
    async with client.session() as session:
        await upload(session)
    assert local.authentications == 1


@contextlib.asynccontextmanager
async def listening(heard: list[bytes], certificate: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A port where somebody listens, and never says a word."""
    listeners: set[asyncio.Task[None]] = set()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener = asyncio.current_task()
        assert listener is not None
        listeners.add(listener)
        try:
            while data := await reader.read(1000):
                heard.append(data)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=certificate)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
        await server.wait_closed()


async def test_an_address_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_module, "CONNECT_TIMEOUT_S", 0.2)

    async with listening([]) as port, asyncio.timeout(15):
        with pytest.raises(TimeoutError, match=r"127\.0\.0\.1 did not answer the authentication in time"):
            async with client_of(f"http://127.0.0.1:{port}").session():
                pass
        with pytest.raises(TimeoutError, match=r"in time$"):
            async with client_of(f"https://127.0.0.1:{port}").session():
                pass


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    """What a server shows that signed its certificate itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    subprocess.run(
        [openssl, "req", "-x509", *curve, *subject, "-keyout", key, "-out", cert], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["h2"])
    return context


async def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: ssl.SSLContext) -> None:
    """So nobody in between gets to see the key."""
    heard: list[bytes] = []
    async with listening(heard, certificate) as port:
        with pytest.raises(NetworkError) as refused:
            async with client_of(f"https://localhost:{port}").session():
                pass
    assert judge(refused.value) is Verdict.AWAY
    assert say(refused.value).startswith(
        "the TLS certificate of localhost was not issued by an authority that this machine trusts"
    )
    assert heard == []
