"""What each machine captures and how it sends that, in figures that the processes hand to one another."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """Of one machine; all but what stands here is the module's default."""

    row_every_s: float = 1.0
    image_every_s: float = 10.0
    """Images stand for all that does not travel in batches."""
    image_bytes: int = 2_000
    batch_wait_s: float = 5.0
    """``upload.batch_wait_s``."""

    @property
    def requests_per_s(self) -> float:
        """Uploads of a machine while all is well."""
        return 1 / (self.batch_wait_s + self.row_every_s) + 1 / self.image_every_s
