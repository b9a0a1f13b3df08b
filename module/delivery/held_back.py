"""Captures that are held back: neither under way nor to be claimed, until the link works or a delay is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from module.capture import Item

MOST_LOADS = 64
"""How many loads are held back at once. If there are more, the trouble is not that of single captures."""


class Aside:
    """Loads that are held back, without their payloads, and later go back into the spool."""

    def __init__(self, release: Callable[[Sequence[Item]], None]) -> None:
        self._release = release
        self._loads: dict[int, list[Item]] = {}
        """By the id of their first item."""
        self._timers: dict[int, asyncio.TimerHandle] = {}

    @property
    def full(self) -> bool:
        """Whether no more should be held back."""
        return len(self._loads) >= MOST_LOADS

    def until_the_link_works(self, items: Sequence[Item]) -> None:
        """Hold claimed captures back until ``link_works``."""
        if items:
            self._loads[items[0].id] = [item._replace(payload=b"") for item in items]

    def for_a_while(self, items: Sequence[Item], seconds: float) -> None:
        """Hold claimed captures back for ``seconds``, whatever the link does."""
        if items:
            self.until_the_link_works(items)
            self._delay(items[0].id, seconds)

    def _delay(self, key: int, seconds: float) -> None:
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self._return, key)

    def _return(self, key: int) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        self._release(self._loads.pop(key))

    def link_works(self, delay: Callable[[Item], float]) -> None:
        """Put back the loads that waited for the link, each after ``delay`` (in seconds) of its first item."""
        for key in self._waiting():
            seconds = delay(self._loads[key][0])
            if seconds > 0:
                self._delay(key, seconds)
            else:
                self._return(key)

    def probe(self) -> bool:
        """Put back all loads that wait for the link, so that one can probe it; False if there are none."""
        waiting = self._waiting()
        for key in waiting:
            self._return(key)
        return bool(waiting)

    def _waiting(self) -> list[int]:
        return [key for key in self._loads if key not in self._timers]

    def end(self) -> None:
        """Put all loads back now."""
        for key in list(self._loads):
            self._return(key)
