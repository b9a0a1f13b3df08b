"""Delivery while all is well, and what the commands and the status see of it; trouble is in ``test_trouble``."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import grpc
import pytest
from viam.proto.app.datasync import SensorData

from module.capture import Capture, FileMark, Item, Kind, Origin
from module.delivery.sender import METHODS
from module.errors import Rejected
from module.local.calls import Call, UploadMethod
from tests.delivery.rig import MOMENT_US, PART, Crowd, Starter, image, refuse, row


async def test_rows_of_one_source_travel_in_batches(start: Starter) -> None:
    rig = await start(batch_rows=500, concurrency=1)
    rig.uploader.pause()
    await rig.append(*(row(n, tags=("a", "b")) for n in range(1200)))
    rig.uploader.resume()
    await rig.flush()
    assert [len(arrival.rows) for arrival in rig.cloud.arrivals] == [500, 500, 200]
    assert sorted(rig.rows()) == list(range(1200))
    metadata = rig.cloud.arrivals[0].metadata
    assert (metadata.part_id, metadata.component_type, metadata.component_name, metadata.method_name) == (
        PART,
        "rdk:component:sensor",
        "thermometer",
        "Readings",
    )
    assert list(metadata.tags) == ["a", "b"]


async def test_a_batch_holds_each_row_as_it_was_captured(start: Starter) -> None:
    rig = await start()
    captures = [row(n) for n in range(3)]
    await rig.append(*captures)
    await rig.flush()
    assert [row for a in rig.cloud.arrivals for row in a.rows] == [SensorData.FromString(c.payload) for c in captures]


async def test_rows_that_differ_in_what_they_share_travel_apart(start: Starter) -> None:
    rig = await start()
    await rig.append(row(1), row(2, tags=("x",)), row(3, "barometer"))
    await rig.flush()
    assert sorted([int(r.struct["readings"]["n"]) for r in a.rows] for a in rig.cloud.arrivals) == [[1], [2], [3]]


async def test_rows_gather_until_the_wait_is_over(start: Starter) -> None:
    # Longer than five commits take on a busy computer.
    rig = await start(batch_wait_s=5)
    for number in range(5):
        await rig.append(row(number))
    await rig.cloud.wait_for(lambda: bool(rig.cloud.arrivals), 30)
    assert rig.rows() == list(range(5))


async def test_flush_does_not_wait_for_rows_to_gather(start: Starter) -> None:
    rig = await start(batch_wait_s=3600)
    await rig.append(row(1))
    began = time.monotonic()
    await rig.flush()
    assert time.monotonic() - began < 60
    assert rig.rows() == [1]


async def test_flush_waits_for_what_is_on_its_way_to_the_disk(start: Starter) -> None:
    rig = await start()
    appended = rig.store.append_soon([row(1)])
    assert rig.store.items == 0
    await rig.flush()
    assert (appended.done(), rig.rows(), rig.store.items) == (True, [1], 0)


@pytest.mark.parametrize("concurrency", [1, 3, 8])
async def test_as_many_uploads_run_at_once_as_the_setting_says(start: Starter, concurrency: int) -> None:
    rig = await start(concurrency=concurrency)
    await rig.append(image(0))
    await rig.flush()
    rig.cloud.judge = crowd = Crowd(wait_for=concurrency)
    await rig.append(*(image(n) for n in range(1, 41)))
    await rig.flush()
    assert crowd.most == concurrency
    assert sorted(rig.images()) == list(range(41))


async def test_one_upload_finds_out_whether_there_is_a_cloud(start: Starter) -> None:
    """Before the first answer nothing is known of it."""
    rig = await start(concurrency=8)
    held = asyncio.Event()

    async def hold(_: Call) -> None:
        await held.wait()

    rig.cloud.judge = hold
    await rig.append(*(image(n) for n in range(20)))
    await rig.cloud.wait_for(lambda: rig.cloud.calls.total() > 0, 30)
    assert (rig.status()["in_flight"], rig.status()["state"], rig.status()["connected"]) == (1, "uploading", False)
    held.set()
    await rig.flush()


async def test_the_highest_priority_goes_first_then_the_oldest(start: Starter) -> None:
    rig = await start(concurrency=1)
    rig.uploader.pause()
    for number, priority in enumerate((5, 0, 9, 5, 9)):
        await rig.append(image(number, f"eye{number}", priority=priority))
    rig.uploader.resume()
    await rig.flush()
    assert rig.images() == [2, 4, 0, 3, 1]


async def test_an_alarm_overtakes_uploads_that_hold_every_slot(start: Starter) -> None:
    """However long those take, and however much waits behind them; but one at a time."""
    rig = await start(concurrency=2)
    await rig.append(row(0))
    await rig.flush()
    held = asyncio.Event()

    async def judge(call: Call) -> None:
        if call.metadata.component_name in ("slow", "alarm too"):
            await held.wait()

    rig.cloud.judge = judge
    await rig.append(*[image(n, "slow") for n in range(20)])
    await rig.until(lambda: rig.status()["in_flight"] == 2)
    await rig.append(image(100, "as slow"), image(101, "alarm", priority=6))
    await rig.cloud.wait_for(lambda: rig.images() == [101], 30)
    # What has arrived is under way until its answer is back.
    await rig.until(lambda: rig.status()["in_flight"] == 2)
    await rig.append(image(102, "alarm too", priority=7))
    await rig.until(lambda: rig.status()["in_flight"] == 3)
    await rig.append(image(103, "alarm", priority=9))
    for _ in range(5):
        await asyncio.sleep(0.01)
        assert rig.status()["in_flight"] == 3
    held.set()
    await rig.flush()
    assert rig.images()[0] == 101
    assert len(rig.images()) == 24


async def test_what_was_claimed_ahead_waits_only_for_a_higher_priority(start: Starter) -> None:
    """Captures of one stream are read many at once; each is still an upload of its own, and may be put back."""
    rig = await start(concurrency=4)
    await rig.append(row(0))
    await rig.flush()
    held = asyncio.Event()

    async def judge(_: Call) -> None:
        await held.wait()

    rig.cloud.judge = judge
    await rig.append(*[image(n) for n in range(40)])
    await rig.until(lambda: rig.status()["in_flight"] == 4)
    await rig.append(*[image(100 + n, "alarm", priority=9) for n in range(3)])
    held.set()
    await rig.flush()
    arrived = rig.images()
    assert set(arrived[:12]) > {100, 101, 102}
    assert sorted(arrived) == [*range(40), 100, 101, 102]
    held.clear()
    await rig.append(*[image(200 + n) for n in range(20)])
    await rig.until(lambda: rig.status()["in_flight"] == 4)
    rig.uploader.pause()
    held.set()
    await rig.until(lambda: rig.status()["in_flight"] == 0)
    left = {int(item.payload.split()[0]) for item in await rig.claimable()}
    assert left | set(rig.images()[43:]) == set(range(200, 220))
    assert len(left) == 16


async def test_images_above_the_limit_go_in_chunks(start: Starter) -> None:
    rig = await start(stream_over_bytes=5000, chunk_bytes=1024)
    await rig.append(image(1, size=5000), image(2, size=5001))
    await rig.flush()
    sent = {int((a.payload or b"").split()[0].rstrip(b".")): a for a in rig.cloud.arrivals}
    assert (sent[1].method, sent[2].method) == (UploadMethod.BINARY, UploadMethod.STREAMING)
    assert max(sent[2].message_sizes) <= 1024 + 1000
    assert rig.status()["by_method"]["streaming_data_capture_upload"] == 1


async def test_each_kind_of_capture_has_its_method(start: Starter, tmp_path: Path) -> None:
    """And the status counts each capture once, under the method that it went by."""
    rig = await start(stream_over_bytes=100)
    path = tmp_path / "folder" / "report.txt"
    path.parent.mkdir()
    path.write_bytes(b"of the day")
    info = path.stat()
    folder = Origin(str(path.parent), Kind.FILE, folder=str(path.parent))
    line = Origin("log", Kind.LINE, name="log", method="Readings")
    data = Origin("upload_data", Kind.DATA, extension=".txt", mime_type="text/plain")
    await rig.append(row(1), row(2), image(3), image(4, size=101))
    await rig.append(Capture(folder, 1, 1, file=FileMark(str(path), info.st_size, info.st_mtime_ns)))
    await rig.append(Capture(line, MOMENT_US, 1, b'{"n": 1}\n'), Capture(line, 2, 2, b'{"n": 2}\n'))
    await rig.append(Capture(data, 1, 1, b"words", file_name="note"))
    await rig.flush()
    status = rig.status()
    assert status["by_method"] == dict(zip(METHODS, (2, 1, 1, 3, 1), strict=True))
    assert sum(status["by_method"].values()) == status["uploaded_items"] == 8
    files = {a.metadata.file_name: a for a in rig.cloud.arrivals if a.method is UploadMethod.FILE}
    assert {name: a.payload for name, a in files.items()} == {
        "report": b"of the day",
        "log_2023-11-14T22-13-20.123456Z.ndjson": b'{"n": 1}\n{"n": 2}\n',
        "note": b"words",
    }
    assert files["note"].metadata.mime_type == "text/plain"
    assert files["log_2023-11-14T22-13-20.123456Z.ndjson"].metadata.mime_type == "application/x-ndjson"
    assert rig.store.items == rig.store.failed == 0


async def test_paused_uploads_rest_until_they_are_resumed(start: Starter) -> None:
    rig = await start()
    rig.uploader.pause()
    await rig.append(image(1))
    assert (rig.status()["state"], rig.uploader.paused) == ("paused", True)
    began = time.monotonic()
    await rig.uploader.flush(60)
    assert time.monotonic() - began < 30
    assert (rig.cloud.calls.total(), rig.store.items) == (0, 1)
    rig.uploader.resume()
    await rig.cloud.wait_for(lambda: rig.images() == [1], 30)
    await rig.settled("idle")


async def test_a_pause_while_the_disk_is_read_holds(start: Starter) -> None:
    rig = await start()
    claim = rig.store.claim

    async def pause_then_claim(stream: int, most: int = 1) -> list[list[Item]]:
        rig.uploader.pause()
        return await claim(stream, most)

    rig.store.claim = pause_then_claim  # type: ignore[method-assign]
    await rig.append(image(1))
    await rig.until(lambda: rig.uploader.paused)
    await rig.settled("paused")
    rig.store.claim = claim  # type: ignore[method-assign]
    assert (rig.cloud.calls.total(), rig.store.items) == (0, 1)
    rig.uploader.resume()
    await rig.flush()


async def test_what_is_under_way_when_uploads_are_paused_arrives(start: Starter) -> None:
    rig = await start()
    rig.cloud.judge = Crowd(wait_for=2)
    await rig.append(image(1), image(2))
    await rig.cloud.wait_for(lambda: rig.cloud.calls.total() == 1, 30)
    rig.uploader.pause()
    rig.cloud.judge._complete.set()
    await rig.cloud.wait_for(lambda: rig.images() == [1], 30)
    await rig.until(lambda: rig.store.items == 1)


async def test_disabled_uploads_never_begin(start: Starter) -> None:
    rig = await start(disabled=True)
    await rig.append(image(1))
    await rig.uploader.flush(5)
    assert (rig.status()["state"], rig.cloud.calls.total(), rig.store.items) == ("paused", 0, 1)


async def test_flush_gives_up_in_time(start: Starter) -> None:
    rig = await start()
    await rig.cloud.stop()
    await rig.append(image(1))
    began = time.monotonic()
    async with asyncio.timeout(30):
        await rig.uploader.flush(0.3)
    assert time.monotonic() - began > 0.2
    assert rig.store.items == 1


async def test_flush_of_an_empty_spool_returns_at_once(start: Starter) -> None:
    rig = await start()
    began = time.monotonic()
    await rig.uploader.flush(60)
    assert time.monotonic() - began < 30


async def test_the_status_says_what_the_contract_names(start: Starter) -> None:
    rig = await start()
    named = {
        "state": "idle",
        "connected": False,
        "uploaded_items": 0,
        "uploaded_bytes": 0,
        "in_flight": 0,
        "retries": 0,
        "bytes_per_s": 0,
        "next_attempt_in_s": 0,
        "offline_s": 0,
        "last_error": None,
        "last_upload_us": None,
        "by_method": dict.fromkeys(METHODS, 0),
    }
    assert {key: rig.status().get(key, "missing") for key in named} == named
    before_us = time.time_ns() // 1000
    payloads = [row(1), image(2, size=1000)]
    await rig.append(*payloads)
    await rig.flush()
    status = rig.status()
    total = sum(len(capture.payload) for capture in payloads)
    assert (status["state"], status["connected"], status["uploaded_items"]) == ("idle", True, 2)
    assert (status["uploaded_bytes"], status["bytes_per_s"]) == (total, total / 10)
    assert (status["in_flight"], status["retries"], status["last_error"]) == (0, 0, None)
    assert before_us <= status["last_upload_us"] <= time.time_ns() // 1000


async def test_whoever_waits_for_a_capture_gets_the_clouds_id(start: Starter) -> None:
    rig = await start()
    (capture_id,) = await rig.append(image(1))
    file_id = await asyncio.wait_for(rig.uploader.wait_for(capture_id), 30)
    assert file_id == rig.cloud.arrivals[0].file_id
    assert rig.delivered == [(capture_id, file_id)]


async def test_whoever_waits_for_a_rejected_capture_hears_of_it(start: Starter) -> None:
    rig = await start()
    rig.cloud.judge = refuse(grpc.StatusCode.INVALID_ARGUMENT, "not an image")
    (capture_id,) = await rig.append(image(1))
    with pytest.raises(Rejected, match="INVALID_ARGUMENT: not an image"):
        await asyncio.wait_for(rig.uploader.wait_for(capture_id), 30)
    (failure,) = await rig.store.failures(10)
    assert (failure.id, failure.error, failure.attempts) == (capture_id, "INVALID_ARGUMENT: not an image", 1)


async def test_a_caller_that_stops_waiting_stops_no_upload(start: Starter) -> None:
    rig = await start()
    rig.uploader.pause()
    (capture_id,) = await rig.append(image(1))
    rig.uploader.wait_for(capture_id).cancel()
    rig.uploader.resume()
    await rig.flush()
    assert rig.images() == [1]


async def test_large_payloads_wait_for_memory(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    """None starts while those under way hold as much as is allowed; the last of them may hold more."""
    monkeypatch.setattr("module.delivery.uploader.IN_FLIGHT_BYTES", 5000)
    rig = await start(concurrency=8)
    await rig.append(image(0))
    await rig.flush()
    rig.cloud.judge = crowd = Crowd(wait_for=2)
    await rig.append(*(image(n, size=3000) for n in range(1, 7)))
    await rig.flush()
    assert crowd.most == 2
