"""What happens to the fleet, act by act, and the figures of each."""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fleet.cloud import FleetCloud, Mood
from benchmarks.fleet.figures import Act, act, rates
from benchmarks.fleet.fleet import Books, Fleet, started
from benchmarks.fleet.load import Load

ROOM = 2.0
"""How many times the steady requests the cloud takes that has returned short of room."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of the simulation."""

    machines: int
    processes: int
    outage_s: float
    calm_s: float
    """Before the first act, from which the steady rate comes."""
    after_s: float
    """For which each act is watched from the cloud's return on."""
    load: Load = field(default_factory=Load)


@dataclass(frozen=True, slots=True)
class Curve:
    """Events a second of an act, in buckets of a second."""

    name: str
    first_s: int
    """The first bucket's second; 0 is the cloud's return."""
    tries: list[float]
    """At the machines."""
    requests: list[float]
    """At the cloud."""
    authentications: list[float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of all acts."""

    acts: list[Act]
    curves: list[Curve]
    books: Books


_Span = tuple[float, float, float]


class Happening(enum.StrEnum):
    """What befalls the cloud in an act."""

    GONE = "connections are refused"
    """Its address refuses connections; then it is there again, and knows its tokens."""
    NEW = "the same, and all tokens are forgotten"
    """Its address refuses connections; then a cloud that knows no token is there."""
    AWAY = "UNAVAILABLE to everything"
    """It answers each call so; then it serves again."""
    SHORT = f"the same, then room for {ROOM:g} times the steady requests"
    """It answers each call so; then it serves so many uploads a second, and answers the others RESOURCE_EXHAUSTED."""
    HOURS = "upload.active_hours open"
    """It is there all the time: the machines waited for one hour, the same for all of them."""
    FORGETFUL = "all tokens are forgotten, without an outage"
    """It takes no token that it has given."""


class Stage:
    """A cloud, a fleet, and what befalls them."""

    def __init__(self, cloud: FleetCloud, fleet: Fleet, size: Size) -> None:
        self._cloud = cloud
        self._fleet = fleet
        self._size = size

    async def play(self, happening: Happening) -> _Span:
        """One act; the moments of its beginning, of the cloud's return and of its end."""
        begun = time.monotonic()
        lasts_s = 0.0 if happening is Happening.FORGETFUL else self._size.outage_s
        await self._leave(happening, lasts_s)
        # The books are marked in the last tenth: machines that waited for an hour are gone when it comes.
        await asyncio.sleep(max(0.0, begun + lasts_s - 0.1 - time.monotonic()))
        await self._fleet.mark()
        home = max(time.monotonic(), begun + lasts_s) if happening is Happening.HOURS else time.monotonic()
        await self._come_back(happening)
        await asyncio.sleep(self._size.after_s)
        self._cloud.most_per_s = None
        return begun if happening is not Happening.FORGETFUL else home, home, time.monotonic()

    async def _leave(self, happening: Happening, seconds: float) -> None:
        if happening in (Happening.GONE, Happening.NEW):
            await self._cloud.stop()
        elif happening in (Happening.AWAY, Happening.SHORT):
            self._cloud.mood = Mood.AWAY
        elif happening is Happening.HOURS:
            await self._fleet.hold(seconds)

    async def _come_back(self, happening: Happening) -> None:
        self._cloud.mood = Mood.WELL
        if happening in (Happening.NEW, Happening.FORGETFUL):
            self._cloud.forget_tokens()
        if happening is Happening.SHORT:
            self._cloud.most_per_s = ROOM * self._size.machines * self._size.load.requests_per_s
        if happening in (Happening.GONE, Happening.NEW):
            await self._cloud.start()


async def play(size: Size, directory: Path, happenings: Sequence[Happening] = tuple(Happening)) -> Outcome:
    """The acts, one after the other, on one fleet; the spools lie in ``directory``."""
    cloud = FleetCloud(size.machines)
    address = await cloud.start()
    try:
        async with started(
            address, directory, machines=size.machines, processes=size.processes, load=size.load
        ) as fleet:
            await fleet.ready()
            # The first uploads and their authentications are no part of the calm.
            await asyncio.sleep(2 * size.load.batch_wait_s)
            calm = time.monotonic()
            await asyncio.sleep(size.calm_s)
            steady = sum(rates(cloud.times["requests"], calm, calm + size.calm_s)) / int(size.calm_s)
            stage = Stage(cloud, fleet, size)
            spans = [(happening, await stage.play(happening)) for happening in happenings]
            books = await fleet.end()
    finally:
        await cloud.stop()
    return _outcome(cloud, spans, books, steady)


def _outcome(cloud: FleetCloud, spans: Sequence[tuple[Happening, _Span]], books: Books, steady: float) -> Outcome:
    times = {name: sorted(cloud.times[name]) for name in ("connections", "authentications", "requests", "refused")}
    acts, curves = [], []
    for index, (name, span) in enumerate(spans):
        back, drained = ([machine[key][index] for machine in books.machines] for key in ("back", "drained"))
        acts.append(act(name, span, steady=steady, times=times, attempts=books.attempts, back=back, drained=drained))
        before = round(min(span[1] - span[0], 20.0)) or 5
        begin = span[1] - before
        curves.append(
            Curve(
                name,
                -before,
                rates(books.attempts, begin, span[2]),
                rates(times["requests"], begin, span[2]),
                rates(times["authentications"], begin, span[2]),
            )
        )
    return Outcome(acts, curves, books)
