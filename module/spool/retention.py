"""Chooses what is dropped when the spool is full, and computes the bytes of a capture on the disk; pure.

The lowest priority is dropped first, and within it the oldest. Captures that are being uploaded are never chosen.
Pointers to files are never chosen either, because they take almost no room.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from module.spool.schema import PAGE_BYTES

_ROW_BYTES = 96
"""A row's other columns."""


@dataclass(frozen=True, slots=True)
class Line:
    """The captures of one stream that may go, in the order in which the policy wants them."""

    priority: int
    captures: Iterable[tuple[int, int]]
    """(id, footprint in bytes)."""
    before: Iterable[tuple[int, int]] = ()
    """If they begin behind the place at which the last thinning ended: those up to that place."""


def footprint(payload_bytes: int) -> int:
    """Bytes of disk that a capture with such a payload takes: whole pages, once it does not fit into a shared one."""
    total = payload_bytes + _ROW_BYTES
    if total <= PAGE_BYTES:
        return total
    return -(-total // PAGE_BYTES) * PAGE_BYTES


def drop_oldest(lines: Sequence[Line], need_bytes: int, *, up_to_priority: int) -> list[int] | None:
    """The ids to delete so that ``need_bytes`` become free, or None if that cannot be had; lines oldest first.

    Only lines with a priority of at most ``up_to_priority`` are dropped: nothing is dropped for a lower priority.
    """
    return _enough(_in_order(lines, up_to_priority), need_bytes)


def drop_newest(lines: Sequence[Line], need_bytes: int, *, up_to_priority: int) -> list[int] | None:
    """As ``drop_oldest``, with lines newest first. A new capture is itself the newest of its priority.

    So only captures of a lower priority are dropped for it.
    """
    return _enough(_in_order(lines, up_to_priority - 1, newest_first=True), need_bytes)


def thin(lines: Sequence[Line], need_bytes: int, *, up_to_priority: int) -> tuple[list[int], dict[int, int]] | None:
    """As ``drop_oldest``, but every other capture stays, so that the whole time span stays covered.

    Also returns the id with which the thinning of each priority ended. If the lines begin there, each pass halves the
    captures that the pass before has left. Failures are not spared.
    """
    chosen: list[int] = []
    ended: dict[int, int] = {}
    freed = 0
    for priority, capture_id, size in _every_other(lines, up_to_priority):
        chosen.append(capture_id)
        ended[priority] = capture_id
        freed += size
        if freed >= need_bytes:
            return chosen, ended
    return None


def _every_other(lines: Sequence[Line], up_to_priority: int) -> Iterator[tuple[int, int, int]]:
    for priority in _priorities(lines, up_to_priority):
        of_priority = [line for line in lines if line.priority == priority]
        spared = 0 if priority < 0 else 1
        # All of a priority is gone through once before any of the next: from the last place on, and from the start.
        for part in ([line.captures for line in of_priority], [line.before for line in of_priority]):
            for capture_id, size in itertools.islice(heapq.merge(*part), spared, None, spared + 1):
                yield priority, capture_id, size


def _enough(captures: Iterable[tuple[int, int]], need_bytes: int) -> list[int] | None:
    chosen: list[int] = []
    freed = 0
    if need_bytes <= 0:
        return chosen
    for capture_id, size in captures:
        chosen.append(capture_id)
        freed += size
        if freed >= need_bytes:
            return chosen
    return None


def _in_order(lines: Sequence[Line], up_to_priority: int, *, newest_first: bool = False) -> Iterator[tuple[int, int]]:
    for priority in _priorities(lines, up_to_priority):
        of_priority = [line.captures for line in lines if line.priority == priority]
        # Failures have the lowest priority of all, and are given oldest first whatever the policy.
        yield from heapq.merge(*of_priority, reverse=newest_first and priority >= 0)


def _priorities(lines: Sequence[Line], up_to_priority: int) -> list[int]:
    return sorted({line.priority for line in lines if line.priority <= up_to_priority})
