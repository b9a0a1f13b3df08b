"""How long to wait before the next try; pure, except that it is random.

Full jitter: a delay is random and uniform from 0 to ``min(maximum, initial * 2 ** attempt)``, so that the machines of a
fleet do not all come back at the same moment. (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
2015.)
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

_MOST_DOUBLINGS = 32


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds."""

    initial_s: float
    maximum_s: float

    def ceiling(self, attempt: int) -> float:
        """Return the longest delay before try number ``attempt`` (0 is the first retry)."""
        return float(min(self.maximum_s, self.initial_s * 2 ** min(attempt, _MOST_DOUBLINGS)))

    def delay(self, attempt: int, most_s: float = math.inf) -> float:
        """Return a random delay before try number ``attempt``: from 0 to its ceiling, and at most ``most_s``."""
        return random.uniform(0, min(most_s, self.ceiling(attempt)))  # noqa: S311
