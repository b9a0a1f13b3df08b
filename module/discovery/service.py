"""The discovery service: asks each sensor and camera of the machine once, and proposes an uploader that fits them.

It finds the machine's resources over the module's connection to viam-server, so it needs no API key and no network.
There viam-server lists the resources that it could build (rdk, ``ResourceNames``), and in its status those that it
could not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from grpclib import GRPCError, Status
from grpclib.exceptions import StreamTerminatedError
from pydantic import ValidationError
from viam.components.sensor import Sensor
from viam.errors import ResourceNotFoundError, ViamGRPCError
from viam.errors import ValidationError as InvalidArgument
from viam.proto.app.robot import ComponentConfig
from viam.proto.common import ResourceName
from viam.proto.robot import ResourceStatus
from viam.resource.base import ResourceBase
from viam.resource.easy_resource import EasyResource
from viam.resource.types import API, Model, ModelFamily
from viam.robot.client import RobotClient
from viam.services.discovery import Discovery
from viam.services.generic import Generic
from viam.utils import ValueTypes, dict_to_struct

from module import FAMILY, NAMESPACE
from module.attributes import allowed
from module.attributes.allowed import number
from module.attributes.api_methods import CAMERA, GETS_IMAGES, MOVEMENT_SENSOR, POWER_SENSOR, READS, SENSOR
from module.attributes.image import ImageConfig, ImageFormat
from module.attributes.part import BYTES, Part
from module.attributes.uploader import SourceConfig, parse
from module.collection import image_header, images, readings
from module.collection.sources import Answer, Row, find
from module.discovery.proposal import Finding, Proposal, propose
from module.errors import ConfigError, CourierError, NothingToCapture, PollError
from module.structs import plain_fields

_METHODS = {
    CAMERA: (GETS_IMAGES, "NextPointCloud"),
    SENSOR: (READS,),
    MOVEMENT_SENSOR: (READS,),
    POWER_SENSOR: (READS,),
}
"""The methods to try for each API, in this order, until one returns something."""
_AT_ONCE = 16
_LIST_S = 5.0
_CLOUD = ("VIAM_MACHINE_PART_ID", "VIAM_API_KEY_ID", "VIAM_API_KEY")
_FAMILY = ModelFamily(NAMESPACE, FAMILY)
_UPLOADER, _HEALTH = "courier", "courier-health"


class DiscoveryConfig(Part):
    """The attributes of the discovery service."""

    daily_budget_bytes: Annotated[int, BYTES] = 1_000_000_000
    timeout_s: Annotated[float, number(above=0, at_most=60)] = 5


class Discoverer(Discovery, EasyResource):  # type: ignore[misc, no-untyped-call]
    """``courier:capture:discovery``: proposes an uploader, and a health sensor beside it."""

    MODEL: ClassVar[Model] = Model(_FAMILY, "discovery")
    machine: ClassVar[Callable[[], RobotClient | None]] = staticmethod(lambda: None)

    _config: DiscoveryConfig

    @classmethod
    def find_machine_by(cls, machine: Callable[[], RobotClient | None]) -> None:
        """Use the module's connection to viam-server, which ``machine`` returns once there is one."""
        cls.machine = staticmethod(machine)

    @classmethod
    def validate_config(cls, config: ComponentConfig) -> tuple[Sequence[str], Sequence[str]]:
        """Return no dependencies. Raises ConfigError, which names each path."""
        _parse(config)
        return [], []

    @classmethod
    def new(cls, config: ComponentConfig, dependencies: Mapping[ResourceName, ResourceBase]) -> Self:  # noqa: ARG003, the SDK's
        """Make the service; it asks nothing before it is called. Raises ConfigError."""
        self = cls(config.name)
        self._config = _parse(config)
        return self

    async def discover_resources(
        self,
        *,
        extra: Mapping[str, ValueTypes] | None = None,  # noqa: ARG002, the SDK names it
        timeout: float | None = None,  # noqa: ASYNC109, as above
        **_: Any,
    ) -> list[ComponentConfig]:
        """Return two configs: an uploader ``courier`` for what was found, and its health sensor ``courier-health``.

        A resource that returns nothing within ``timeout_s`` is among the uploader's sources too, disabled, with the
        reason in its ``comment``. Raises UNAVAILABLE if viam-server itself cannot be asked.
        """
        proposal = (await self._look(timeout))[1]
        return [
            _component(_UPLOADER, Generic.API, "uploader", proposal.attributes),
            _component(_HEALTH, Sensor.API, "health", {"service": _UPLOADER}),
        ]

    async def do_command(
        self,
        command: Mapping[str, ValueTypes],
        *,
        timeout: float | None = None,  # noqa: ASYNC109, the SDK names it
        **_: Any,
    ) -> Mapping[str, ValueTypes]:
        """Answer ``{"command": "report"}``: the answer of each resource, and the bytes of a day of the proposal.

        Raises INVALID_ARGUMENT for any other command.
        """
        if dict(command) != {"command": "report"}:
            raise InvalidArgument(f'{allowed.shown(command)} given; allowed is {{"command": "report"}}')
        found, proposal = await self._look(timeout)
        return {
            "resources": [each.plain() for each in found],
            "bytes_per_day": proposal.bytes_per_day,
            "daily_budget_bytes": self._config.daily_budget_bytes,
        }

    async def _look(self, timeout_s: float | None) -> tuple[list[Finding], Proposal]:
        began = time.monotonic()
        clients, unbuilt, names = await self._listed()
        left_s = None if timeout_s is None else max(0.1, 0.8 * timeout_s - (time.monotonic() - began))
        findings = unbuilt + await self._ask_all(clients, left_s)
        findings.sort(key=lambda each: (each.api == CAMERA, each.api, each.name))
        for each in findings:
            if each.problem is not None:
                self.logger.warning("%s returns nothing to capture: %s", each.name, each.problem)
        proposal = propose(
            findings,
            names=names,
            health=_HEALTH,
            daily_budget_bytes=self._config.daily_budget_bytes,
            cloud_is_known=all(os.environ.get(name) for name in _CLOUD),
        )
        self.logger.info("%d sensors and cameras: %s", len(findings), proposal.attributes["comment"])
        return findings, proposal

    async def _listed(self) -> tuple[dict[tuple[str, str], ResourceBase], list[Finding], list[str]]:
        """The sensors and cameras by API and name, those that viam-server could not build, and all resources' names."""
        machine = type(self).machine()
        if machine is None:
            raise ViamGRPCError("there is no connection to viam-server yet", Status.UNAVAILABLE)
        try:
            async with asyncio.timeout(_LIST_S):
                await machine.refresh()  # type: ignore[no-untyped-call]
                failed = await _unbuilt(machine)
        except (GRPCError, StreamTerminatedError, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise ViamGRPCError(f"viam-server does not list its resources: {reason}", Status.UNAVAILABLE) from error
        clients: dict[tuple[str, str], ResourceBase] = {}
        for full in machine.resource_names:
            api = str(API.from_resource_name(full))
            if _is_asked(api, full.name):
                # The resource may be gone by now.
                with contextlib.suppress(ResourceNotFoundError):
                    clients[api, full.name] = machine.get_component(full)
        problems = [
            Finding(each.name.name, api, problem=f"viam-server could not build it: {each.error or 'no reason given'}")
            for each in failed
            if _is_asked(api := str(API.from_resource_name(each.name)), each.name.name)
            and (api, each.name.name) not in clients
        ]
        every = [*machine.resource_names, *(each.name for each in failed)]
        names = [name for _, name in {(str(API.from_resource_name(full)), full.name) for full in every}]
        return clients, problems, names

    async def _ask_all(self, clients: Mapping[tuple[str, str], ResourceBase], limit_s: float | None) -> list[Finding]:
        slots = asyncio.Semaphore(_AT_ONCE)

        async def ask(api: str, name: str, client: ResourceBase) -> Finding:
            async with slots:
                return await self._ask(api, name, client)

        tasks = {key: asyncio.create_task(ask(*key, client)) for key, client in clients.items()}
        if not tasks:
            return []
        try:
            await asyncio.wait(tasks.values(), timeout=limit_s)
            findings = [task.result() for task in tasks.values() if task.done()]
            late = "not asked completely, because the caller's time limit passed"
            findings += [Finding(name, api, problem=late) for (api, name), task in tasks.items() if not task.done()]
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        return findings

    async def _ask(self, api: str, name: str, client: ResourceBase) -> Finding:
        problem = ""
        for method in _METHODS[api]:
            began = time.monotonic()
            try:
                source = _source(api, name, method, self._config.timeout_s)
                resource = find(source, {client.get_resource_name(name): client})
                _, answers = await resource.poll()
                took_s = time.monotonic() - began
                return await _measured(Finding(name, api, method, len(answers), took_s=took_s), answers)
            except NothingToCapture:
                gives = "nothing just now, as it filters what is captured"
                return Finding(name, api, method, took_s=time.monotonic() - began, gives=gives)
            except CourierError as error:
                problem = problem or str(error)
                if time.monotonic() - began >= self._config.timeout_s:
                    break
        return Finding(name, api, problem=problem)


def _is_asked(api: str, name: str) -> bool:
    # Each proposal has the health sensor anyway.
    return api in _METHODS and name != _HEALTH


async def _unbuilt(machine: RobotClient) -> Sequence[ResourceStatus]:
    try:
        status = await machine.get_machine_status()
    except GRPCError as error:
        if error.status is Status.UNIMPLEMENTED:
            return ()
        raise
    return [each for each in status.resources if each.error]


def _source(api: str, name: str, method: str, timeout_s: float) -> SourceConfig:
    """Return a source as the uploader would have it. Raises ConfigError for a name that no source can have."""
    attributes = {
        "sources": [{"name": name, "api": api, "method": method, "timeout_s": timeout_s}],
        "spool": {"directory": "/"},
        "upload": {"disabled": True},
    }
    return parse(attributes, service=_UPLOADER, environ={}).sources[0]


async def _measured(finding: Finding, answers: Sequence[Answer]) -> Finding:
    """Return the finding with its answers in words and the bytes that they would send. Raises CourierError."""
    size, gives, image_format = 0, [], None
    for answer in answers:
        if isinstance(answer, Row):
            size += len(readings.sensor_data(answer.payload, 0, 0))
            gives.append(f"{len(answer.readings)} values")
            continue
        if not answer.data:
            raise PollError(f"{finding.name}: {finding.method} returned no bytes")
        if answer.extension is not None:
            size += len(answer.data)
            gives.append(answer.mime_type)
            continue
        settings = ImageConfig()
        if answer.mime_type.startswith(image_header.RAW_RGBA):
            # As PNG, colours would be some ten times as large.
            image_format, settings = "jpeg", ImageConfig(format=ImageFormat.JPEG)
        dimensions = image_header.dimensions(answer.data, answer.mime_type)
        # In a thread, beside the uploader's own polls; OpenCV is loaded only for raw images.
        sent = await asyncio.to_thread(images.encode, answer.data, answer.mime_type, settings)
        size += len(sent.data)
        gives.append(f"{dimensions[0]}x{dimensions[1]} {sent.mime_type}" if dimensions else sent.mime_type)
    return Finding(
        finding.name,
        finding.api,
        finding.method,
        len(answers),
        size,
        finding.took_s,
        " + ".join(gives),
        image_format,
    )


def _component(name: str, api: API, model: str, attributes: Mapping[str, Any]) -> ComponentConfig:
    return ComponentConfig(
        name=name,
        namespace=api.namespace,
        type=api.resource_subtype,
        api=str(api),
        model=str(Model(_FAMILY, model)),
        attributes=dict_to_struct(attributes),
    )


def _parse(config: ComponentConfig) -> DiscoveryConfig:
    try:
        return DiscoveryConfig.model_validate(plain_fields(config.attributes))
    except ValidationError as error:
        # Not chained: as in module.attributes.uploader, the library's own text would show what was given.
        raise ConfigError(allowed.explain(error, DiscoveryConfig)) from None
