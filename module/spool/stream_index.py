"""What the event loop knows about waiting captures, stream by stream; no I/O, the clock is an argument.

It gets the result of each commit in the order of the commits, and decides only by its counts what is claimed next.
"""

from __future__ import annotations

import heapq
import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from module.attributes.uploader import UploadConfig
from module.capture import GATHERED, Origin
from module.spool.messages import Rescue

_PATIENCE_S = 0.03
"""Rows gather for so much longer than ``batch_wait_s``: those of a source with that period then travel in pairs."""
_GRID_S = 0.1
"""Batches of many sources are closed together, at multiples of this, so that they are read and sent together."""
_STALE = 64
"""The heaps are made again once more entries than this, and three for each stream, are out of date."""


@dataclass(slots=True)
class Queue:
    """One stream."""

    origin: Origin
    waiting: int
    """Captures that nobody has claimed."""
    head_id: int
    """No capture that waits has a smaller id."""
    ripe_at: float = -math.inf
    """Monotonic time until which its rows gather, unless they are enough before; -inf: they need not wait."""
    rests_until: float = -math.inf
    """Monotonic time until which none of it is claimed, however many they are; -inf: it does not rest."""
    in_flight: int = 0
    """Captures that are claimed."""

    @property
    def gathers(self) -> bool:
        """Whether its captures travel many at a time."""
        return self.origin.kind in GATHERED


class Held:
    """The ids that retention must not drop: those in flight, and those read for a claim that is not noted yet.

    The spool's thread reads this set, and notes what it has read; all other changes are made on the event loop. Without
    the second part, a capture that is dropped between its reading and its claim would still be delivered, and be
    subtracted from the counts twice.
    """

    def __init__(self) -> None:
        self.in_flight: dict[int, int] = {}
        """The stream of each claimed capture, by id."""
        self._readers = 0
        """Claims under way."""
        self._read: frozenset[int] = frozenset()

    def __contains__(self, capture_id: object) -> bool:
        return capture_id in self.in_flight or (self._readers > 0 and capture_id in self._read)

    def begin_reading(self) -> None:
        """Note that a claim is under way; ``end_reading`` once what it took is in ``in_flight``."""
        self._readers += 1

    def end_reading(self) -> None:
        """Note that a claim has ended."""
        self._readers -= 1

    def note_read(self, ids: Iterable[int]) -> None:
        """Note what a claim has read; before the next commit."""
        self._read = frozenset(ids) if self._readers <= 1 else self._read.union(ids)


