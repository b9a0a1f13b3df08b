"""Which stream is next: the choice against a plain look at all streams, through many random histories."""

from __future__ import annotations

import math
import random

import pytest

from module.capture import Kind, Origin
from module.spool.stream_index import Queue, Queues
from tests.spool.rig import upload_config

ORIGINS = [
    Origin(f"{kind.value}-{priority}-{copy}", kind, priority)
    for kind in (Kind.ROW, Kind.BINARY)
    for priority in (0, 5)
    for copy in range(3)
]


class History:
    """What happens to a spool, at random, with a clock of its own."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.queues = Queues(upload_config(batch_rows=4, batch_wait_s=1.0))
        self.now = 100.0
        self._last_id = 0
        self._waiting: dict[int, list[int]] = {stream: [] for stream in range(len(ORIGINS))}

    def _known(self) -> dict[int, Queue]:
        return {stream: self.queues[stream] for stream, ids in self._waiting.items() if ids}

    def step(self) -> None:
        self.now += self.random.choice([0.0, 0.01, 0.3])
        self.random.choice([self.append, self.append, self.append, self.claim, self.release, self.drop])()

    def append(self) -> None:
        stream = self.random.randrange(len(ORIGINS))
        self._last_id += 1
        before = self.queues.choose(self.now, flushing=False, above=-1)
        changes = self.queues.add(ORIGINS[stream], stream, self._last_id, self.now)
        # The uploads look again only after a change.
        assert changes or self.queues.choose(self.now, flushing=False, above=-1) == before
        self._waiting[stream].append(self._last_id)

    def claim(self) -> None:
        chosen, _ = self.queues.choose(self.now, flushing=self.random.random() < 0.2, above=-1)
        if chosen is None:
            return
        streams = self.queues.streams_to_claim(chosen, self.random.randrange(1, 5))
        heads = [self.queues.read_from(stream) for stream in streams]
        assert len(set(streams)) == len(streams)
        assert len({ORIGINS[stream].priority for stream in streams}) == 1
        for stream, head in zip(streams, heads, strict=True):
            read = [i for i in sorted(self._waiting[stream]) if i >= head][: self.random.randrange(0, 5)]
            assert min(self._waiting[stream]) >= head
            self.queues.read_to(stream, max(read, default=head - 1) + 1)
            self.queues.mark_claimed(stream, read, self.now)
            self._waiting[stream] = [i for i in self._waiting[stream] if i not in read]

    def release(self) -> None:
        if self.queues.in_flight:
            capture_id, stream = self.random.choice(list(self.queues.in_flight.items()))
            if self.random.random() < 0.5:
                self.queues.release(stream, capture_id)
                self._waiting[stream].append(capture_id)
            else:
                self.queues.remove_claimed([capture_id])

    def drop(self) -> None:
        stream = self.random.randrange(len(ORIGINS))
        if self._waiting[stream]:
            self._waiting[stream].remove(self.random.choice(self._waiting[stream]))
            self.queues.drop(stream)

    def plain(self, above: int, *, flushing: bool) -> tuple[tuple[int, int] | None, float]:
        """Priority and head of the best stream; seconds until the next is ripe."""
        best: tuple[int, int] | None = None
        wait = math.inf
        for known in self._known().values():
            ripe = known.ripe_at <= self.now or (known.gathers and known.waiting >= 4)
            if not ripe and not flushing:
                wait = min(wait, known.ripe_at - self.now)
            elif known.origin.priority > above:
                key = (-known.origin.priority, known.head_id)
                best = key if best is None else min(best, key)
        return best, wait


@pytest.mark.parametrize("seed", [*range(20), pytest.param(random.randrange(10**9), id="any")])
def test_the_best_stream_is_chosen_whatever_happened_before(seed: int) -> None:
    history = History(seed)
    for _ in range(400):
        history.step()
        for flushing in (False, history.random.random() < 0.1):
            for above in (-1, 0):
                best, wait = history.plain(above, flushing=flushing)
                stream, told = history.queues.choose(history.now, flushing=flushing, above=above)
                chosen = None if stream is None else history.queues[stream]
                assert best == (None if chosen is None else (-chosen.origin.priority, chosen.head_id))
                if (chosen, above, flushing) == (None, -1, False):
                    assert told == pytest.approx(wait)


def test_a_source_whose_period_is_the_wait_sends_its_rows_in_pairs() -> None:
    queues = Queues(upload_config(batch_wait_s=1.0))
    sizes: list[int] = []
    for number in range(100):
        # As late as a poll and a commit may be.
        now = number + 0.02 * (number % 2)
        stream, _ = queues.choose(now, flushing=False, above=-1)
        if stream is not None:
            sizes.append(queues[stream].waiting)
            queues.mark_claimed(stream, range(number - sizes[-1], number), now)
        queues.add(ORIGINS[0], 0, number, now)
    assert sizes
    assert set(sizes) == {2}


def test_batches_of_many_sources_are_closed_together() -> None:
    queues = Queues(upload_config(batch_wait_s=1.0))
    for stream in range(3):
        queues.add(ORIGINS[stream], stream, stream, 0.02 * stream)
    _, wait = queues.choose(1.0, flushing=False, above=-1)
    assert 0 < wait <= 0.13
    chosen, _ = queues.choose(1.0 + wait, flushing=False, above=-1)
    assert chosen is not None
    assert set(queues.streams_to_claim(chosen, 8)) == {0, 1, 2}


def test_nothing_grows_while_nobody_asks_what_comes_next() -> None:
    """As in a pause with a full spool: what comes makes a full batch, and what goes for it unmakes it."""
    queues = Queues(upload_config(batch_rows=4, batch_wait_s=1.0))
    for number in range(5000):
        queues.add(ORIGINS[0], 0, number, number)
        if number >= 4:
            queues.drop(0)
        if number % 10 == 0:
            queues.add(ORIGINS[1], 1, number, number)
            queues.drop(1)
    assert len(queues._ready) + len(queues._later) < 100
    assert len(queues) == 1
    assert queues.choose(5001.0, flushing=False, above=-1)[0] == 0


def test_a_stream_that_rests_is_passed_over_until_its_time_or_a_flush() -> None:
    queues = Queues(upload_config(batch_rows=4, batch_wait_s=1.0))
    files = Origin("folder", Kind.FILE, priority=9)
    for number in range(10):
        queues.add(files, 7, number, 0.0)
    queues.mark_claimed(7, [0], 0.0)
    queues.release(7, 0)
    queues.rest(7, 5.0)
    assert queues.choose(1.0, flushing=False, above=-1) == (None, 4.0)
    queues.add(ORIGINS[3], 3, 11, 1.0)
    assert queues.choose(3.0, flushing=False, above=-1)[0] == 3
    assert queues.choose(5.0, flushing=False, above=-1)[0] == 7
    queues.rest(7, 9.0)
    assert queues.choose(6.0, flushing=False, above=-1)[0] == 3
    assert queues.choose(6.0, flushing=True, above=-1)[0] == 7
    queues.rest(8, 9.0)
