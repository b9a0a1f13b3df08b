"""What an address may be other than the cloud's: the module is pointed at it, and later the cloud answers there."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import re
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.faults.bench import RATES_HZ, Bench
from tests.faults.certificates import Authority, Certificate, self_signed
from tests.faults.ledger import Row
from tests.faults.link import ClosedDoor, Link
from tests.process.rig import Beside
from tests.waiting import until

SHORT_OUTAGE_S, LONG_OUTAGE_S = 3.0, 60.0
DRAINED_S = 10.0
"""The promise: so long after the cloud's return the backlog of an outage of 60 s is drained, with default retries."""
_NOWHERE = "courier-test.invalid"
"""A name that never resolves (RFC 6761, section 6.4)."""
_HOST = "localhost"
_TLS_HANDSHAKE = b"\x16\x03"
_QUICK_S = 5.0
"""For what must not wait for the network: far below the 20 s that a connection may take."""
_GENEROUS_S = 60.0


class Place:
    """A bench whose module trusts one authority, and may be pointed elsewhere."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.bench = Bench(folder, chance, "address")
        self.bench.may_fail = False
        self.authority = Authority()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        trusted = folder / "authority.pem"
        trusted.write_text(self.authority.certificate.pem)
        self.bench.environ["SSL_CERT_FILE"] = str(trusted)

    async def point_at(self, address: str, **upload: Any) -> None:
        """Have the module upload to this address; that must not wait for the network."""
        bench = self.bench
        usual = bench.attributes
        bench.attributes = {"cloud": {"address": address}, "upload": {**usual["upload"], **upload}}
        try:
            async with Beside() as beside:
                seconds = await bench.reconfigure()
        finally:
            bench.attributes = usual
        assert seconds < _QUICK_S + beside.late_s, f"closing and starting took {seconds:.1f} s"

    async def offline(self, error: str, seconds: float) -> None:
        """Wait until the module says this of the cloud, in one line; then see that captures go on and nothing arrives.

        ``error``: a regular expression.
        """
        status = await self.bench.rig.until(
            lambda status: bool(re.search(error, status["upload"]["last_error"] or "")), _GENEROUS_S
        )
        # What the cloud had taken in before may have been stored until then.
        await until(lambda: not self.bench.cloud._under_way)
        stored = len(self.bench.cloud.arrivals)
        assert status["upload"]["state"] == "offline", status
        assert "\n" not in status["upload"]["last_error"], status
        await self.goes_on(seconds)
        assert len(self.bench.cloud.arrivals) == stored

    async def goes_on(self, seconds: float) -> None:
        """See that the module captures, for so long and three captures more, and answers at once; nothing fails."""
        await asyncio.sleep(seconds)
        async with Beside() as beside:
            begun = time.monotonic()
            status = await self.bench.rig.status()
            took = time.monotonic() - begun
        assert took < _QUICK_S + beside.late_s
        assert not status["spool"]["failed"], status
        assert not status["upload"]["connected"], status
        more = {key: status["sources"][key]["captured"] + 3 for key in RATES_HZ}
        await self.bench.rig.until(
            lambda status: all(status["sources"][key]["captured"] >= more[key] for key in more), _GENEROUS_S
        )

    async def delivers(self) -> float:
        """Return once what was reported until now has arrived; gives the seconds that this took."""
        bench, begun = self.bench, time.monotonic()
        bench.take()
        backlog = bench.ledger.waiting
        assert backlog

        def arrived() -> bool:
            bench.take()
            return backlog <= bench.ledger.delivered

        await bench.cloud.wait_for(arrived, _GENEROUS_S)
        return time.monotonic() - begun

    def tls(self, certificate: Certificate) -> ssl.SSLContext:
        """What a server needs to show this certificate."""
        file = self._folder / "server.pem"
        file.write_text(certificate.pem + certificate.key_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        context.set_alpn_protocols(["h2"])
        return context


AddressFault = Callable[[Place, str, float], Awaitable[None]]
"""Begins and strikes under the name that it is given, and ends when the module delivers again."""


async def nowhere(place: Place, name: str, seconds: float) -> None:
    """A host whose name does not resolve; then the configuration is fixed."""
    place.bench.begin(name)
    await place.point_at(f"https://{_NOWHERE}")
    await place.offline(re.escape(_NOWHERE), seconds)
    place.bench.strike()
    await place.point_at(place.bench.rig.address)
    await place.delivers()


async def silent(place: Place, name: str, seconds: float) -> None:
    """A server that reads and says nothing, until it is restarted."""
    link = Link(place.bench.link.port)
    link.silent = True
    async with contextlib.AsyncExitStack() as stack:
        address = await link.open()
        stack.push_async_callback(link.close)
        place.bench.begin(name)
        await place.point_at(address)
        await until(lambda: link.heard > 0)
        await place.goes_on(seconds)
        # While it waits for an answer it must be as quick to close as to start.
        await place.point_at(address)
        await until(lambda: link.taken > 1)
        await place.goes_on(0)
        place.bench.strike()
        link.silent = False
        await link.cut()
        await place.delivers()
        await place.point_at(place.bench.rig.address)


async def closed_door(place: Place, name: str, seconds: float) -> None:
    """An address that takes no connections in, and refuses none either, until it does."""
    door, link = ClosedDoor(), Link(place.bench.link.port)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(door.open)
        await door.shut()
        place.bench.begin(name)
        await place.point_at(door.address)
        await place.goes_on(seconds)
        await place.point_at(door.address)
        await place.goes_on(0)
        assert not link.taken
        place.bench.strike()
        door.open()
        await link.open(sock=door.sock)
        stack.push_async_callback(link.close)
        await place.delivers()
        await place.point_at(place.bench.rig.address)


async def impostor(
    place: Place, name: str, seconds: float, *, show: Callable[[Place], Certificate], error: str
) -> None:
    """Where the cloud was, somebody has another certificate, for a while."""
    right, wrong = Link(place.bench.link.port), Link(place.bench.link.port)
    async with contextlib.AsyncExitStack() as stack:
        ports = []
        for link, certificate in ((right, place.authority.issue(_HOST)), (wrong, show(place))):
            ports.append(_port(await link.open(tls=place.tls(certificate))))
            stack.push_async_callback(link.close)
        road = Link(ports[0])
        address = f"https://{_HOST}:{_port(await road.open())}"
        stack.push_async_callback(road.close)
        await place.point_at(address)
        await place.bench.captured(3)
        await place.delivers()
        assert right.heard

        place.bench.begin(name)
        road.port = ports[1]
        await road.cut()
        await place.offline(f"the TLS certificate of .*{error}", seconds)
        # Afresh: it has no token any more, and would have to send the key.
        await place.point_at(address)
        await place.offline(f"the TLS certificate of .*{error}", 0)
        place.bench.strike()
        # libcurl looks at the name once the handshake stands: it is what is said after it that counts.
        assert wrong.heard == 0, "the impostor was spoken to"

        road.port = ports[0]
        await road.cut()
        await place.delivers()
        assert all(opening.startswith(_TLS_HANDSHAKE) for opening in road.openings), "not in TLS"
        await place.point_at(place.bench.rig.address)


async def outage(place: Place, name: str, seconds: float) -> None:
    """The cloud is away with the retries of the defaults, and once it is back the backlog is drained in time.

    Uploads have so much time that none ends only because the computer is busy.
    """
    await place.point_at(place.bench.rig.address, retry_initial_s=0.5, retry_max_s=300, timeout_s=30)
    await place.bench.captured(3)
    await place.delivers()
    place.bench.begin(name)
    await place.bench.set_cloud(up=False)
    await asyncio.sleep(seconds)
    place.bench.strike()
    await place.bench.set_cloud(up=True)
    async with Beside() as beside:
        drained = await place.delivers()
    assert drained < DRAINED_S + beside.late_s, (
        f"after {seconds:g} s without the cloud the backlog took {drained:.1f} s"
    )
    await place.point_at(place.bench.rig.address)


def _wrong(show: Callable[[Place], Certificate], error: str) -> AddressFault:
    return functools.partial(impostor, show=show, error=error)


FAULTS: dict[str, AddressFault] = {
    "DNS fails": nowhere,
    "an address that accepts and never answers": silent,
    "an address that never accepts": closed_door,
    "a TLS certificate for another host": _wrong(lambda place: place.authority.issue("elsewhere.test"), "another name"),
    "a TLS certificate that has expired": _wrong(lambda place: place.authority.issue(_HOST, expired=True), "expired"),
    "a TLS certificate that no authority has signed": _wrong(lambda _: self_signed(_HOST), "self.signed"),
}
OUTAGE = "the cloud is away for {:g} s, default retries"


async def address_round(place: Place, name: str, fault: AddressFault, seconds: float) -> None:
    """Let the module meet one of these addresses for so long, and see that nothing is missing."""
    await place.bench.captured(3)
    await fault(place, name, seconds)
    await place.bench.settle()


async def address_rounds(folder: Path, chance: random.Random, minutes: float) -> dict[str, Row]:
    """All of these addresses in turn, for random times, and an outage of a minute, until so many minutes have passed.

    Each of them is met at least once. Gives the books.
    """
    place, until = Place(folder, chance), time.monotonic() + minutes * 60
    async with place.bench.open():
        while True:
            for name, fault in FAULTS.items():
                await address_round(place, name, fault, chance.uniform(0.3, 5.0))
            await address_round(place, OUTAGE.format(LONG_OUTAGE_S), outage, LONG_OUTAGE_S)
            if time.monotonic() >= until:
                return dict(place.bench.ledger.rows)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
