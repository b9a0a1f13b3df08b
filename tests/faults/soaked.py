"""What came of letting everything go wrong at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass
class Soaked:
    """What came of it."""

    seconds: float
    answered: int
    """By sensors and cameras, in all."""
    stored: int
    """Captures in the cloud, each counted once."""
    changes: int = 0
    outages: int = 0
    odd: int = 0
    """Changes of mood, of the vision service and the camera."""
    lost: list[str] = dataclasses.field(default_factory=list)
    cut_short: int = 0
    """Answers of polls that a change of the service met, which took longer than polls are waited for; not lost."""
    twice: int = 0
    unexplained: int = 0
    """What was stored again though its answer had been received."""
    dead: list[str] = dataclasses.field(default_factory=list)
    """Sources that captured no more at the end."""
    memory: Sequence[int] = ()
    """The most of each third, in bytes."""

    @property
    def grown(self) -> int:
        """By how many bytes the last third took more memory than the middle one."""
        return self.memory[2] - self.memory[1]

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, nothing stored twice without a reason, and no source dead."""
        return not (self.lost or self.unexplained or self.dead)

    def sentence(self) -> str:
        """All of it in words."""
        thirds = ", ".join(f"{size / 1e6:.1f}" for size in self.memory)
        return (
            f"In {self.seconds / 60:.1f} minutes sensors and cameras answered {self.answered:,} times, "
            f"{self.answered / self.seconds:.0f} a second; there were {self.changes} changes of the service, "
            f"{self.outages} outages, and {self.odd} changes in how the vision service and the cameras behave. "
            f"{self.stored:,} captures were stored, {len(self.lost)} were lost, {self.twice:,} were stored twice, of "
            f"which {self.unexplained} without a lost answer; {self.cut_short} answers came to a service that no "
            f"longer waited. At the end {len(self.dead) or 'no'} source{'s' * (len(self.dead) != 1)} had stopped. "
            f"Memory, at most in each third: {thirds} MB."
        )
