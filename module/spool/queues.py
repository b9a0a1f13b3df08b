"""What the event loop knows of the captures that wait, stream by stream; no I/O, the clock is handed in.

It is told of each commit in the order of the commits, and decides from its counts alone what is to be claimed next.
"""

from __future__ import annotations

import heapq
import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from module.capture import GATHERED, Origin
from module.config import UploadConfig
from module.spool.jobs import Rescue

_PATIENCE_S = 0.03
"""Rows gather for so much longer than ``batch_wait_s``: those of a source with that period then travel in pairs."""
_GRID_S = 0.1
"""Batches of many sources are closed together, at multiples of this, so that they are read and sent together."""
_MANY = 1000


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

    @property
    def gathers(self) -> bool:
        """Whether its captures travel many at a time."""
        return self.origin.kind in GATHERED


class Held:
    """The ids that retention leaves alone: those in flight, and those read for a claim that is not noted yet.

    The spool's thread asks, and notes what it has read; all else is the event loop's. Without the second set, what is
    dropped between its reading and its claim would be delivered all the same, and leave the counts twice.
    """

    def __init__(self) -> None:
        self.in_flight: dict[int, int] = {}
        """The stream of each claimed capture, by id."""
        self.readers = 0
        """Claims under way."""
        self._read: frozenset[int] = frozenset()

    def __contains__(self, capture_id: object) -> bool:
        return capture_id in self.in_flight or (self.readers > 0 and capture_id in self._read)

    def note_read(self, ids: Iterable[int]) -> None:
        """Note what a claim has read; before the next commit."""
        self._read = frozenset(ids) if self.readers <= 1 else self._read.union(ids)


