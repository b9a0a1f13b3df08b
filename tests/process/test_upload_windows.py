"""When uploads run and how fast, as the machine, the cloud and the wire see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from viam.components.sensor import Sensor

from module.local.calls import Call, UploadMethod
from tests.delivery.proxy import counting_proxy
from tests.process.rig import NAME, CountingSensor, Rig, Starter, StillCamera


@pytest.fixture
def start(start_in_one_process: Starter) -> Starter:
    return start_in_one_process


ROWS = [{"name": "s1", "interval_s": 0.1}]
ONLY_WHEN = {"only_when": {"sensor": "wifi", "key": "connected"}}


class Wifi(Sensor):
    """Says whether it is connected, or fails."""

    def __init__(self, name: str = "wifi", *, key: str = "connected") -> None:
        super().__init__(name)
        self.key = key
        self.connected = False
        self.broken = False
        self.hang = asyncio.Event()
        self.hang.set()
        self.answered = 0.0
        """When it last said something."""

    async def get_readings(self, **_: Any) -> Mapping[str, Any]:
        await self.hang.wait()
        if self.broken:
            raise RuntimeError("the radio is gone")
        self.answered = time.monotonic()
        return {self.key: self.connected}


async def resting(rig: Rig, reason: str, *, rows: int = 5, timeout_s: float = 10.0) -> dict[str, Any]:
    """Wait until uploads rest for this reason, and then until rows have been captured and none uploaded."""

    def rests(status: dict[str, Any]) -> bool:
        upload = status["upload"]
        return upload["state"] == "resting" and reason in str(upload["reason"]) and not upload["in_flight"]

    # Uploads that are under way when they begin to rest still end.
    uploaded = (await rig.until(rests, timeout_s))["upload"]["uploaded_items"]
    return await rig.until(
        lambda status: (
            rests(status) and status["upload"]["uploaded_items"] == uploaded and status["spool"]["items"] >= rows
        ),
        timeout_s,
    )


async def complete(rig: Rig, source: str = "s1") -> None:
    """Everything captured has arrived once, in order."""
    status = await rig.drained()
    assert rig.numbers(source) == list(range(1, int(status["sources"][source]["captured"]) + 1))


async def test_uploads_run_only_while_the_sensor_says_so(start: Starter) -> None:
    """Not before its first yes; within a second after it; no more after its next no; and again from then on."""
    wifi = Wifi()
    rig = await start(CountingSensor("s1"), wifi, sources=ROWS, upload=ONLY_WHEN)
    await resting(rig, "upload.only_when: wifi.connected is not true")
    assert rig.cloud.calls.total() == 0
    wifi.connected, said = True, time.monotonic()
    await rig.cloud.wait_for(lambda: rig.cloud.calls.total() > 0, 20)
    # The sensor is asked once a second; the connection is opened only now.
    assert time.monotonic() - said < 15
    status = await rig.until(lambda status: status["upload"]["state"] in ("uploading", "idle"))
    assert status["upload"]["reason"] is None
    wifi.connected = False
    # Uploads that are under way when they begin to rest still end.
    await rig.until(lambda status: status["upload"]["state"] == "resting" and not status["upload"]["in_flight"])
    before = len(rig.numbers("s1"))
    await resting(rig, "upload.only_when: wifi.connected is not true")
    assert len(rig.numbers("s1")) == before
    wifi.connected = True
    await rig.until(lambda status: status["upload"]["reason"] is None)
    await complete(rig)


async def test_the_data_managers_sync_sensor_works(start: Starter) -> None:
    sensor = Wifi("sync", key="should_sync")
    upload = {"only_when": {"sensor": "sync", "key": "should_sync"}}
    rig = await start(CountingSensor("s1"), sensor, sources=ROWS, upload=upload)
    await resting(rig, "upload.only_when: sync.should_sync is not true")
    # Nothing but the sensor's answer is left to start them.
    await rig.command("pause", what="capture")
    sensor.connected = True
    await rig.until(lambda status: status["upload"]["uploaded_items"] > 0)
    await complete(rig)


async def test_without_the_sensor_the_service_starts_and_uploads_wait(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=ROWS, upload=ONLY_WHEN)
    await resting(
        rig,
        "upload.only_when: this machine has no wifi, or it is not ready; if two resources have this name, rename one",
    )
    assert rig.cloud.calls.total() == 0


async def test_until_the_first_answer_uploads_wait(start: Starter) -> None:
    wifi = Wifi()
    wifi.connected = True
    wifi.hang.clear()
    rig = await start(CountingSensor("s1"), wifi, sources=ROWS, upload=ONLY_WHEN)
    await resting(rig, "upload.only_when: wifi has not answered yet")
    wifi.hang.set()
    await rig.until(lambda status: status["upload"]["uploaded_items"] > 0)
    await complete(rig)


async def test_a_sensor_that_fails_is_believed_for_three_polls_and_no_longer(start: Starter) -> None:
    wifi = Wifi()
    wifi.connected = True
    rig = await start(CountingSensor("s1"), wifi, sources=ROWS, upload=ONLY_WHEN)
    await rig.until(lambda status: status["upload"]["uploaded_items"] > 0)
    wifi.broken, broke = True, time.monotonic()
    status = await rig.until(lambda status: status["upload"]["state"] == "resting", 20)
    assert time.monotonic() - wifi.answered >= 3
    assert time.monotonic() - broke <= 20
    await resting(rig, "the radio is gone")
    assert status["upload"]["reason"].startswith("upload.only_when: wifi: Readings failed with ")
    wifi.broken = False
    await rig.until(lambda status: status["upload"]["reason"] is None)
    await complete(rig)


def around_now(start_minutes: int, end_minutes: int) -> str:
    """A window of UTC that starts and ends so many minutes from now."""
    now = datetime.now(UTC)
    return "-".join(f"{now + timedelta(minutes=minutes):%H:%M}" for minutes in (start_minutes, end_minutes))


async def test_uploads_run_within_their_hours(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=ROWS, upload={"active_hours": [around_now(-60, 60)]})
    status = await rig.until(lambda status: status["upload"]["uploaded_items"] > 0)
    assert status["upload"]["reason"] is None
    await complete(rig)


async def test_outside_their_hours_uploads_rest_and_captures_go_on(start: Starter) -> None:
    """A flush changes nothing about it, and says so at once; a pause goes before it."""
    window = around_now(60, 120)
    opens = (datetime.now(UTC) + timedelta(minutes=60)).replace(second=0, microsecond=0)
    rig = await start(CountingSensor("s1"), sources=ROWS, upload={"active_hours": [window], "timezone": "UTC"})
    status = await resting(rig, f"outside upload.active_hours {window} UTC, opens at ")
    # The minute may have turned between the two looks at the clock.
    assert abs(datetime.fromisoformat(status["upload"]["reason"].rpartition(" ")[2]) - opens) <= timedelta(minutes=1)
    started = time.monotonic()
    answer = await rig.command("flush", timeout_s=30)
    assert time.monotonic() - started < 20
    assert answer["remaining_items"] > 0
    assert answer["reason"].startswith("outside upload.active_hours")
    await rig.command("pause", what="upload")
    assert (await rig.status())["upload"]["state"] == "paused"
    assert rig.cloud.calls.total() == 0


async def test_an_upload_under_way_outlives_its_permit(start: Starter) -> None:
    """A flush does not."""
    wifi, held = Wifi(), asyncio.Event()
    wifi.connected = True
    rig = await start(CountingSensor("s1"), wifi, sources=ROWS, upload=ONLY_WHEN)

    async def hold(_: Call) -> None:
        await held.wait()

    rig.cloud.judge = hold
    await rig.until(lambda status: status["upload"]["in_flight"] > 0)
    flush = asyncio.create_task(rig.command("flush", timeout_s=30))
    wifi.connected = False
    status = await rig.until(lambda status: status["upload"]["state"] == "resting")
    assert status["upload"]["in_flight"] > 0
    async with asyncio.timeout(20):
        assert "wifi.connected is not true" in (await flush)["reason"]
    held.set()
    status = await rig.until(lambda status: status["upload"]["in_flight"] == 0)
    assert status["upload"]["uploaded_items"] == len(rig.numbers("s1")) > 0
    assert status["upload"]["retries"] == 0


@pytest.mark.parametrize(("rate", "chunk_bytes"), [(400_000, 262_144), (60_000, 262_144)])
async def test_the_cap_holds_on_the_wire_whatever_is_sent(
    start: Starter, tmp_path: Path, rate: int, chunk_bytes: int
) -> None:
    """Rows, frames of one message, a stream, a file: at most 5 % over it in any 5 s, and 90 % of it used."""
    folder = tmp_path / "outbox"
    folder.mkdir()
    (folder / "large.bin").write_bytes(bytes(rate * 3))
    cameras = [
        StillCamera("frames", [("", b"\xff\xd8" + bytes(rate), "image/jpeg")]),
        StillCamera("large", [("", b"\xff\xd8" + bytes(rate * 3), "image/jpeg")]),
    ]
    rig = await start(CountingSensor("s1"), *cameras)
    async with counting_proxy(rig.address) as (proxy, front):
        attributes: dict[str, Any] = {
            "upload": {"max_bytes_per_s": rate, "chunk_bytes": chunk_bytes},
            "cloud": {"address": front},
        }
        await rig.configure(**attributes)
        await rig.command("pause", what="upload")
        attributes |= {
            "sources": [
                {"name": "s1", "capture_frequency_hz": 50},
                {"name": "frames", "method": "GetImages", "upload_as": "binary"},
                {"name": "large", "method": "GetImages", "upload_as": "streaming"},
            ],
            "folders": [{"path": str(folder), "settle_s": 0.1}],
        }
        await rig.server.reconfigure_resource(NAME, rig.attributes(**attributes))
        await rig.command("capture", sources=["frames"], count=3)
        await rig.command("capture", sources=["large"])
        await rig.until(lambda status: status["folders"][str(folder)]["captured"] == 1)
        assert proxy.total == 0
        await rig.command("resume", what="upload")
        await rig.until(lambda _: proxy.total > rate * 4)
        status = await rig.drained(30)
        assert proxy.total >= rate * 9
        assert proxy.most_within(5.0) <= 1.05 * rate * (5 + proxy.most_late_s)
        assert proxy.rate() <= 1.05 * rate
        assert proxy.rate_in_time() >= 0.9 * rate
    assert status["upload"]["retries"] == 0
    assert status["upload"]["reason"] is None
    methods = {arrival.method for arrival in rig.arrivals()}
    assert methods == {UploadMethod.TABULAR, UploadMethod.BINARY, UploadMethod.STREAMING, UploadMethod.FILE}


async def test_the_status_shows_how_far_large_uploads_have_come(start: Starter, tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    folder.mkdir()
    (folder / "large.bin").write_bytes(bytes(3_000_000))
    (folder / "small.bin").write_bytes(bytes(1_000_000))
    camera = StillCamera("c1", [("", b"\xff\xd8" + bytes(2_000_000), "image/jpeg")])
    rig = await start(
        camera,
        sources=[{"name": "c1", "id": "pictures"}],
        folders=[{"path": str(folder), "settle_s": 0.1}],
        # So slow that even a busy computer sees several steps of each.
        upload={"max_bytes_per_s": 500_000},
    )
    await rig.command("capture", sources=["pictures"])
    seen: dict[str, list[tuple[int, int]]] = {}

    def note(status: dict[str, Any]) -> bool:
        for each in status["upload"]["large"]:
            seen.setdefault(f"{each['source']} {each['name']}", []).append((each["size"], each["sent"]))
        return int(status["upload"]["uploaded_items"]) == 3

    status = await rig.until(note, 90)
    assert status["upload"]["large"] == []
    assert set(seen) == {f"{folder} large.bin", "pictures c1"}
    for steps in seen.values():
        sent = [step for _, step in steps]
        assert sent == sorted(sent)
        assert len(set(sent)) >= 4
        assert all(step <= size for size, step in steps)
    assert {size for steps in seen.values() for size, _ in steps} == {3_000_000, 2_000_002}
