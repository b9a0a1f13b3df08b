"""The one view of the network that all uploads share; no I/O, the clock is handed in.

While the link is not online, one upload at a time probes it, with jittered backoff between the tries; the others wait.
Its success opens the way for all, so that recovery takes one probe after the cloud's return. However long the backoff
has become, the next probe is no further off than a fraction of what the outage has lasted: who was cut off for a minute
is back within seconds, who was cut off for an hour within minutes.
"""

from __future__ import annotations

import enum
import math

from module.delivery.backoff import Backoff

_FRACTION = 1 / 8
_LEAST_CEILING_S = 5.0


class State(enum.Enum):
    """What is known of the way to the cloud."""

    UNKNOWN = "unknown"
    """Nothing has been sent yet."""
    ONLINE = "online"
    """The last uploads went through."""
    OFFLINE = "offline"
    """The cloud, or the way to it, does not work."""
    REFUSED = "refused"
    """The cloud answers, and does not let this machine in."""


class Link:
    """States, and when the next try is due."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self.state = State.UNKNOWN
        self.epoch = 0
        """Changes with each failure, so that uploads which fail together count as one."""
        self.last_error: str | None = None
        self._attempt = 0
        self._room = math.inf
        self._closed_at = 0.0
        self._due = 0.0

    def slots(self, concurrency: int) -> int:
        """How many uploads may run at once."""
        return int(min(concurrency, self._room)) if self.state is State.ONLINE else 1

    def wait(self, now: float) -> float:
        """Seconds until the next upload may start; 0 when it may now."""
        return 0.0 if self.state in (State.UNKNOWN, State.ONLINE) else max(0.0, self._due - now)

    def offline_s(self, now: float) -> float:
        """Seconds since the last upload that went through was followed by one that did not; 0 when not offline."""
        return now - self._closed_at if self.state is State.OFFLINE else 0.0

    def worked(self) -> bool:
        """An upload went through; True if that is news."""
        news = self.state is not State.ONLINE
        self.state = State.ONLINE
        # One more each time, and one try forgiven: a cloud that has room for a part of its fleet is not taken by storm,
        # and one that takes an upload and refuses the next is asked ever more slowly.
        self._room += 1
        self._attempt = max(0, self._attempt - 1)
        self.last_error = None
        return news

    def failed(self, now: float, epoch: int, error: str) -> bool:
        """An upload that started in ``epoch`` did not get through; True if that is news."""
        if epoch != self.epoch:
            return False
        news = self._close(State.OFFLINE, now, error)
        most_s = max(_LEAST_CEILING_S, _FRACTION * (now - self._closed_at))
        self._due = now + self._backoff.delay(self._attempt, most_s)
        self._attempt += 1
        return news

    def refused(self, now: float, epoch: int, error: str) -> bool:
        """The cloud did not let the machine in; True if that is news. The next try comes slowly."""
        if epoch != self.epoch:
            return False
        news = self._close(State.REFUSED, now, error)
        # Half of it at least: nobody mends a configuration by being asked often.
        self._due = now + self._backoff.maximum_s / 2 + self._backoff.delay(self._attempt) / 2
        self._attempt += 1
        return news

    def _close(self, state: State, now: float, error: str) -> bool:
        news = self.state is not state
        if self.state in (State.UNKNOWN, State.ONLINE):
            self._closed_at = now
        elif news:
            self._attempt = 0
        self._room = 0
        self.state = state
        self.epoch += 1
        self.last_error = error
        return news

    def hurry(self, now: float) -> None:
        """Let the next try come at once."""
        self._due = min(self._due, now)