class Queues:
    """All streams that have captures waiting or in flight; one that has neither is forgotten at once."""

    def __init__(self, upload: UploadConfig) -> None:
        self._upload = upload
        self._queues: dict[int, Queue] = {}
        self.held = Held()
        self.life = 0
        """How often all counts were taken from a file: when it was opened, and after damage."""
        self.in_flight = self.held.in_flight
        """The stream of each claimed capture, by id."""
        # What may be chosen, best first, and what gathers or rests. An entry that is not what its stream says of itself
        # any more is passed over: whatever changes that makes a new one.
        self._ready: list[tuple[int, int, int]] = []
        self._later: list[tuple[float, int]] = []

    def __getitem__(self, stream: int) -> Queue:
        """What is known of a stream; KeyError if nothing of it waits or is in flight."""
        return self._queues[stream]

    def __contains__(self, stream: int) -> bool:
        """Whether anything of a stream waits or is in flight."""
        return stream in self._queues

    def __len__(self) -> int:
        """How many streams are known."""
        return len(self._queues)

    def begin(self, found: Rescue) -> None:
        """Replace all counts by those of a file. Captures in flight that the file does not hold are forgotten."""
        self.life += 1
        for capture_id in self.in_flight.keys() - found.present:
            del self.in_flight[capture_id]
        held = Counter(self.in_flight.values())
        self._queues = {
            row.id: Queue(row.origin, row.items - held[row.id], row.head_id, in_flight=held[row.id])
            for row in found.streams
            if row.items
        }
        self._list_all()

    # ------------------------------------------------------------------ what comes next

    def choose(self, now: float, *, flushing: bool, above: int) -> tuple[int | None, float]:
        """Decide which stream of a priority ``above`` this one comes next; as ``Store.choose``."""
        while self._later and self._later[0][0] <= now:
            due, stream = heapq.heappop(self._later)
            known = self._queues.get(stream)
            if known is not None and self._due(known) == due:
                known.rests_until = -math.inf
                self._list_ready(stream, known)
        if flushing:
            self._hurry()
        while self._ready:
            priority, head_id, stream = self._ready[0]
            known = self._queues.get(stream)
            is_true = known is not None and known.waiting > 0 and known.head_id == head_id
            if is_true and self._due(known) <= now:
                return (stream, 0.0) if -priority > above else (None, self._next_due(now))
            heapq.heappop(self._ready)
            if is_true:
                # It rests, or retention has taken some of what had made a full batch.
                self._list(stream, known)
        return None, self._next_due(now)

    def _hurry(self) -> None:
        later, self._later = self._later, []
        for _, stream in later:
            known = self._queues.get(stream)
            if known is not None and self._due(known) > -math.inf:
                known.ripe_at = known.rests_until = -math.inf
                self._list(stream, known)

    def _due(self, known: Queue | None) -> float:
        """From when on a stream may be chosen; inf: nothing of it waits."""
        if known is None or known.waiting <= 0:
            return math.inf
        is_full = known.gathers and known.waiting >= self._upload.batch_rows
        return max(known.rests_until, -math.inf if is_full else known.ripe_at)

    def _next_due(self, now: float) -> float:
        while self._later:
            due, stream = self._later[0]
            if self._due(self._queues.get(stream)) == due:
                return due - now
            heapq.heappop(self._later)
        return math.inf

    def _list(self, stream: int, known: Queue | None) -> None:
        """Note that a stream may be chosen: from now on, or once its rows have gathered, or its rest is over."""
        due = self._due(known)
        if known is None or due == math.inf:
            return
        if due == -math.inf:
            self._list_ready(stream, known)
        else:
            heapq.heappush(self._later, (due, stream))
            self._tidy()

    def _list_ready(self, stream: int, known: Queue) -> None:
        heapq.heappush(self._ready, (-known.origin.priority, known.head_id, stream))
        self._tidy()

    def _tidy(self) -> None:
        # While nothing is chosen, as in a pause, nobody comes upon the entries that are out of date.
        if len(self._ready) + len(self._later) > _STALE + 4 * len(self._queues):
            self._list_all()

    def _list_all(self) -> None:
        self._ready, self._later = [], []
        for stream, known in self._queues.items():
            self._list(stream, known)

    # ------------------------------------------------------------------ claims

    def streams_to_claim(self, stream: int, most: int) -> list[int]:
        """Return a stream that has been chosen and, if its captures gather, others like it that are ready.

        All of them must be read from then.
        """
        chosen = self._queues[stream]
        streams = [stream]
        while chosen.gathers and self._ready and len(streams) < most:
            priority, head_id, other = self._ready[0]
            known = self._queues.get(other)
            if known is not None and known.waiting > 0 and known.head_id == head_id and other not in streams:
                if not known.gathers or -priority != chosen.origin.priority:
                    break
                streams.append(other)
            heapq.heappop(self._ready)
        return streams

    def read_from(self, stream: int) -> int:
        """The id that a claim begins at.

        Until ``read_to``, the head is the smallest id that a release or a retry has put back meanwhile.
        """
        known = self._queues[stream]
        head, known.head_id = known.head_id, sys.maxsize
        return head

    def read_to(self, stream: int, next_id: int) -> None:
        """Note that the file has been read, and the id with which the next claim begins."""
        known = self._queues.get(stream)
        if known is not None:
            known.head_id = min(known.head_id, next_id)
            self._list(stream, known)

    def mark_claimed(self, stream: int, ids: Iterable[int], now: float) -> None:
        """Note captures of a stream as claimed."""
        known, before = self._queues[stream], len(self.in_flight)
        self.in_flight.update(dict.fromkeys(ids, stream))
        taken = len(self.in_flight) - before
        known.waiting -= taken
        known.in_flight += taken
        self._gather(known, now)
        self._list(stream, known)

    def remove_claimed(self, ids: Iterable[int]) -> None:
        """Note claimed captures as gone: delivered, or among the failures."""
        for capture_id in ids:
            stream = self.in_flight.pop(capture_id, None)
            if stream is not None:
                self._queues[stream].in_flight -= 1
                self._forget_if_empty(stream)

    # ------------------------------------------------------------------ what waits

    def _gather(self, known: Queue, now: float) -> None:
        known.ripe_at = self._ripe_at(now) if known.gathers else -math.inf

    def _ripe_at(self, now: float) -> float:
        wait = self._upload.batch_wait_s
        if not wait:
            return -math.inf
        grid = min(_GRID_S, wait / 10)
        return math.ceil((now + wait + min(_PATIENCE_S, wait / 20)) / grid) * grid

    def put_back(self, stream: int, capture_id: int) -> None:
        """Note a capture as waiting again; it is the first to be claimed, and need not gather."""
        known = self._queues[stream]
        known.waiting += 1
        known.head_id = min(known.head_id, capture_id)
        known.ripe_at = -math.inf
        self._list(stream, known)

    def release(self, stream: int, capture_id: int) -> None:
        """Put a claimed capture back; does nothing if it is not claimed any more."""
        if self.in_flight.pop(capture_id, None) is not None:
            self._queues[stream].in_flight -= 1
            self.put_back(stream, capture_id)

    def rest(self, stream: int, until: float) -> None:
        """Let nothing of a stream be claimed until then, unless all is hurried; nothing if it is not known."""
        known = self._queues.get(stream)
        if known is not None:
            known.rests_until = until
            self._list(stream, known)

    def bring_back(self, rows: Iterable[tuple[int, int]], origins: Mapping[int, Origin]) -> None:
        """Note former failures, (id, stream) each, as waiting."""
        for capture_id, stream in rows:
            self._queues.setdefault(stream, Queue(origins[stream], 0, capture_id))
            self.put_back(stream, capture_id)

    def bring_in(self, origin: Origin, stream: int, first_id: int, count: int) -> None:
        """Note captures of another spool, ``first_id`` the smallest of their ids, as waiting; they need not gather."""
        known = self._queues.setdefault(stream, Queue(origin, 0, first_id))
        known.waiting += count
        known.head_id = min(known.head_id, first_id)
        known.ripe_at = -math.inf
        self._list(stream, known)

    def add(self, origin: Origin, stream: int, capture_id: int, now: float) -> bool:
        """Note a new capture as waiting; returns whether that changes what may be claimed, or from when on."""
        known = self._queues.get(stream)
        if known is None:
            known = self._queues[stream] = Queue(origin, 0, capture_id)
        known.waiting += 1
        if known.waiting == 1:
            known.head_id = capture_id
            self._gather(known, now)
        elif known.waiting != self._upload.batch_rows or not known.gathers:
            return False
        self._list(stream, known)
        return True

    def drop(self, stream: int) -> Origin:
        """Note a waiting capture as gone; returns its origin."""
        known = self._queues[stream]
        known.waiting -= 1
        self._forget_if_empty(stream)
        return known.origin

    def _forget_if_empty(self, stream: int) -> None:
        # Tags that are given with each call make a stream each.
        known = self._queues[stream]
        if not known.waiting and not known.in_flight:
            del self._queues[stream]
