"""The health sensor: asks the uploader for its status, and returns it as flat readings.

It asks through viam-server, by the ``status`` command, so the uploader may be on any machine. The uploader is an
*optional* dependency: the sensor exists, and reports the trouble, even if the uploader cannot be built. The uploader
may also capture this sensor: viam-server orders resources only by their required dependencies, and builds each of the
two again once the other has appeared (rdk, ``robot/impl/local_robot.go``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from grpclib import GRPCError
from pydantic import ValidationError
from viam.components.sensor import Sensor
from viam.proto.app.robot import ComponentConfig
from viam.proto.common import ResourceName
from viam.resource.base import ResourceBase
from viam.resource.easy_resource import EasyResource
from viam.resource.types import API, Model
from viam.services.generic import Generic
from viam.utils import SensorReading

from module import MODULE_ID, UPLOADER_MODEL
from module.attributes import allowed, resource_names
from module.attributes.part import NAME, Flag, Part
from module.attributes.resource_names import missing
from module.collection.sources import passed
from module.errors import ConfigError
from module.health.readings import Vitals
from module.structs import plain_fields

_ANSWER_S = 3.0
"""Seconds that the uploader has to answer. That is plenty, because its status never waits."""


class HealthConfig(Part):
    """The attributes of the health sensor."""

    service: Annotated[str, NAME]
    per_source: Flag = False

    @property
    def dependencies(self) -> tuple[str, ...]:
        """The uploader's names among viam-server's dependencies."""
        return resource_names.asked(self.service, str(Generic.API))


class Health(Sensor, EasyResource):  # type: ignore[misc, no-untyped-call]
    """``courier:capture:health``: the uploader's health as readings."""

    MODEL: ClassVar[Model] = Model.from_string(f"{MODULE_ID}:health")

    _config: HealthConfig
    _uploader: ResourceBase | None
    _vitals: Vitals

    @classmethod
    def validate_config(cls, config: ComponentConfig) -> tuple[Sequence[str], Sequence[str]]:
        """Return the uploader as an optional dependency. Raises ConfigError, which names each path."""
        return [], list(_parse(config).dependencies)

    @classmethod
    def new(cls, config: ComponentConfig, dependencies: Mapping[ResourceName, ResourceBase]) -> Self:
        """Make the sensor; it asks nothing before it is read. Raises ConfigError."""
        self = cls(config.name)
        self._config = _parse(config)
        services = {name: each for name, each in dependencies.items() if API.from_resource_name(name) == Generic.API}
        self._uploader = next(iter(passed(self._config.service, services).values()), None)
        self._vitals = Vitals(self._config.service, per_source=self._config.per_source)
        return self

    async def get_readings(
        self,
        *,
        extra: Mapping[str, Any] | None = None,  # noqa: ARG002, the SDK names it
        timeout: float | None = None,  # noqa: ASYNC109, as above
        **_: Any,
    ) -> Mapping[str, SensorReading]:
        """Return the readings of ``docs/health.md``; if the uploader does not answer, only ``ok`` and ``reason``.

        Trouble of the uploader raises no error: a dashboard sees that ``ok`` is false, and the reason.
        """
        if self._uploader is None:
            return self._vitals.silent(missing(self._config.service))
        limit = _ANSWER_S if timeout is None else min(_ANSWER_S, 0.8 * timeout)
        try:
            async with asyncio.timeout(limit):
                status = await self._uploader.do_command({"command": "status"}, timeout=limit)
            return self._vitals.read(status, now=time.monotonic())
        except TimeoutError:
            return self._vitals.silent(f"no answer within {limit:g} s")
        except GRPCError as error:
            return self._vitals.silent(error.message or error.status.name)
        except (KeyError, TypeError, ValueError, AttributeError):
            return self._vitals.silent(f"its answer is no status; is it a {UPLOADER_MODEL}?")
        except Exception as error:  # noqa: BLE001 - the SDK's clients raise whatever their conversions raise
            return self._vitals.silent(f"{type(error).__name__}: {error}")


def _parse(config: ComponentConfig) -> HealthConfig:
    try:
        return HealthConfig.model_validate(plain_fields(config.attributes))
    except ValidationError as error:
        # Not chained: as in module.attributes.uploader, the library's own text would show what was given.
        raise ConfigError(allowed.explain(error, HealthConfig)) from None
