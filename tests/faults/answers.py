"""Which uploads the cloud stored and could not answer: only what such an upload held may be stored again.

A cloud cannot see what its client has read. So an answer counts as received once the module, asked for its status
after the answer was sent, has answered twice: it reads what comes in the order of its coming. What was stored before,
and meets the end of the connection or of the service, was not answered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from datetime import datetime

Key = tuple[str, int]
"""A source, and the time of a capture."""
_ROUNDS = 2


class Storing:
    """One upload that the cloud has stored."""

    def __init__(self, when: datetime) -> None:
        self.when = when
        """When the cloud stored it."""
        self.unanswered = False
        self.sent = False
        """Whether the cloud has sent an answer."""
        self.rounds = 0
        """How often the module has answered something that it was asked after that."""

    def end(self, call: asyncio.Task[object]) -> None:
        """The call has ended: with an answer, or cut off."""
        self.sent = True
        self.unanswered |= call.cancelled()


class Answers:
    """All that was stored, capture by capture."""

    def __init__(self) -> None:
        self._storings: dict[Key, list[Storing]] = {}
        # Of which it is not known yet whether the module has read the answer.
        self._open: list[Storing] = []
        self._cuts = 0

    def store(self, keys: Iterable[Key], when: datetime) -> Storing:
        """Note what one upload held."""
        storing = Storing(when)
        self._open.append(storing)
        for key in keys:
            self._storings.setdefault(key, []).append(storing)
        return storing

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """The connection, or the service, ends meanwhile: of what was stored until then no answer may have come."""
        self._cuts += 1
        try:
            yield
        finally:
            self._cuts += 1
            for storing in self._open:
                storing.unanswered = True
            self._open = []

    @contextlib.contextmanager
    def asked(self) -> Iterator[None]:
        """The module is asked for its status, and has answered if this ends without an error."""
        asked, cuts = [storing for storing in self._open if storing.sent], self._cuts
        yield
        if cuts == self._cuts and cuts % 2 == 0:
            for storing in asked:
                storing.rounds += 1
            self._open = [storing for storing in self._open if storing.rounds < _ROUNDS]

    @property
    def keys(self) -> Iterable[Key]:
        """All captures that were stored."""
        return self._storings.keys()

    @property
    def twice(self) -> int:
        """How often something was stored that was there already."""
        return sum(len(storings) - 1 for storings in self._storings.values())

    def unexplained(self) -> list[Key]:
        """What was stored once more after an answer that the module had received."""
        unexplained = []
        for key, storings in self._storings.items():
            *all_but_the_last, _ = sorted(storings, key=lambda storing: storing.when)
            if not all(storing.unanswered for storing in all_but_the_last):
                unexplained.append(key)
        return unexplained
