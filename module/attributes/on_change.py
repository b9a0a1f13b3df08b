"""The attributes of ``on_change``: the deadband of readings, the least difference of images."""

from __future__ import annotations

from typing import Annotated

from module.attributes import allowed
from module.attributes.allowed import number
from module.attributes.part import NOT_NEGATIVE, Part


class OnChangeConfig(Part):
    """How far a capture must differ from the last one that was kept."""

    deadband: Annotated[float | dict[str, float], allowed.DEADBAND] | None = None
    min_difference: Annotated[float, number(at_least=0, at_most=1)] | None = None
    heartbeat_s: Annotated[float, NOT_NEGATIVE] = 0
