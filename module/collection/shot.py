"""The settings of one poll: how to ask the resource and encode the answers, by the attributes or by a command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from module.capture import UploadAs
from module.collection.encoder import Encoder
from module.collection.kept import NO_LABELS, Labels
from module.collection.sources import Source
from module.errors import CommandError


@dataclass(frozen=True, slots=True)
class Order:
    """What a command sets for its captures, beyond the attributes."""

    tags: tuple[str, ...] = ()
    dataset_ids: tuple[str, ...] = ()
    upload_as: UploadAs | None = None
    extra: Mapping[str, Any] | None = None
    """Merged over the source's; a key of the command replaces the source's."""
    method_parameters: Mapping[str, Any] | None = None
    """Merged likewise."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A source, and the encoder of its answers."""

    source: Source
    encoder: Encoder
    labels: Labels = NO_LABELS
    """Added to what ``set_tags`` has set."""

    def ordered(self, order: Order, encoder_of: Callable[[Source], Encoder]) -> Shot:
        """Return the shot with a command's settings. Raises CommandError if the resource or method refuses them."""
        config = self.source.config
        changes: dict[str, Any] = {
            "extra": {**config.extra, **(order.extra or {})},
            "method_parameters": {**config.method_parameters, **(order.method_parameters or {})},
        }
        if order.upload_as is not None:
            changes["upload_as"] = order.upload_as
        source = self.source.asked_as(config.model_copy(update=changes))
        for new, known in ((source.problem, self.source.problem), (source.advice, self.source.advice)):
            if new is not None and new != known:
                raise CommandError(f"capture: {new}")
        return Shot(source, encoder_of(source), Labels(order.tags, order.dataset_ids))
