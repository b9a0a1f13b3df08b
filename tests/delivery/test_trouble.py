"""What the cloud, the network and single captures can do to delivery, and what becomes of the captures then."""

from __future__ import annotations

import asyncio
import collections
import random
import time

import grpc
import pytest

from module.delivery.attempts import Carrier, Counts, Load
from module.local.calls import Arrival, Call, Refusal, UploadMethod
from tests.delivery.rig import LOGGER, Crowd, Rig, Starter, image, refuse, refuse_rows, row

STATUS = grpc.StatusCode


async def decided(rig: Rig) -> tuple[Carrier, Load]:
    """Decide on the upload of an image, which has not begun."""
    rig.uploader.pause()
    await rig.append(image(1))
    carrier = Carrier(rig.store, rig.client, rig.config.upload, LOGGER, Counts(), on_delivered=lambda *_: None)
    stream, _ = rig.store.choose(0.0, flushing=True)
    assert stream is not None
    (items,) = await rig.store.claim(stream)
    return carrier, Load({item.id: item for item in items}, 0, carrier.link.epoch)


@pytest.mark.parametrize("bad", [0, 1, 250, 499, pytest.param(random.Random().randrange(2, 499), id="any")])
async def test_a_bad_row_is_found_among_its_batch(start: Starter, bad: int) -> None:
    """It alone goes to the failures, for few calls more, and is delivered once the cloud takes it."""
    rig = await start()
    rig.cloud.judge = refuse_rows(bad)
    await rig.append(*(row(n) for n in range(500)))
    await rig.flush()
    assert sorted(rig.rows()) == [n for n in range(500) if n != bad]
    assert rig.cloud.calls.total() <= 1 + 12
    (failure,) = await rig.store.failures(10)
    assert (failure.source, failure.error) == ("thermometer", "INVALID_ARGUMENT: a row is not well-formed")

    rig.cloud.judge = None
    assert await rig.store.retry([failure.id]) == 1
    await rig.flush()
    assert sorted(rig.rows()) == list(range(500))
    assert (rig.store.failed, rig.status()["uploaded_items"]) == (0, 500)


@pytest.mark.parametrize("bad", [(0, 499), (7, 8), (100, 400)])
async def test_two_bad_rows_are_both_found(start: Starter, bad: tuple[int, int]) -> None:
    rig = await start()
    rig.cloud.judge = refuse_rows(*bad)
    await rig.append(*(row(n) for n in range(500)))
    await rig.flush()
    assert sorted(rig.rows()) == [n for n in range(500) if n not in bad]
    assert rig.store.failed == 2
    assert rig.cloud.calls.total() <= 1 + 2 * 12


async def test_a_row_that_was_rejected_by_itself_is_not_sent_again(start: Starter) -> None:
    rig = await start()
    rig.cloud.judge = refuse_rows(0)
    await rig.append(row(0), row(1))
    await rig.flush()
    assert rig.rows() == [1]
    # Both, the first, the second.
    assert rig.cloud.calls.total() == 3
    (failure,) = await rig.store.failures(10)
    assert failure.attempts == 2


async def test_a_batch_too_large_for_the_cloud_is_split(start: Starter) -> None:
    """None of its rows is at fault, and none is rejected."""
    rig = await start(cloud={"max_message_bytes": 40_000})
    await rig.append(*(row(n, padding=400) for n in range(300)))
    await rig.flush()
    assert sorted(rig.rows()) == list(range(300))
    assert rig.store.failed == 0


async def test_a_row_too_large_for_the_cloud_is_rejected(start: Starter) -> None:
    rig = await start(cloud={"max_message_bytes": 40_000})
    await rig.append(row(1), row(2, padding=60_000), row(3))
    await rig.flush()
    assert sorted(rig.rows()) == [1, 3]
    (failure,) = await rig.store.failures(10)
    assert "larger than max" in failure.error


