"""Polls one method of one resource, and reads its answer; ``apis`` has the table of all methods."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grpclib import GRPCError, Status
from viam.errors import NoCaptureToStoreError
from viam.proto.common import ResourceName
from viam.resource.base import ResourceBase
from viam.resource.types import API

from module.attributes.allowed import one_of
from module.attributes.api_methods import method_of, methods_of
from module.attributes.resource_names import meant, missing
from module.attributes.source import unfit
from module.attributes.uploader import SourceConfig
from module.collection.apis import Answer, Ask, Blob, Row, prepare
from module.errors import NetworkError, NothingToCapture, PollError
from module.network.channel import Channel
from module.supervised import said_of

__all__ = ["Answer", "Blob", "Row", "Source", "find", "passed"]

_NOTHING = NoCaptureToStoreError().message  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source and the resource that it polls."""

    config: SourceConfig
    api: str
    """The resource's API if the resource is there; otherwise as configured; otherwise empty."""
    method: str
    """As configured; otherwise the API's default; empty if there is neither."""
    ask: Ask | None = None
    problem: str | None = None
    """Why the resource cannot be polled; None: it can."""
    advice: str | None = None
    """Which of its attributes do not fit the resource, and are ignored."""
    resource: ResourceBase | None = None

    def asked_as(self, config: SourceConfig) -> Source:
        """Return the same resource with another config; its ``problem`` and ``advice`` are for that config."""
        return self if self.resource is None else _prepared(config, self.api, self.resource)

    async def poll(self) -> tuple[int, Sequence[Answer]]:
        """Ask the resource once; returns how long that took, in µs, and the answers.

        Raises NothingToCapture if a filter module holds this poll back. Raises PollError, with the resource's error, if
        the poll fails or there is no answer within ``timeout_s``.
        """
        config = self.config
        if self.ask is None:
            raise PollError(self.problem or f"{config.name} is not there")
        begun_ns = time.monotonic_ns()
        try:
            answers = await self.ask()
        except GRPCError as error:
            text = error.message or error.status.name
            if error.status is Status.FAILED_PRECONDITION and _NOTHING in text:
                raise NothingToCapture(text) from error
            if error.status is Status.DEADLINE_EXCEEDED and time.monotonic_ns() - begun_ns >= config.timeout_s * 1e9:
                # The machine knows the deadline too, and its answer may come in the same turn of the event loop.
                raise self._unanswered() from error
            raise PollError(f"{config.name}: {self.method} failed with {error.status.name}: {text}") from error
        except TimeoutError as error:
            raise self._unanswered() from error
        except NetworkError as error:
            raise PollError(f"{config.name}: {self.method} failed: {error}") from error
        except PollError:
            raise
        except Exception as error:
            # The SDK's clients raise whatever their conversions raise.
            raise PollError(f"{config.name}: {self.method} failed: {said_of(error)}") from error
        # Not by the wall clock, which may have stepped meanwhile: no answer comes before its question.
        return (time.monotonic_ns() - begun_ns) // 1000, answers

    def _unanswered(self) -> PollError:
        return PollError(f"{self.config.name}: no answer to {self.method} within {self.config.timeout_s:g} s")


def passed(name: str, dependencies: Mapping[ResourceName, ResourceBase]) -> dict[ResourceName, ResourceBase]:
    """Return the passed resources that a config means by a name; several if they have different APIs."""
    names = meant(name, (each.name for each in dependencies))
    return {each: resource for each, resource in dependencies.items() if each.name in names}


def find(
    config: SourceConfig, dependencies: Mapping[ResourceName, ResourceBase], *, remedy: str = "set its api"
) -> Source:
    """Return the source with its resource, found among those that viam-server passed; never raises.

    ``remedy``: what to do if two resources have the same name, because viam-server then passes neither.
    """
    if config.is_this_service:
        problem = f"{config.name} is this service itself, which cannot capture itself"
        return Source(config, config.api or "", config.method or "", problem=problem)
    resources = passed(config.name, dependencies)
    found = {str(API.from_resource_name(name)): resource for name, resource in resources.items()}
    if config.api is not None:
        found = {api: resource for api, resource in found.items() if api == config.api}
    if len(found) > 1 and config.method is not None:
        found = {api: resource for api, resource in found.items() if method_of(api, config.method) is not None}
    if len(found) > 1:
        problem = f"two resources are named {config.name}: {remedy}, one of {', '.join(sorted(found))}"
        return Source(config, "", config.method or "", problem=problem)
    if not found:
        of_api = method_of(config.api or "", config.method)
        method = config.method or (of_api.name if of_api and config.api else "")
        lacks = _lacks(config, config.api) if config.api else None
        absent = missing(config.name, "" if config.api else remedy)
        return Source(config, config.api or "", method, problem=lacks or absent)
    ((api, resource),) = found.items()
    return _prepared(config, api, resource)


def _prepared(config: SourceConfig, api: str, resource: ResourceBase) -> Source:
    method = method_of(api, config.method)
    problem = _lacks(config, api)
    if method is None or problem is not None:
        name = method.name if method else config.method or ""
        return Source(config, api, name, problem=problem, resource=resource)
    extra = {**method.without_parameters(config.extra), "fromDataManagement": True}
    ask = prepare(api, method.name)(resource, config, extra)
    if not isinstance(getattr(resource, "channel", None), Channel):
        # A call on our channel ends in time, whatever the connection does; on another the server decides when.
        ask = _timed(ask, config.timeout_s)
    advice = unfit(config, api, method.name)
    advice = advice and f"as {config.name} is a {api}: {advice}"
    return Source(config, api, method.name, ask, advice=advice, resource=resource)


def _timed(ask: Ask, timeout_s: float) -> Ask:
    async def timed() -> Sequence[Answer]:
        async with asyncio.timeout(timeout_s):
            return await ask()

    return timed


def _lacks(config: SourceConfig, api: str) -> str | None:
    """Why a resource of this API cannot be captured as the source wants; None: it can."""
    method = method_of(api, config.method)
    if method is None:
        has = one_of([each.name for each in methods_of(api)])
        lacks = f"has no {config.method}" if config.method else "needs a method"
        return f"{config.name} is a {api}, which {lacks}; it has {has}"
    missing = method.missing_parameter(config.extra)
    return None if missing is None else f"{config.name}: {method.name} of a {api} needs {missing} in extra"
