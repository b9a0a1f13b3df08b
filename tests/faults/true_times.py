"""A board without a clock of its own: what it captures before its clock is set, and when that really was."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from viam.proto.app.datasync import SensorMetadata

from module.clock.machine_clock import NOT_SET_TAG
from module.local.calls import Arrival, UploadMethod
from module.local.cloud import LocalCloud
from tests.faults.machine import Clock
from tests.process.rig import KEY, KEY_ID, PART, CountingSensor, Rig, StillCamera

IN_1970 = 60 - int(time.time())
"""Seconds: the clock of a board that started a minute ago."""
NEAR_US = 50_000
_STEP_S = 5
"""By which the clock is set once more."""
_ROW_S, _FRAME_S = 0.1, 0.2
_FEW = 5
_JPEG = [("color", b"\xff\xd8\xff" + bytes(100), "image/jpeg")]
_PATIENCE_S = 60.0


class _Sensor(CountingSensor):
    """Says what time it really is; this process has the true clock."""

    async def get_readings(self, **more: Any) -> Mapping[str, Any]:
        asked_us = time.time_ns() // 1000
        return {**await super().get_readings(**more), "truth_us": asked_us}


class _Camera(StillCamera):
    """Remembers when it was really asked."""

    def __init__(self, name: str) -> None:
        super().__init__(name, _JPEG)
        self.asked_us: list[int] = []

    async def get_images(self, **more: Any) -> Any:
        self.asked_us.append(time.time_ns() // 1000)
        return await super().get_images(**more)


class Span(NamedTuple):
    """When a capture was asked for and received, as it arrived. µs since the epoch."""

    requested_us: int
    received_us: int

    def off_us(self, truth_us: int) -> int:
        """How far a moment that was between the two is outside of them."""
        return max(0, self.requested_us - truth_us, truth_us - self.received_us)


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of one boot in 1970, and of one more."""

    seconds: float
    """For which it captured before its clock was set."""
    rows: int
    frames: int
    worst_us: int
    """How far the time of any of them, or of the sequence, is from the truth."""
    recent_us: int
    """How far a time in the answer to ``recent`` is from that of the row that arrived."""
    tagged: int
    """Uploads of a boot whose clock was never set."""
    untagged: int

    @property
    def sound(self) -> bool:
        """Whether every time is as near as was promised, and every other upload is tagged."""
        return max(self.worst_us, self.recent_us) <= NEAR_US and self.tagged > 0 and not self.untagged

    def sentence(self) -> str:
        """All of it in words."""
        return (
            f"In {self.seconds:.0f} s a board captured readings, frames and a sequence with its clock in 1970. Then its"
            f" clock was set, and once more by {_STEP_S} s; the module was killed (`kill -9`) twice meanwhile."
            f" {self.rows:,} rows, {self.frames:,} frames and the sequence arrived, and no time"
            f" was wrong by more than {self.worst_us / 1000:.1f} ms. Of a second boot, whose clock was never set,"
            f" {self.tagged:,} uploads arrived with the tag `{NOT_SET_TAG}`, and {self.untagged:,} without."
        )


async def met_with_a_clock_that_is_set_late(folder: Path, *, seconds: float) -> Figures:
    """Capture in 1970 for so long, set the clock in two steps, and look at all that arrives; needs a C compiler.

    Fails if the module says something else of its clock on the way. A poll is asked for before the resource has the
    question, and received after it: what that says of the true time holds however slow the computer is.
    """
    board = _Board(folder)
    rig = board.rig(await board.cloud.start())
    try:
        async with rig.server:
            begun = time.monotonic()
            truth = await _captured_in_1970(rig, board, rows=round(seconds / _ROW_S))
            took_s = time.monotonic() - begun
            await _clock_is_set(rig, board)
            await _clock_is_set_once_more(rig, board, truth)
            worst_us = max(board.off_us(rig), truth.off_us(board.cloud))
            recent_us = await _off_recent(rig)
            rows, frames = (len(_spans(rig.arrivals(way))) for way in (UploadMethod.TABULAR, UploadMethod.BINARY))
            assert not any(NOT_SET_TAG in arrival.metadata.tags for arrival in board.cloud.arrivals)
            tagged, untagged = await _a_boot_that_is_never_set(rig, board)
    finally:
        await board.cloud.stop()
    return Figures(took_s, rows, frames, worst_us, recent_us, tagged, untagged)


class _Board:
    """What stays while the module's process comes and goes."""

    def __init__(self, folder: Path) -> None:
        self.clock, self._boot, self._folder = Clock(folder / "clock"), folder / "boot", folder
        self.sensor, self.camera = _Sensor("s1"), _Camera("c1")
        self.cloud = LocalCloud(None, api_keys={KEY_ID: KEY}, part_ids={PART}, keep_payloads=True, record_messages=True)
        self.sources = [{"name": "s1", "interval_s": _ROW_S}, {"name": "c1", "interval_s": _FRAME_S}]
        self.boots("the first boot")

    def boots(self, name: str) -> None:
        """Its clock is in 1970; the next start of the module is in this boot."""
        self.clock.jump(IN_1970)
        self._boot.write_text(f"{name}\n")

    def rig(self, address: str) -> Rig:
        """Return the machine, not started."""
        environ = {**self.clock.environ, "BOOT_ID": str(self._boot)}
        return Rig(self._folder, [self.sensor, self.camera], self.cloud, address, environ=environ)

    def off_us(self, rig: Rig) -> int:
        """How far the times of what has arrived are from the truth, at most."""
        rows = (
            span.off_us(int(row.struct.fields["readings"].struct_value.fields["truth_us"].number_value))
            for arrival in rig.arrivals(UploadMethod.TABULAR)
            for row, span in zip(arrival.rows, _spans([arrival]), strict=True)
        )
        frames = (
            min(span.off_us(truth_us) for truth_us in self.camera.asked_us)
            for span in _spans(rig.arrivals(UploadMethod.BINARY))
        )
        return max(*rows, *frames)


