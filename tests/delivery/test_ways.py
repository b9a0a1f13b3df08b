"""What proxies, balancers and slow clouds do on the way, and what becomes of uploads then."""

from __future__ import annotations

import asyncio
import collections
import itertools
import sys
import time
from pathlib import Path
from socket import has_dualstack_ipv6

import pytest
from viam.proto.rpc.auth import AuthenticateResponse

from module.local.calls import Call
from tests.delivery.rig import Rig, Starter, config_of, file_of, image, local_cloud, row
from tests.faults.link import ClosedDoor
from tests.network.raw import HEADERS, OK, Connection, raw_server

AGE_MS = 1000


async def test_connections_that_are_aged_out_carry_uploads_to_their_end(start: Starter, tmp_path: Path) -> None:
    """A file that takes three of their ages arrives at its first try, small uploads beside it too, and each once."""
    options = [("grpc.max_connection_age_ms", AGE_MS)]
    rate, seconds = 400_000, 3
    rig = await start(cloud={"options": options}, max_bytes_per_s=rate, concurrency=8)
    await rig.append(file_of(tmp_path, rate * seconds))
    states = set()
    for number in range(40):
        await rig.append(row(number))
        states.add(rig.status()["state"])
        await asyncio.sleep(seconds / 40)
    await rig.flush(30)
    assert collections.Counter(rig.rows()) == collections.Counter(range(40))
    assert [arrival.size for arrival in rig.cloud.arrivals if arrival.size > 10_000] == [rate * seconds]
    assert (rig.status()["retries"], states - {"uploading", "idle"}) == (0, set())


@pytest.mark.skipif(not has_dualstack_ipv6() or sys.platform != "linux", reason="localhost has one address only")
async def test_a_first_address_that_is_dead_delays_the_first_upload_by_less_than_two_seconds(tmp_path: Path) -> None:
    """The cloud's name has an IPv6 address, to which the route is broken, and an IPv4 one."""
    async with local_cloud() as (cloud, address):
        port = int(address.rpartition(":")[2])
        door = ClosedDoor("::1", port)
        await door.shut()
        # The quickest of three each: one may be slow only because the computer is busy.
        seconds: dict[str, list[float]] = {"127.0.0.1": [], "localhost": []}
        for number, host in itertools.product(range(3), seconds):
            rig = Rig(config_of(tmp_path / f"{host}{number}", f"http://{host}:{port}", upload={}), cloud)
            cloud.arrivals.clear()
            begun = time.monotonic()
            await rig.open()
            await rig.append(row(1))
            await rig.until(lambda rig=rig: rig.rows() == [1])  # type: ignore[misc]
            seconds[host].append(time.monotonic() - begun)
            await rig.close()
            assert rig.status()["retries"] == 0
        door.open()
        door.sock.close()
    assert min(seconds["localhost"]) < min(seconds["127.0.0.1"]) + 2


async def test_a_page_on_the_way_is_not_the_clouds_verdict(tmp_path: Path) -> None:
    """Captures wait, and none of them is among the failures."""
    uploads = 0

    async def script(connection: Connection) -> None:
        nonlocal uploads
        await connection.greet()
        while True:
            stream = await connection.request()
            if connection.asked[stream][":path"].endswith("/Authenticate"):
                data = AuthenticateResponse(access_token="token").SerializeToString()
                connection.write(
                    connection.headers(stream, HEADERS),
                    connection.data(stream, b"\0" + len(data).to_bytes(4, "big") + data),
                    connection.headers(stream, OK, end=True),
                )
                continue
            uploads += 1
            status = ("404", "302", "500", "401", "403")[uploads % 5]
            connection.write(connection.headers(stream, [(":status", status), ("content-type", "text/html")]))
            connection.write(connection.data(stream, b"<html></html>", end=True))

    async with raw_server(None, script) as server, local_cloud() as (cloud, _):
        rig = Rig(config_of(tmp_path / "spool", f"http://127.0.0.1:{server.port}", upload={}), cloud)
        await rig.open()
        await rig.append(*(row(n) for n in range(5)), image(1))
        await rig.until(lambda: uploads > 12)
        assert rig.status()["state"] == "offline"
        assert "the answer is not a gRPC server's: HTTP status" in rig.status()["last_error"]
        assert (rig.store.failed, rig.store.items) == (0, 6)
        await rig.close()


async def test_a_cloud_that_answers_late_gets_few_copies(start: Starter) -> None:
    """It takes all bytes, and says so three timeouts later."""
    rig = await start(timeout_s=0.4)

    async def late(_: Call) -> None:
        await asyncio.sleep(1.2)

    rig.cloud.judge = late
    await rig.append(image(1, size=50_000))
    await rig.flush(20)
    assert rig.images()[0] == 1
    assert rig.cloud.calls.total() <= 4


async def test_a_cloud_that_takes_no_more_bytes_is_noticed_in_time(start: Starter) -> None:
    """However patient it has become with late answers."""
    rig = await start(timeout_s=0.3, chunk_bytes=50_000)
    held = asyncio.Event()

    async def hold(_: Call) -> None:
        await held.wait()

    rig.cloud.judge = hold
    begun = time.monotonic()
    await rig.append(image(1, size=20_000_000, upload_as="streaming"))
    await rig.until(lambda: rig.status()["last_error"] is not None)
    assert time.monotonic() - begun < 30
    held.set()
    await rig.flush(20)
    # A busy computer may be late with the answer to the second try, too.
    assert set(rig.images()) == {1}