class Queues:
    """All streams that have captures waiting or in flight, and some that had."""

    def __init__(self, upload: UploadConfig) -> None:
        self._upload = upload
        self._queues: dict[int, Queue] = {}
        self.held = Held()
        self.in_flight = self.held.in_flight
        """The stream of each claimed capture, by id."""
        self._most = _MANY
        # What may be chosen, best first, and what gathers. An entry that is not what its stream says of itself any more
        # is passed over: whatever changes that makes a new one.
        self._ready: list[tuple[int, int, int]] = []
        self._gathering: list[tuple[float, int]] = []

    def __getitem__(self, stream: int) -> Queue:
        """What is known of a stream; KeyError where nothing is."""
        return self._queues[stream]

    def __len__(self) -> int:
        """How many streams are known."""
        return len(self._queues)

    def begin(self, found: Rescue) -> None:
        """Forget all counts, and take over those of a file; of what is in flight, only what that holds still is."""
        for capture_id in self.in_flight.keys() - found.present:
            del self.in_flight[capture_id]
        held = Counter(self.in_flight.values())
        self._queues = {
            row.id: Queue(row.origin, row.items - held[row.id], row.head_id) for row in found.streams if row.items
        }
        self._ready, self._gathering = [], []
        for stream, known in self._queues.items():
            self._list(stream, known)

    def choose(self, now: float, *, flushing: bool, above: int) -> tuple[int | None, float]:
        """Decide which stream of a priority ``above`` this one comes next; as ``Store.choose``."""
        while self._gathering and self._gathering[0][0] <= now:
            ripe_at, stream = heapq.heappop(self._gathering)
            known = self._queues.get(stream)
            if known is not None and known.waiting and known.ripe_at == ripe_at:
                self._list_ready(stream, known)
        if flushing:
            self._hurry()
        while self._ready:
            priority, head_id, stream = self._ready[0]
            known = self._queues.get(stream)
            if known is not None and known.waiting and known.head_id == head_id:
                if known.ripe_at <= now or known.waiting >= self._upload.batch_rows:
                    return (stream, 0.0) if -priority > above else (None, self._next_ripe(now))
                # Retention has taken some of what had made a full batch.
                self._list(stream, known)
            heapq.heappop(self._ready)
        return None, self._next_ripe(now)

    def _hurry(self) -> None:
        for _, stream in self._gathering:
            known = self._queues.get(stream)
            if known is not None and known.waiting and known.ripe_at > -math.inf:
                known.ripe_at = -math.inf
                self._list_ready(stream, known)
        self._gathering.clear()

    def _next_ripe(self, now: float) -> float:
        while self._gathering:
            ripe_at, stream = self._gathering[0]
            known = self._queues.get(stream)
            if known is not None and known.waiting and known.ripe_at == ripe_at:
                return ripe_at - now
            heapq.heappop(self._gathering)
        return math.inf

    def _list(self, stream: int, known: Queue) -> None:
        """Note that a stream may be chosen: from now on, or once its rows have gathered."""
        if not known.waiting:
            return
        if known.ripe_at == -math.inf or known.waiting >= self._upload.batch_rows:
            self._list_ready(stream, known)
        else:
            heapq.heappush(self._gathering, (known.ripe_at, stream))

    def _list_ready(self, stream: int, known: Queue) -> None:
        heapq.heappush(self._ready, (-known.origin.priority, known.head_id, stream))

    def draw(self, stream: int, most: int) -> list[int]:
        """Give a stream that has been chosen, and with it, if its captures gather, others like it that are ready.

        All of them must be read from then.
        """
        chosen = self._queues[stream]
        drawn = [stream]
        while chosen.gathers and self._ready and len(drawn) < most:
            priority, head_id, other = self._ready[0]
            known = self._queues.get(other)
            if known is not None and known.waiting and known.head_id == head_id and other not in drawn:
                if not known.gathers or -priority != chosen.origin.priority:
                    break
                drawn.append(other)
            heapq.heappop(self._ready)
        return drawn

    def read_from(self, stream: int) -> int:
        """The id that a claim begins at.

        Until ``read_to``, the head falls to whatever a release or a retry puts back behind the reader.
        """
        known = self._queues[stream]
        head, known.head_id = known.head_id, sys.maxsize
        return head

    def read_to(self, stream: int, next_id: int) -> None:
        """Note that the file has been read, and from where the next claim goes on."""
        known = self._queues.get(stream)
        if known is not None:
            known.head_id = min(known.head_id, next_id)
            self._list(stream, known)

    def take(self, stream: int, ids: Iterable[int], now: float) -> None:
        """Note captures as claimed."""
        known, before = self._queues[stream], len(self.in_flight)
        self.in_flight.update(dict.fromkeys(ids, stream))
        known.waiting -= len(self.in_flight) - before
        self._gather(known, now)
        self._list(stream, known)

    def _gather(self, known: Queue, now: float) -> None:
        known.ripe_at = self._ripe_at(now) if known.gathers else -math.inf

    def _ripe_at(self, now: float) -> float:
        wait = self._upload.batch_wait_s
        if not wait:
            return -math.inf
        grid = min(_GRID_S, wait / 10)
        return math.ceil((now + wait + min(_PATIENCE_S, wait / 20)) / grid) * grid

    def land(self, ids: Iterable[int]) -> None:
        """Note claimed captures as gone."""
        for capture_id in ids:
            self.in_flight.pop(capture_id, None)

    def put_back(self, stream: int, capture_id: int) -> None:
        """Note a capture as waiting again; it is the first to be claimed, and need not gather."""
        known = self._queues[stream]
        known.waiting += 1
        known.head_id = min(known.head_id, capture_id)
        known.ripe_at = -math.inf
        self._list(stream, known)

    def release(self, stream: int, capture_id: int) -> None:
        """Put a claimed capture back; nothing where it is not claimed any more."""
        if self.in_flight.pop(capture_id, None) is not None:
            self.put_back(stream, capture_id)

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

    def add(self, origin: Origin, stream: int, capture_id: int, now: float) -> None:
        """Note a new capture as waiting."""
        known = self._queues.get(stream)
        if known is None:
            if len(self._queues) >= self._most:
                self._forget_idle()
                self._most = max(_MANY, 2 * len(self._queues))
            known = self._queues[stream] = Queue(origin, 0, capture_id)
        known.waiting += 1
        if known.waiting == 1:
            known.head_id = capture_id
            self._gather(known, now)
            self._list(stream, known)
        elif known.waiting == self._upload.batch_rows and known.gathers:
            self._list(stream, known)

    def _forget_idle(self) -> None:
        # Tags that are given with each call make a stream each, and ``choose`` goes through all of them.
        busy = set(self.in_flight.values())
        self._queues = {stream: known for stream, known in self._queues.items() if known.waiting or stream in busy}