async def test_an_image_too_large_for_one_message_is_streamed(start: Starter) -> None:
    rig = await start(cloud={"max_message_bytes": 40_000}, chunk_bytes=8192)
    await rig.append(image(1, size=100_000, upload_as="binary"))
    await rig.flush()
    assert (rig.images(), rig.store.failed) == ([1], 0)
    assert rig.status()["by_method"]["streaming_data_capture_upload"] == 1
    assert rig.cloud.arrivals[0].method is UploadMethod.STREAMING


async def test_what_is_too_large_even_in_chunks_is_rejected(start: Starter) -> None:
    rig = await start(cloud={"max_message_bytes": 4000}, chunk_bytes=8192)
    await rig.append(image(1, size=100_000), image(2))
    await rig.flush()
    assert (rig.images(), rig.store.failed) == ([2], 1)


async def test_an_answer_that_nobody_understands_is_asked_for_ten_times(start: Starter) -> None:
    """Meanwhile other captures go through."""
    rig = await start(concurrency=2)
    rig.cloud.judge = refuse(STATUS.UNKNOWN, "?", source="bad")
    await rig.append(image(0, "bad"), *(image(n) for n in range(1, 41)))
    await rig.cloud.wait_for(lambda: len(rig.images()) == 40, 30)
    await rig.flush()
    (failure,) = await rig.store.failures(10)
    assert (failure.source, failure.error, failure.attempts) == ("bad", "UNKNOWN: ?", 10)
    assert rig.cloud.calls.total() == 50
    assert rig.status()["retries"] == 9


async def test_tries_while_the_cloud_was_away_do_not_count_against_a_capture(start: Starter) -> None:
    rig = await start(retry_initial_s=0.001, retry_max_s=0.002)
    rig.cloud.judge = refuse(STATUS.UNAVAILABLE, "away")
    await rig.append(image(1))
    await rig.cloud.wait_for(lambda: rig.cloud.calls.total() >= 12, 30)
    answers = iter([STATUS.UNKNOWN] * 9)

    async def unsure(_: Call) -> None:
        for status in answers:
            raise Refusal(status, "?")

    rig.cloud.judge = unsure
    await rig.flush()
    assert (rig.images(), rig.store.failed) == ([1], 0)


async def test_rejections_in_a_row_are_a_matter_of_configuration(start: Starter) -> None:
    """So what was rejected before that was known is back in the spool."""
    rig = await start(concurrency=8, retry_max_s=100)
    await rig.append(image(0))
    await rig.flush()
    rig.cloud.judge = refuse(STATUS.INVALID_ARGUMENT, "no such organisation")
    await rig.append(*(image(n) for n in range(1, 61)))
    await rig.settled("refused")
    assert "20 captures in a row were rejected: INVALID_ARGUMENT" in rig.status()["last_error"]
    await rig.until(lambda: (rig.store.items, rig.store.failed) == (60, 0))

    rig.cloud.judge = None
    await rig.flush()
    assert sorted(rig.images()) == list(range(61))


async def test_an_upload_decided_before_a_refusal_does_not_replace_its_reason(start: Starter) -> None:
    """Its own rejection says less: that it was one of many is what helps."""
    rig = await start()
    rig.cloud.judge = refuse(STATUS.INVALID_ARGUMENT, "no such organisation")
    carrier, load = await decided(rig)
    carrier.link.refused(time.monotonic(), carrier.link.epoch, "20 captures in a row were rejected")
    await carrier.deliver(load, list(load.held.values()))
    assert carrier.link.last_error == "20 captures in a row were rejected"
    assert (rig.cloud.calls.total(), rig.store.failed) == (1, 0)


@pytest.mark.parametrize("status", [STATUS.UNAVAILABLE, STATUS.PERMISSION_DENIED])
async def test_an_upload_decided_before_an_outage_does_not_wait_for_its_end_once_that_has_come(
    start: Starter, status: grpc.StatusCode
) -> None:
    """Nothing would put its captures back before the next outage ends."""
    rig = await start()
    rig.cloud.judge = refuse(status, "no")
    carrier, load = await decided(rig)
    items = list(load.held.values())
    carrier.link.failed(time.monotonic(), carrier.link.epoch, "away")
    carrier.link.worked()
    for _ in range(2):
        await carrier.deliver(load, items)
    assert list(load.held.values()) == items


