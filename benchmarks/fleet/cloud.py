"""The demo's cloud, which notes when what came in, and can be made to fail as a whole."""

from __future__ import annotations

import enum
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import grpc
from viam.gen.proto.rpc.v1.auth_pb2 import AuthenticateRequest, AuthenticateResponse

from benchmarks.fleet.identity import key_id, key_of, part_of
from module.local.cloud import LocalCloud


class Mood(enum.Enum):
    """What the cloud makes of calls."""

    WELL = "well"
    """It serves them."""
    AWAY = "away"
    """It answers all of them, authentications included, with UNAVAILABLE."""


class FleetCloud(LocalCloud):
    """A cloud for so many machines. All times are of the monotonic clock, which all processes of a computer share."""

    mood: Mood = Mood.WELL
    most_per_s: float | None = None
    """Above so many uploads a second the cloud answers RESOURCE_EXHAUSTED; None: it takes what comes."""

    def __init__(self, machines: int) -> None:
        numbers = range(machines)
        super().__init__(None, api_keys={key_id(n): key_of(n) for n in numbers}, part_ids={part_of(n) for n in numbers})
        self.times: defaultdict[str, list[float]] = defaultdict(list)
        """When: ``connections`` (with their first call), ``authentications``, ``requests`` (uploads, whatever became of
        them), ``refused`` (those of either kind that were not served)."""
        self._peers: set[str] = set()
        self._room = 0.0
        self._looked = 0.0

    async def _authenticate(self, request: AuthenticateRequest, context: Any) -> AuthenticateResponse:
        await self._note("authentications", context)
        return await super()._authenticate(request, context)

    async def _upload(self, response: type[Any], requests: AsyncIterator[Any], context: Any) -> Any:
        await self._note("requests", context)
        if not self._has_room():
            self.times["refused"].append(time.monotonic())
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many uploads at once")
        return await super()._upload(response, requests, context)

    async def _admit(self, context: Any) -> None:
        try:
            await super()._admit(context)
        except grpc.aio.AbortError:
            self.times["refused"].append(time.monotonic())
            raise

    async def _note(self, kind: str, context: Any) -> None:
        now, peer = time.monotonic(), context.peer()
        if peer not in self._peers:
            self._peers.add(peer)
            self.times["connections"].append(now)
        self.times[kind].append(now)
        if self.mood is Mood.AWAY:
            self.times["refused"].append(now)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the cloud is away")

    def _has_room(self) -> bool:
        if self.most_per_s is None:
            return True
        now = time.monotonic()
        # A bucket that holds a tenth of a second, so that the limit is one of every moment.
        self._room = min(self.most_per_s / 10, self._room + (now - self._looked) * self.most_per_s)
        self._looked = now
        if self._room < 1:
            return False
        self._room -= 1
        return True
