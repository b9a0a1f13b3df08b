"""The state of the network, which all uploads share; no I/O, the clock is an argument.

While the link is not online, one upload at a time probes it, with random delays between the tries, and the others wait.
One successful probe opens the way for all. The delay is never longer than a fraction of the time that the outage has
lasted: after an outage of a minute uploads are back within seconds, after an hour within minutes.
"""

from __future__ import annotations

import enum
import math

from module.delivery.backoff import Backoff

_FRACTION = 1 / 8
_LEAST_CEILING_S = 5.0


class State(enum.Enum):
    """What is known about the way to the cloud."""

    UNKNOWN = "unknown"
    """Nothing has been sent yet."""
    ONLINE = "online"
    """The last uploads went through."""
    OFFLINE = "offline"
    """The cloud, or the way to it, does not work."""
    REFUSED = "refused"
    """The cloud answers, but does not let this machine in."""


class Link:
    """The state of the way to the cloud, and the time of the next try."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self.state = State.UNKNOWN
        self.epoch = 0
        """Changes with each failure, so that uploads that fail together count as one failure."""
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
        """Seconds since the first upload that failed after the last success; 0 if not offline."""
        return now - self._closed_at if self.state is State.OFFLINE else 0.0

    def worked(self) -> bool:
        """Note that an upload succeeded. Returns whether the state changed."""
        news = self.state is not State.ONLINE
        self.state = State.ONLINE
        # One more upload each time, and one try less counted: so a cloud with room for only a part of its fleet is not
        # overloaded, and one that accepts an upload and refuses the next is tried more and more slowly.
        self._room += 1
        self._attempt = max(0, self._attempt - 1)
        self.last_error = None
        return news

    def failed(self, now: float, epoch: int, error: str) -> bool:
        """Note that an upload that started in ``epoch`` did not get through. Returns whether that is new."""
        if epoch != self.epoch:
            return False
        news = self._close(State.OFFLINE, now, error)
        most_s = max(_LEAST_CEILING_S, _FRACTION * (now - self._closed_at))
        self._due = now + self._backoff.delay(self._attempt, most_s)
        self._attempt += 1
        return news

    def refused(self, now: float, epoch: int, error: str) -> bool:
        """Note that the cloud did not let the machine in; the next try is slow. Returns whether that is new."""
        if epoch != self.epoch:
            return False
        news = self._close(State.REFUSED, now, error)
        # Half of it at least: a wrong configuration does not become right by frequent tries.
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
