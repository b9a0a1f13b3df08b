"""How long to wait before the next try; pure except for the dice.

Full jitter: a delay is drawn evenly from 0 to ``min(maximum, initial * 2 ** attempt)``, so that a fleet that lost the
same cloud does not come back as one. (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)
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
        """The longest delay before try number ``attempt`` (0 is the first retry)."""
        return float(min(self.maximum_s, self.initial_s * 2 ** min(attempt, _MOST_DOUBLINGS)))

    def delay(self, attempt: int, most_s: float = math.inf) -> float:
        """A delay before try number ``attempt``: evenly from 0 to its ceiling, or to ``most_s`` if that is less."""
        return random.uniform(0, min(most_s, self.ceiling(attempt)))  # noqa: S311
