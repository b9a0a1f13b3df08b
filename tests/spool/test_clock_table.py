from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from viam.proto.app.datasync import SensorData

from module.capture import Capture, Item, Kind, Origin
from module.clock.machine_clock import NOT_SET_TAG, Clock, Reading, Stand
from module.collection.readings import document_line, sensor_data
from module.sequence import SequenceSource
from module.spool.store import Store
from tests.clock.shim import TODAY_US, HandSet, begun
from tests.spool.rig import LOGGER, claim, spool_config, upload_config

IN_1970 = Reading("boot-a", 0)
TODAY = Reading("boot-a", TODAY_US)
SENSOR = Origin(source="s", kind=Kind.ROW, name="s", api="rdk:component:sensor", method="Readings", tags=("t",))
ROW, LINE = {"readings": {"n": 1.0}}, {"n": 1}

Opener = Callable[..., Awaitable[Store]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opener]:
    """Open the spool of this test with a clock."""
    stores: list[Store] = []

    async def open_store(clock: Clock) -> Store:
        settings = spool_config(directory=str(tmp_path / "spool"), min_free_bytes=0)
        stores.append(Store(settings, upload_config(), LOGGER, clock))
        await stores[-1].open()
        return stores[-1]

    yield open_store
    for store in stores:
        await store.close()


def of(kind: Kind, clock: Reading, **values: Any) -> Capture:
    origin = replace(SENSOR, kind=kind, source=kind.value, clock=clock, **values)
    payload = {Kind.ROW: sensor_data(ROW, 1, 2), Kind.LINE: document_line(LINE, 1, 2)}.get(kind, b"frame")
    return Capture(origin, 1, 2, payload)


async def all_of(store: Store) -> list[Item]:
    items: list[Item] = []
    while claimed := await claim(store):
        items += claimed
    return sorted(items, key=lambda item: item.id)


@pytest.mark.parametrize("kind", [Kind.ROW, Kind.LINE, Kind.BINARY])
async def test_what_was_captured_before_the_clock_was_set_comes_out_with_its_true_time(
    opened: Opener, kind: Kind
) -> None:
    """The times within what is serialised already, too, and nothing else of it changes."""
    machine = HandSet(0)
    clock = begun(machine)
    store = await opened(clock)
    await store.append([of(kind, IN_1970)])
    machine.ahead_us = TODAY_US
    machine.passes(clock, 11)
    (item,) = await all_of(store)
    true = (TODAY_US + 1, TODAY_US + 2)
    assert (item.requested_us, item.received_us) == true
    expected = {Kind.ROW: sensor_data(ROW, *true), Kind.LINE: document_line(LINE, *true)}.get(kind, b"frame")
    assert item.payload == expected
    assert item.origin.tags == ("t",)


async def test_what_is_put_back_is_corrected_by_the_step_after_it(opened: Opener) -> None:
    """From its own reading each time: corrections do not add up."""
    machine = HandSet(0)
    clock = begun(machine)
    store = await opened(clock)
    await store.append([of(Kind.ROW, IN_1970)])
    for ahead_us in (TODAY_US, TODAY_US + 5_000_000):
        machine.ahead_us = ahead_us
        machine.passes(clock, 11)
        items = await all_of(store)
        assert [item.requested_us for item in items] == [ahead_us + 1]
        store.release(items)


async def test_times_that_a_command_gave_are_never_moved(opened: Opener) -> None:
    clock = begun(HandSet())
    store = await opened(clock)
    await store.append([Capture(SENSOR, 1, 2, sensor_data(ROW, 1, 2))])
    (item,) = await all_of(store)
    assert (item.requested_us, item.payload, item.origin.tags) == (1, sensor_data(ROW, 1, 2), ("t",))


async def test_what_nothing_can_date_goes_as_it_is_with_a_tag(opened: Opener) -> None:
    """Of this boot and of an earlier one."""
    store = await opened(begun(HandSet(0)))
    await store.append([of(Kind.ROW, IN_1970), of(Kind.ROW, Reading("boot-z", 5), tags=())])
    first, second = await all_of(store)
    assert (first.requested_us, first.payload, first.origin.tags) == (1, sensor_data(ROW, 1, 2), ("t", NOT_SET_TAG))
    assert (second.requested_us, second.origin.tags) == (1, (NOT_SET_TAG,))


async def test_an_earlier_boot_is_dated_by_what_was_known_of_its_clock(opened: Opener) -> None:
    store = await opened(begun(HandSet()))
    await store.append([of(Kind.BINARY, IN_1970)])
    await store.clocks.keep(Stand(IN_1970, stood=False))
    await store.clocks.keep(Stand(TODAY, stood=False))
    await store.clocks.keep(Stand(TODAY, stood=True))
    await store.close()
    later = HandSet(0, boot="boot-b")
    store = await opened(begun(later))
    assert await store.clocks.of_boot("boot-b") == []
    assert await store.clocks.of_boot("boot-a") == [Stand(IN_1970, stood=False), Stand(TODAY, stood=True)]
    (item,) = await all_of(store)
    assert (item.requested_us, item.origin.tags) == (TODAY_US + 1, ("t",))


async def test_failures_and_the_oldest_capture_have_their_true_times(opened: Opener) -> None:
    machine = HandSet(0)
    clock = begun(machine)
    store = await opened(clock)
    asked = clock.stamp()
    await store.append([replace(of(Kind.ROW, asked.reading), requested_us=asked.us, received_us=asked.us)])
    machine.ahead_us = TODAY_US
    machine.passes(clock, 11)
    # Looked at after the commit, and so before what is asked for next.
    assert await store.failures(10) == []
    assert store.oldest is not None
    assert clock.age_s(store.oldest) == 11
    await store.fail(await all_of(store), "no", 1)
    (failure,) = await store.failures(10)
    assert failure.requested_us == asked.us + TODAY_US


async def test_a_sequence_has_true_times_and_a_tag_if_nothing_can_date_it(opened: Opener) -> None:
    machine = HandSet(0)
    clock = begun(machine)
    store = await opened(clock)
    source = SequenceSource("s", "s", "Readings")
    first, second = [await store.sequences.start([source], ["q"]) for _ in range(2)]
    start_us = machine.now_us()
    machine.up_us += 3_000_000
    stopped = await store.sequences.stop(first.id)
    assert stopped is not None
    assert (stopped.start_us, stopped.end_us, stopped.tags) == (start_us, start_us + 3_000_000, ("q", NOT_SET_TAG))
    machine.ahead_us = TODAY_US
    machine.passes(clock, 11)
    stopped = await store.sequences.stop(second.id)
    assert stopped is not None
    true_us = start_us + TODAY_US
    assert (stopped.start_us, stopped.end_us, stopped.tags) == (true_us, true_us + 14_000_000, ("q",))
    (earlier, _) = await store.sequences.look()
    assert (earlier.start_us, earlier.end_us, earlier.tags) == (true_us, true_us + 3_000_000, ("q",))


async def test_what_is_known_of_clocks_is_bounded(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("module.spool.clock_table._MOST_ROWS", 3)
    store = await opened(begun(HandSet()))
    for number in range(6):
        await store.clocks.keep(Stand(Reading("boot", number), stood=True))
    assert [stand.reading.offset_us for stand in await store.clocks.of_boot("boot")] == [3, 4, 5]


def test_a_row_of_the_cloud_can_be_read_after_it() -> None:
    """What the tests above compare with."""
    assert SensorData.FromString(sensor_data(ROW, 1, 2)).struct.fields["readings"]
    assert json.loads(document_line(LINE, 1, 2))["readings"] == LINE
