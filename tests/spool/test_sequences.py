"""Which captures belong to a sequence, and what is still to be delivered of it, in a real spool."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from module.attributes.uploader import parse
from module.capture import Capture, Kind, Origin
from module.errors import SpoolClosed
from module.sequence import CaptureSequence, SequenceSource, SequenceState
from module.spool.store import Store
from tests.spool.rig import claim

ROWS = Origin(source="s", kind=Kind.ROW, api="rdk:component:sensor", name="s", method="Readings")
IMAGES = Origin(source="eye", kind=Kind.BINARY, api="rdk:component:camera", name="c", method="GetImages")
S = SequenceSource("s", "s", "Readings")
EYE = SequenceSource("eye", "c", "GetImages")

Opener = Callable[[], Awaitable[Store]]


def row(number: int, origin: Origin = ROWS) -> Capture:
    return Capture(origin, number, number, b"row")


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opener]:
    stores: list[Store] = []

    async def open_store() -> Store:
        for store in stores:
            await store.close()
        cloud = {"part_id": "part", "api_key_id": "id", "api_key": "key"}
        spool = {"directory": str(tmp_path), "min_free_bytes": 0}
        config = parse({"spool": spool, "cloud": cloud}, service="uploader", environ={})
        stores.append(Store(config.spool, config.upload, logging.getLogger("test")))
        await stores[-1].open()
        return stores[-1]

    yield open_store
    for store in stores:
        await store.close()


async def waiting_for(store: Store) -> list[int]:
    return [sequence.waiting_for for sequence in await store.sequences.look()]


async def stop(store: Store, sequence: CaptureSequence) -> CaptureSequence:
    stopped = await store.sequences.stop(sequence.id)
    assert stopped is not None
    return stopped


async def test_what_its_sources_capture_between_start_and_stop_belongs_to_it(opened: Opener) -> None:
    """Whatever its tags are, and whether its commit is over yet."""
    store = await opened()
    before = store.append_soon([row(1)])
    sequence = await store.sequences.start([S, EYE], [])
    tagged = replace(ROWS, tags=("burst",))
    within = [
        store.append_soon([row(2)]),
        store.append_soon([row(3, tagged), row(4, IMAGES)]),
        store.append_soon([row(5, replace(ROWS, source="other"))]),
    ]
    assert (await stop(store, sequence)).waiting_for == 3
    await store.append([row(6)])
    await asyncio.gather(before, *within)
    assert await waiting_for(store) == [3]


async def test_a_sequence_is_as_it_was_started_and_keeps_its_times(opened: Opener) -> None:
    store = await opened()
    began = time.time_ns() // 1000
    sequence = await store.sequences.start([S, EYE], ["a", "b"])
    assert (sequence.sources, sequence.tags, sequence.state) == ((S, EYE), ("a", "b"), SequenceState.OPEN)
    stopped = await stop(store, sequence)
    assert stopped == replace(sequence, end_us=stopped.end_us)
    assert stopped.state is SequenceState.WAITING
    assert began <= sequence.start_us <= (stopped.end_us or 0) <= time.time_ns() // 1000


async def test_what_is_in_flight_is_waited_for_until_it_is_acknowledged(opened: Opener) -> None:
    store = await opened()
    sequence = await store.sequences.start([S], [])
    await store.append([row(1), row(2)])
    await stop(store, sequence)
    items = await claim(store)
    assert await waiting_for(store) == [2]
    await store.acknowledge(items[:1])
    assert await waiting_for(store) == [1]
    store.release(items[1:])
    await store.acknowledge(await claim(store))
    assert await waiting_for(store) == [0]


async def test_failures_are_waited_for_until_they_are_delivered_or_discarded(opened: Opener) -> None:
    store = await opened()
    sequence = await store.sequences.start([S], [])
    await store.append([row(1), row(2)])
    await stop(store, sequence)
    items = await claim(store)
    await store.fail(items, "bad", 1)
    assert await waiting_for(store) == [2]
    await store.discard([items[0].id])
    assert await waiting_for(store) == [1]
    await store.retry()
    assert await waiting_for(store) == [1]
    await store.acknowledge(await claim(store))
    assert await waiting_for(store) == [0]


async def test_all_of_it_survives_a_restart(opened: Opener) -> None:
    """Open ones stay open, and go on where they were."""
    store = await opened()
    open_one = await store.sequences.start([S], ["t"])
    stopped = await store.sequences.start([EYE], [])
    await store.append([row(1), row(2, IMAGES)])
    stopped = await stop(store, stopped)
    failed = await stop(store, await store.sequences.start([S], []))
    await store.sequences.failed(failed.id, "no")
    store = await opened()
    assert await store.sequences.look() == [open_one, stopped, replace(failed, error="no")]
    assert [each.state for each in store.sequences.known] == [
        SequenceState.OPEN,
        SequenceState.WAITING,
        SequenceState.FAILED,
    ]
    await store.append([row(3)])
    assert (await stop(store, open_one)).waiting_for == 2


async def test_a_method_that_was_not_known_yet_is_filled_in_and_no_other_changes(opened: Opener) -> None:
    store = await opened()
    unknown = replace(EYE, method="")
    ended = await stop(store, await store.sequences.start([unknown], []))
    sequence = await store.sequences.start([unknown, S, replace(unknown, id="gone")], ["t"])
    await store.sequences.fill_in({"eye": "GetImages", "s": "DoCommand"})
    store = await opened()
    filled = replace(sequence, sources=(EYE, S, replace(unknown, id="gone")))
    assert await store.sequences.look() == [ended, filled]


async def test_only_those_that_are_open_can_be_stopped(opened: Opener) -> None:
    """Right after a restart too, when nobody has looked yet."""
    store = await opened()
    one, two = await store.sequences.start([S], []), await store.sequences.start([S], [])
    store = await opened()
    assert await store.sequences.stop("unknown") is None
    assert store.sequences.open_ids() == [one.id, two.id]
    first = await stop(store, one)
    assert await store.sequences.stop(one.id) is None
    assert store.sequences.known[0] == first
    assert store.sequences.open_ids() == [two.id]


async def test_two_stops_at_once_return_the_same_end(opened: Opener) -> None:
    store = await opened()
    sequence = await store.sequences.start([S], [])
    one, two = await asyncio.gather(stop(store, sequence), stop(store, sequence))
    assert one == two == (await store.sequences.look())[0]


async def test_what_the_cloud_has_made_is_forgotten(opened: Opener) -> None:
    store = await opened()
    one, two = await store.sequences.start([S], []), await store.sequences.start([S], [])
    await store.sequences.created(one.id)
    assert [each.id for each in await store.sequences.look()] == [two.id]


async def test_failed_ones_wait_again_or_go_and_no_others_do(opened: Opener) -> None:
    store = await opened()
    names = [(await store.sequences.start([S], [])).id for _ in range(3)]
    await store.sequences.stop(names[1])
    await store.sequences.stop(names[2])
    assert (await store.sequences.retry(), await store.sequences.discard()) == (0, 0)
    await store.sequences.failed(names[2], "no")
    store = await opened()
    assert await store.sequences.retry() == 1
    assert store.sequences.stopped.is_set()
    assert [each.state.value for each in store.sequences.known] == ["open", "waiting", "waiting"]
    await store.sequences.failed(names[2], "no")
    assert await store.sequences.discard() == 1
    assert [each.id for each in await store.sequences.look()] == names[:2]


async def test_it_never_ends_before_its_start(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock was set back in between: the end is the true one."""
    store = await opened()
    sequence = await store.sequences.start([S], [])
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now - 3_600_000_000_000)
    end_us = (await stop(store, sequence)).end_us
    assert end_us is not None
    assert sequence.start_us <= end_us < sequence.start_us + 3_600_000_000


async def test_a_stop_and_a_start_wake_the_maker_of_sequences(opened: Opener) -> None:
    store = await opened()
    sequence = await store.sequences.start([S], [])
    await store.sequences.look()
    assert not store.sequences.stopped.is_set()
    await stop(store, sequence)
    assert store.sequences.stopped.is_set()
    store = await opened()
    assert not store.sequences.stopped.is_set()
    await store.sequences.look()
    assert store.sequences.stopped.is_set()


async def test_a_closed_spool_says_so(opened: Opener) -> None:
    store = await opened()
    await store.close()
    with pytest.raises(SpoolClosed):
        await store.sequences.start([S], [])
