"""A module with one sensor, for tests: what happens to others when it dies."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from viam.components.sensor import Sensor
from viam.module.module import Module
from viam.resource.easy_resource import EasyResource
from viam.resource.types import Model, ModelFamily

MODEL = "courier-tests:neighbour:gauge"


class Gauge(Sensor, EasyResource):  # type: ignore[misc, no-untyped-call]
    """Counts its polls."""

    MODEL: ClassVar[Model] = Model(ModelFamily("courier-tests", "neighbour"), "gauge")

    async def get_readings(self, **_: Any) -> Mapping[str, Any]:
        """Give the same reading for ever."""
        return {"level": 7}


if __name__ == "__main__":
    asyncio.run(Module.run_with_models(Gauge))  # type: ignore[arg-type]