async def test_rejections_between_deliveries_are_the_captures_own(start: Starter) -> None:
    rig = await start(concurrency=4)
    rig.cloud.judge = refuse(STATUS.INVALID_ARGUMENT, "no", source="bad")
    await rig.append(*(image(n, "bad" if n % 2 else "eye") for n in range(80)))
    await rig.flush()
    assert (len(rig.images()), rig.store.failed, rig.status()["state"]) == (40, 40, "idle")


async def test_an_outage_loses_and_doubles_nothing_that_was_answered(start: Starter) -> None:
    rig = await start(concurrency=8)
    await rig.append(*(image(n) for n in range(20)))
    await rig.flush()
    await rig.cloud.stop()
    await rig.append(*(image(n) for n in range(20, 120)), *(row(n) for n in range(700)))
    await rig.until(lambda: rig.status()["state"] == "offline")
    assert (rig.status()["connected"], rig.store.items, rig.store.failed) == (False, 800, 0)
    await rig.cloud.start()
    await rig.flush()
    assert sorted(rig.images()) == list(range(120))
    assert sorted(rig.rows()) == list(range(700))
    assert (rig.status()["state"], rig.status()["connected"], rig.status()["last_error"]) == ("idle", True, None)


async def test_a_cloud_that_is_away_is_asked_by_one_upload_at_a_time(start: Starter) -> None:
    """And by all of them again once it is back, without a word about it from anyone."""
    rig = await start(concurrency=8)
    await rig.append(image(0))
    await rig.flush()
    at_once: collections.Counter[str] = collections.Counter()

    async def away(_: Call) -> None:
        at_once["now"] += 1
        at_once["most"] = max(at_once["most"], at_once["now"])
        await asyncio.sleep(0.005)
        at_once["now"] -= 1
        raise Refusal(STATUS.UNAVAILABLE, "down for lunch")

    rig.cloud.judge = away
    await rig.append(*(image(n) for n in range(1, 101)))
    await rig.settled("offline")
    at_once["most"], before = 0, rig.cloud.calls.total()
    await rig.cloud.wait_for(lambda: rig.cloud.calls.total() >= before + 6, 30)
    assert at_once["most"] == 1
    rig.cloud.judge = crowd = Crowd()
    crowd._complete.set()
    # Each that arrives lets one more go at once.
    await rig.cloud.wait_for(lambda: len(rig.cloud.arrivals) >= 15, 30)
    assert crowd.most <= 8
    rig.cloud.judge = crowd = Crowd(wait_for=8)
    await rig.cloud.wait_for(lambda: len(rig.cloud.arrivals) == 101, 30)
    assert crowd.most == 8
    assert sorted(rig.images()) == list(range(101))


async def test_one_connection_at_a_time_is_tried_while_nobody_answers(start: Starter) -> None:
    rig = await start(concurrency=8)
    await rig.append(image(0))
    await rig.flush()
    port = rig.config.cloud.port
    await rig.cloud.stop()
    at_once: collections.Counter[str] = collections.Counter()
    enough = asyncio.Event()

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_once["now"] += 1
        at_once["all"] += 1
        at_once["most"] = max(at_once["most"], at_once["now"])
        await asyncio.sleep(0.005)
        writer.close()
        at_once["now"] -= 1
        if at_once["all"] >= 8:
            enough.set()

    await rig.append(*(image(n) for n in range(1, 51)))
    await rig.settled("offline")
    door = await asyncio.start_server(hang_up, "127.0.0.1", port)
    async with asyncio.timeout(30):
        await enough.wait()
    door.close()
    await door.wait_closed()
    assert at_once["most"] == 1
    await rig.cloud.start()
    await rig.flush()
    assert sorted(rig.images()) == list(range(51))


