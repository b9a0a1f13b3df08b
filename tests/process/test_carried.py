"""What commands have set, and counts, outlive a rebuild of the service: through a real module process."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path
from typing import Any

from tests.process.rig import NAME, CountingSensor, Rig, Starter

FAST = {"name": "s1", "capture_frequency_hz": 20}


def _of(status: dict[str, Any], source: str = "s1") -> dict[str, Any]:
    found: dict[str, Any] = status["sources"][source]
    return found


async def _rebuild(rig: Rig, **attributes: Any) -> None:
    """What viam-server does when an optional dependency comes or goes; with attributes, when those change."""
    await rig.server.reconfigure_resource(NAME, rig.attributes(**attributes) if attributes else None)


async def test_what_commands_have_set_outlives_a_rebuild_and_counts_go_on(start: Starter) -> None:
    gated = {"name": "s2", "interval_s": 0.05, "gate": {}}
    sensor = CountingSensor("s1")
    rig = await start(sensor, CountingSensor("s2"), sources=[FAST, gated])
    await rig.until(lambda status: _of(status)["captured"] >= 3 and _of(status, "s2")["filtered"] >= 3)
    await rig.drained()
    await rig.command("resume")
    await rig.command("set_schedule", source="s1", interval_s=0.5, for_s=600)
    await rig.command("set_tags", sources=["s1"], tags=["night"])
    await rig.command("trigger", sources=["s2"], for_s=600)
    await rig.command("pause", sources=["s1"])
    await rig.command("pause", what="upload")
    # A poll that was under way counts once its row is on the disk.
    before = await rig.until(
        lambda status: (
            status["upload"]["in_flight"] == 0 and _of(status)["captured"] + _of(status)["errors"] == len(sensor.polls)
        )
    )
    await _rebuild(rig)
    after = await rig.until(lambda status: _of(status, "s2")["captured"] > _of(before, "s2")["captured"] + 2)
    assert {key: source["state"] for key, source in after["sources"].items()} == {"s1": "paused", "s2": "active"}
    assert after["upload"]["state"] == "paused"
    for key in ("schedule", "captured", "filtered", "missed", "errors", "dropped", "last_capture", "commanded"):
        assert _of(after)[key] == _of(before)[key], key
    assert _of(after)["schedule"] == "every 0.5 s"
    assert _of(after)["commanded"].keys() == {"pause", "set_schedule", "set_tags"}
    assert _of(after, "s2")["commanded"].keys() == {"trigger"}
    assert after["upload"]["commanded"] == before["upload"]["commanded"] != {}
    for key in ("uploaded_items", "uploaded_bytes", "by_method", "retries", "last_upload"):
        assert after["upload"][key] == before["upload"][key], key
    assert after["upload"]["uploaded_items"] > 0
    assert after["uptime_s"] > before["uptime_s"]
    assert (await rig.command("recent", source="s1"))["captures"]
    await rig.command("resume")
    await rig.until(lambda status: _of(status)["captured"] > _of(before)["captured"])
    await rig.drained()
    assert any("night" in arrival.metadata.tags for arrival in rig.arrivals(name="s1"))


async def test_a_schedule_holds_for_the_rest_of_its_time_only(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[FAST])
    await rig.command("set_schedule", source="s1", interval_s=0.1, for_s=10)
    await _rebuild(rig)
    assert _of(await rig.status())["schedule"] == "every 0.1 s"
    status = await rig.until(lambda status: _of(status)["schedule"] == "20 Hz")
    assert _of(status)["commanded"] == {}
    await _rebuild(rig)
    assert _of(await rig.status())["schedule"] == "20 Hz"


async def test_a_change_of_the_attributes_ends_all_but_pause(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[FAST])
    await rig.until(lambda status: _of(status)["captured"] >= 2)
    await rig.command("set_schedule", source="s1", interval_s=0.5)
    await rig.command("set_tags", tags=["night"])
    await rig.command("pause")
    await _rebuild(rig, sources=[FAST], tags=["changed"])
    status = await rig.until(lambda status: _of(status)["state"] == "paused")
    assert (_of(status)["schedule"], _of(status)["captured"]) == ("20 Hz", 0)
    assert _of(status)["commanded"].keys() == {"pause"}
    assert status["upload"]["state"] == "paused"


async def test_pause_outlives_a_kill_and_resume_ends_it_for_good(start: Starter, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    sensors = CountingSensor("s1"), CountingSensor("s2")
    attributes: dict[str, Any] = {
        "sources": [FAST, {"name": "s2", "interval_s": 0.05}],
        "folders": [{"path": str(tmp_path / "logs"), "settle_s": 0}],
    }
    rig = await start(*sensors, **attributes)
    await rig.until(lambda status: _of(status)["captured"] >= 2)
    await rig.command("pause")
    await rig.command("resume", what="capture", sources=["s2"])
    before = await rig.status()
    await rig.server.kill()
    polled = len(sensors[0].polls)
    await rig.server.restart()
    status = await rig.until(lambda status: _of(status, "s2")["captured"] >= 2)
    assert {key: source["state"] for key, source in status["sources"].items()} == {"s1": "paused", "s2": "active"}
    assert (status["upload"]["state"], status["folders"][str(tmp_path / "logs")]["state"]) == ("paused", "paused")
    assert _of(status)["commanded"] == _of(before)["commanded"]
    assert (len(sensors[0].polls), _of(status)["missed"]) == (polled, 0)
    await rig.command("resume")
    await rig.server.kill()
    await rig.server.restart()
    status = await rig.until(lambda status: _of(status)["captured"] >= 2)
    assert status["upload"]["state"] != "paused"
    assert status["folders"][str(tmp_path / "logs")]["state"] == "active"


async def test_a_damaged_note_of_what_is_paused_pauses_nothing_and_says_so(start: Starter) -> None:
    """``tests/courier/test_pause_record.py`` has the kinds of damage."""
    rig = await start(CountingSensor("s1"), sources=[FAST])
    await rig.until(lambda status: _of(status)["captured"] >= 1)
    await rig.command("pause")
    await rig.server.kill()
    (note,) = rig.folder.rglob("paused.json")
    note.write_bytes(b"{")
    await rig.server.restart()
    await rig.until(lambda status: _of(status)["captured"] >= 2)
    assert "it is not known what was paused before this start" in rig.printed()
    await rig.command("pause")
    await rig.server.kill()
    await rig.server.restart()
    await rig.until(lambda status: _of(status)["state"] == "paused")


async def test_a_pause_that_cannot_be_kept_holds_all_the_same_and_says_so(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[FAST])
    await rig.until(lambda status: _of(status)["captured"] >= 1)
    (spool,) = rig.folder.rglob("spool.sqlite3")
    (spool.parent / "paused.json.new").mkdir()
    answer = await rig.command("pause", what="capture")
    assert answer["paused"] == ["s1"]
    assert "the pauses could not be written to" in answer["error"]
    assert _of(await rig.status())["state"] == "paused"


async def test_reconfigurations_lose_no_poll_that_was_answered(start: Starter) -> None:
    """While the sensor takes most of its period to answer, so that each of them comes in the middle of a poll."""

    class Slow(CountingSensor):
        async def get_readings(self, **more: Any) -> Any:
            readings = await super().get_readings(**more)
            await asyncio.sleep(0.015)
            return readings

    sensor = Slow("s1")
    rig = await start(sensor, sources=[{"name": "s1", "capture_frequency_hz": 50}])
    cut: set[int] = set()
    for _ in range(10):
        await rig.until(lambda status: _of(status)["captured"] > 0)
        polled = len(sensor.polls)
        await rig.until(lambda _, polled=polled: len(sensor.polls) > polled)  # type: ignore[misc]
        polled, began = len(sensor.polls), time.monotonic()
        await _rebuild(rig)
        if time.monotonic() - began >= 0.9:
            # It waits a second for a poll: on a busy computer one may not have been answered by then.
            cut |= set(range(polled, len(sensor.polls) + 1))
    await rig.command("pause", what="capture")
    await rig.until(lambda status: _of(status)["captured"] >= len(sensor.polls) - len(cut))
    await rig.drained()
    every, arrived = set(range(1, len(sensor.polls) + 1)), set(rig.numbers("s1"))
    assert every - cut <= arrived <= every
    assert _of(await rig.status())["captured"] == len(arrived)


async def test_a_resume_before_the_note_of_what_is_paused_is_read_counts_for_more_than_it(
    start: Starter, tmp_path: Path
) -> None:
    rig = await start(CountingSensor("s1"), sources=[FAST])
    await rig.until(lambda status: _of(status)["captured"] >= 1)
    await rig.command("pause")
    await rig.server.kill()
    (note,) = rig.folder.rglob("paused.json")
    # As a slow disk: what reads it waits until the pipe has a writer.
    kept = note.rename(tmp_path / "kept.json")
    os.mkfifo(note)
    await rig.server.restart()
    await rig.command("resume")
    with await asyncio.to_thread(note.open, "wb") as pipe:
        shutil.copy(kept, tmp_path / "again.json")
        (tmp_path / "again.json").replace(note)
        pipe.write(kept.read_bytes())
    status = await rig.until(lambda status: _of(status)["captured"] >= 2)
    assert (_of(status)["commanded"], status["upload"]["commanded"]) == ({}, {})
