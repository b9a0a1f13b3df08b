"""One resource and one method → a poll, and what its answer means; ``apis`` has the table of all methods."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grpclib import GRPCError, Status
from viam.errors import NoCaptureToStoreError
from viam.proto.common import ResourceName
from viam.resource.base import ResourceBase
from viam.resource.types import API

from module.api_methods import method_of, methods_of
from module.collection.apis import Answer, Ask, Blob, Row, prepare
from module.config import SourceConfig
from module.errors import NothingToCapture, PollError
from module.refusals import one_of
from module.supervised import said_of

__all__ = ["Answer", "Blob", "Row", "Source", "find"]

_NOTHING = NoCaptureToStoreError().message  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source and the resource that it polls."""

    config: SourceConfig
    api: str
    """Of the resource where it is there, else as configured, else empty."""
    method: str
    """As configured, else what the API gives without one; empty where neither says it."""
    ask: Ask | None = None
    extra: Mapping[str, Any] | None = None
    """What each poll hands to the resource."""
    problem: str | None = None
    """Why there is nothing to poll."""

    async def poll(self) -> tuple[int, int, Sequence[Answer]]:
        """Ask the resource once: when that was, when the answer came (µs since the epoch), and the answers.

        Raises NothingToCapture when a filter module holds this poll back, and PollError, with what the resource said,
        when it gives no answer within ``timeout_s``.
        """
        config = self.config
        if self.ask is None:
            raise PollError(self.problem or f"{config.name} is not there")
        requested_us, begun_ns = time.time_ns() // 1000, time.monotonic_ns()
        try:
            # The call's own deadline is the server's business too; this one holds whatever the connection does.
            async with asyncio.timeout(config.timeout_s):
                answers = await self.ask({**(self.extra or {}), "fromDataManagement": True})
        except GRPCError as error:
            text = error.message or error.status.name
            if error.status is Status.FAILED_PRECONDITION and _NOTHING in text:
                raise NothingToCapture(text) from error
            raise PollError(f"{config.name}: {self.method} failed with {error.status.name}: {text}") from error
        except TimeoutError as error:
            raise PollError(f"{config.name}: no answer to {self.method} within {config.timeout_s:g} s") from error
        except PollError:
            raise
        except Exception as error:
            # The SDK's clients raise whatever their conversions raise.
            raise PollError(f"{config.name}: {self.method} failed: {said_of(error)}") from error
        # The wall clock may have stepped meanwhile: no answer comes before its question.
        return requested_us, requested_us + (time.monotonic_ns() - begun_ns) // 1000, answers


def find(config: SourceConfig, dependencies: Mapping[ResourceName, ResourceBase]) -> Source:
    """The source with its resource, out of those that viam-server handed over; never raises."""
    found = {
        str(API.from_resource_name(name)): resource
        for name, resource in dependencies.items()
        if _is_named(name, config)
    }
    if config.api is not None:
        found = {api: resource for api, resource in found.items() if api == config.api}
    if len(found) > 1 and config.method is not None:
        found = {api: resource for api, resource in found.items() if method_of(api, config.method) is not None}
    if len(found) > 1:
        problem = f"two resources are named {config.name}: give its api, one of {', '.join(sorted(found))}"
        return Source(config, "", config.method or "", problem=problem)
    if not found:
        meant = method_of(config.api or "", config.method)
        method = config.method or (meant.name if meant and config.api else "")
        problem = f"this machine has no {config.name}, or it is not ready"
        return Source(config, config.api or "", method, problem=problem)
    ((api, resource),) = found.items()
    return _prepared(config, api, resource)


def _prepared(config: SourceConfig, api: str, resource: ResourceBase) -> Source:
    method = method_of(api, config.method)
    if method is None:
        has = one_of([each.name for each in methods_of(api)])
        lacks = f"has no {config.method}" if config.method else "needs a method"
        problem = f"{config.name} is a {api}, which {lacks}; it has {has}"
        return Source(config, api, config.method or "", problem=problem)
    untold = method.untold(config.extra)
    if untold is not None:
        problem = f"{config.name}: {method.name} of a {api} needs {untold} in extra"
        return Source(config, api, method.name, problem=problem)
    ask = prepare(api, method.name)(resource, config)
    return Source(config, api, method.name, ask, method.beside(config.extra))


def _is_named(name: ResourceName, config: SourceConfig) -> bool:
    # viam-server resolves a remote's resource by its short name where that is unique.
    return name.name == config.name or name.name.rpartition(":")[2] == config.name
