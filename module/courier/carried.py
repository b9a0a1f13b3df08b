"""What one instance of a service passes to the next instance of the same name, within the process.

viam-server rebuilds a service whenever one of its optional dependencies comes or goes. If the attributes are the same,
everything that commands have set stays set, and counts continue. If they have changed, only ``pause`` stays. The old
and the new instance use these objects at the same time, and it does not matter which of them ends or begins first.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from module.attributes.uploader import Config
from module.capture import Capture, Fate
from module.collection.kept import KeptOfFolder, KeptOfSource
from module.courier.pause_record import Pauses
from module.delivery.attempts import Counts
from module.recent import Recent
from module.spool.listener import Listener


class Carried(Listener):
    """What instances of one service pass on while its attributes stay the same."""

    def __init__(self, config: Config, pauses: Pauses | None = None) -> None:
        """``pauses``: those of the last instance; None: this is the first."""
        self.config = config
        self.pauses = Pauses(_now_us) if pauses is None else pauses
        self.started = time.monotonic()
        """When the counts began at 0, in monotonic seconds."""
        self.sources = {source.id: KeptOfSource() for source in config.sources}
        self.folders = {folder.path: KeptOfFolder() for folder in config.folders}
        self.uploads = Counts()
        self.recent = Recent(self.sources)
        self.dropped = 0
        """Captures that retention deleted, and new captures that had no room."""

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
        """As ``Listener``: counts it for the service and for the source."""
        self.dropped += count
        if source in self.sources:
            self.sources[source].dropped += count


class CarriedByName:
    """The ``Carried`` of each service of this process."""

    def __init__(self) -> None:
        self._of_service: dict[str, Carried] = {}

    def take(self, service: str, config: Config) -> Carried:
        """The ``Carried`` of a service that begins with these attributes: its last one if they have not changed."""
        known = self._of_service.get(service)
        if known is None or known.config != config:
            known = Carried(config, None if known is None else known.pauses)
            self._of_service[service] = known
        return known


def _now_us() -> int:
    return time.time_ns() // 1000