def _spans(arrivals: Iterable[Arrival]) -> list[Span]:
    metadata: list[SensorMetadata] = []
    for arrival in arrivals:
        if arrival.sensor_metadata is not None:
            metadata.append(arrival.sensor_metadata)
        metadata += [row.metadata for row in arrival.rows]
    return [Span(each.time_requested.ToMicroseconds(), each.time_received.ToMicroseconds()) for each in metadata]


class _Sequence:
    """When a sequence really began and ended: each time between two others."""

    def __init__(self) -> None:
        self.id = ""
        self.began, self.ended = Span(0, 0), Span(0, 0)

    async def start(self, rig: Rig) -> None:
        """Start it by command."""
        before_us = time.time_ns() // 1000
        self.id = (await rig.command("start_sequence", tags=["q"]))["id"]
        self.began = Span(before_us, time.time_ns() // 1000)

    async def stop(self, rig: Rig) -> None:
        """Stop it by command."""
        before_us = time.time_ns() // 1000
        await rig.command("stop_sequence", id=self.id)
        self.ended = Span(before_us, time.time_ns() // 1000)

    def off_us(self, cloud: LocalCloud) -> int:
        """How far the times that the cloud has are from the truth."""
        request = cloud.sequences[0].request
        return max(
            self.began.off_us(request.start_time.ToMicroseconds()), self.ended.off_us(request.end_time.ToMicroseconds())
        )


async def _captured_in_1970(rig: Rig, board: _Board, *, rows: int) -> _Sequence:
    """Capture so many rows; kill the module after half of them."""
    await rig.configure(sources=board.sources, upload={"clock_wait_s": 600})
    status = await _captured(rig, rows // 2)
    assert status["clock"]["state"] == "not_set"
    assert status["upload"]["state"] == "resting"
    assert "clock is not set, it says 1970-" in status["upload"]["reason"]
    assert status["sources"]["s1"]["last_capture"].startswith("1970-")
    sequence = _Sequence()
    await sequence.start(rig)
    await rig.server.kill()
    await rig.server.restart()
    await _captured(rig, rows - rows // 2)
    return sequence


async def _captured(rig: Rig, rows: int) -> dict[str, Any]:
    """Wait until this life of the module has captured so many rows."""
    return await rig.until(lambda status: status["sources"]["s1"]["captured"] >= rows, _PATIENCE_S + rows)


async def _clock_is_set(rig: Rig, board: _Board) -> None:
    """Set it, not quite right; kill the module before that has stood for long."""
    board.clock.jump(-IN_1970 - _STEP_S)
    await rig.until(lambda status: status["clock"]["state"] == "stepped", _PATIENCE_S)
    await rig.server.kill()
    await rig.server.restart()
    status = await _captured(rig, _FEW)
    assert "must stay unchanged for 10 s" in status["upload"]["reason"]


async def _clock_is_set_once_more(rig: Rig, board: _Board, sequence: _Sequence) -> None:
    """Set it right, and upload all that was captured."""
    board.clock.jump(_STEP_S)
    await sequence.stop(rig)
    status = await rig.until(lambda status: status["upload"]["uploaded_items"] > 0, _PATIENCE_S)
    assert (status["clock"]["state"], round(status["clock"]["by_s"])) == ("stepped", _STEP_S)
    assert status["sources"]["s1"]["lateness_ms"]["max"] < 1e6
    await rig.drained(_PATIENCE_S)
    await board.cloud.wait_for(lambda: bool(board.cloud.sequences), _PATIENCE_S)


async def _off_recent(rig: Rig) -> int:
    """How far the times that ``recent`` answers are from those of the rows, at most."""
    answer = await rig.command("recent", source="s1", limit=100)
    shown = [round(datetime.fromisoformat(each["captured_at"]).timestamp() * 1e6) for each in answer["captures"]]
    arrived = [span.requested_us for span in _spans(rig.arrivals(UploadMethod.TABULAR))]
    return max(min(abs(us - each) for each in arrived) for us in shown)


async def _a_boot_that_is_never_set(rig: Rig, board: _Board) -> tuple[int, int]:
    """How many uploads arrive with the tag, and without; each with the time that the clock said."""
    await rig.server.kill()
    board.boots("the second boot")
    board.cloud.arrivals.clear()
    await rig.server.restart()
    await rig.server.reconfigure_resource("uploader", rig.attributes(sources=board.sources, upload={"clock_wait_s": 1}))
    await rig.command("resume")
    await board.cloud.wait_for(lambda: bool(board.cloud.arrivals), _PATIENCE_S)
    arrivals = list(board.cloud.arrivals)
    assert all(span.requested_us < 1e15 for span in _spans(arrivals))
    tagged = sum(list(arrival.metadata.tags) == [NOT_SET_TAG] for arrival in arrivals)
    return tagged, len(arrivals) - tagged