async def test_a_capture_whose_answer_was_lost_is_sent_again(start: Starter) -> None:
    """The promise is at least once; ``retries`` counts what may have come twice."""
    rig = await start(concurrency=4)
    lost: set[int] = set()

    async def lose(arrival: Arrival) -> None:
        number = int((arrival.payload or b"").split()[0])
        if number % 3 == 0 and number not in lost:
            lost.add(number)
            raise Refusal(STATUS.UNAVAILABLE, "the answer was lost")

    rig.cloud.after = lose
    await rig.append(*(image(n) for n in range(30)))
    await rig.flush()
    seen = collections.Counter(rig.images())
    assert set(seen) == set(range(30))
    assert all(seen[n] == 2 for n in lost)
    assert rig.status()["retries"] >= sum(seen.values()) - 30 >= len(lost) == 10
    assert rig.status()["uploaded_items"] == 30


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("number", [0, 150])
async def test_a_capture_that_the_cloud_trips_over_holds_nobody_up(
    start: Starter, number: int, concurrency: int
) -> None:
    """INTERNAL means that the cloud is away; here it is one capture that makes it say so, each time."""
    rig = await start(concurrency=concurrency, retry_initial_s=0.2, retry_max_s=300)
    rig.cloud.judge = refuse(STATUS.INTERNAL, "nil pointer", source="bad")
    began = time.monotonic()
    await rig.append(*(image(n, "bad" if n == number else "eye") for n in range(400)))
    await rig.cloud.wait_for(lambda: len(rig.images()) == 399, 60)
    # One wait of a probe that grew takes longer.
    assert time.monotonic() - began < 60
    await rig.until(lambda: rig.store.items == 1)
    assert rig.store.failed == 0
    rig.cloud.judge = None
    await rig.flush()
    assert sorted(rig.images()) == list(range(400))


async def test_a_capture_that_never_gets_an_answer_holds_nobody_up(start: Starter) -> None:
    rig = await start(concurrency=4, timeout_s=3)
    await rig.append(image(0))
    await rig.flush()

    connected: list[bool] = []

    async def hang(call: Call) -> None:
        if call.metadata.component_name == "bad":
            connected.append(rig.status()["connected"])
            await asyncio.Event().wait()

    rig.cloud.judge = hang
    await rig.append(image(1, "bad"))
    began = time.monotonic()
    for number in range(2, 42):
        await rig.append(image(number))
    await rig.cloud.wait_for(lambda: len(rig.images()) == 41, 120)
    # Each of them behind that one for its timeout would take longer.
    assert time.monotonic() - began < 40 * 3
    await rig.until(lambda: len(connected) > 1)
    assert connected[1]
    rig.cloud.judge = None
    await rig.flush(60)
    assert sorted(rig.images()) == list(range(42))


async def test_a_row_that_the_cloud_fails_on_delays_only_its_batch(start: Starter) -> None:
    rig = await start(batch_rows=10, retry_initial_s=0.5, retry_max_s=300)
    rig.cloud.judge = refuse_rows(5, status=STATUS.INTERNAL)
    await rig.append(*(row(n) for n in range(1000)))
    began = time.monotonic()
    await rig.cloud.wait_for(lambda: len(rig.rows()) == 990, 60)
    assert time.monotonic() - began < 60


async def test_a_spool_that_refuses_keeps_the_capture(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk can take no failure; the capture stays, and the cloud is not asked at full speed."""
    rig = await start(retry_initial_s=0.2, retry_max_s=1)
    rig.cloud.judge = refuse(STATUS.INVALID_ARGUMENT, "no")
    broken = asyncio.Event()

    def fail(*_: object) -> None:
        rig.store._owner._loop.call_soon_threadsafe(broken.set)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("module.spool.database.Database.fail", fail)
        await rig.append(image(1))
        async with asyncio.timeout(30):
            await broken.wait()
        await rig.settled("idle")
    assert (rig.store.items, rig.store.failed) == (1, 0)
    assert rig.cloud.calls.total() <= 3
    await rig.flush()
    assert rig.store.failed == 1
