"""What goes over from one instance of a service to the next of the same name, within the process.

viam-server rebuilds a service whenever one of its optional dependencies comes or goes. With unchanged attributes, what
commands have set stays set, and counts go on. With changed attributes only ``pause`` stays. Everything here is live:
the instance that ends and the one that begins share it, in whatever order they do so.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from module.attributes.uploader import Config
from module.capture import Capture, Fate
from module.collection.kept import KeptOfFolder, KeptOfSource
from module.delivery.attempts import Counts
from module.pauses import Pauses
from module.recent import Recent
from module.spool.listener import Listener


class Carried(Listener):
    """Of one service with one set of attributes."""

    def __init__(self, config: Config, pauses: Pauses | None = None) -> None:
        """``pauses``: those of the instance before; None: there was none."""
        self.config = config
        self.pauses = Pauses(_now_us) if pauses is None else pauses
        self.started = time.monotonic()
        """Since when the counts count, in monotonic seconds."""
        self.sources = {source.id: KeptOfSource() for source in config.sources}
        self.folders = {folder.path: KeptOfFolder() for folder in config.folders}
        self.uploads = Counts()
        self.recent = Recent(self.sources)
        self.dropped = 0
        """Captures that retention took, and those that it found no room for."""

    def on_append(self, captures: Sequence[Capture], ids: Sequence[int]) -> None:
        """As ``Listener``."""
        self.recent.spooled(captures, ids)

    def on_refuse(self, captures: Sequence[Capture]) -> None:
        """As ``Listener``."""
        self.recent.refused(captures)

    def on_fate(self, ids: Iterable[int], fate: Fate) -> None:
        """As ``Listener``."""
        self.recent.became(ids, fate)

    def on_drop(self, source: str, count: int) -> None:
        """As ``Listener``: counted here, and of its source."""
        self.dropped += count
        if source in self.sources:
            self.sources[source].dropped += count


class CarriedByName:
    """That of all services of this process."""

    def __init__(self) -> None:
        self._of_service: dict[str, Carried] = {}

    def take(self, service: str, config: Config) -> Carried:
        """What the service goes on with, now that it begins with these attributes."""
        known = self._of_service.get(service)
        if known is None or known.config != config:
            known = Carried(config, None if known is None else known.pauses)
            self._of_service[service] = known
        return known


def _now_us() -> int:
    return time.time_ns() // 1000
