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


def thin(lines: Sequence[Line], need_bytes: int, *, up_to_priority: int) -> list[int] | None:
    """As ``drop_oldest``, but every other capture stays, so that the whole time span stays covered.

    If the lines begin after the last thinning, and at the start again after their end, each pass halves the captures
    that the pass before has left.
    """
    return _enough(itertools.islice(_in_order(lines, up_to_priority), 1, None, 2), need_bytes)


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
    for priority in sorted({line.priority for line in lines if line.priority <= up_to_priority}):
        of_priority = [line.captures for line in lines if line.priority == priority]
        # Failures have the lowest priority of all, and are given oldest first whatever the policy.
        yield from heapq.merge(*of_priority, reverse=newest_first and priority >= 0)
