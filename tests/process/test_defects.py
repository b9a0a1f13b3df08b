"""What nobody foresaw ends nothing for good: through a real module process."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from viam.services.vision import Detection

from tests.process.rig import CountingSensor, Starter, StillCamera
from tests.process.test_keeping import Watcher


class Resetting(Watcher):
    """Resets the stream of its first answers, as a proxy or a process that dies does."""

    def __init__(self, name: str, resets: int) -> None:
        super().__init__(name)
        self._resets = resets

    async def get_detections(self, image: Any, **_: Any) -> list[Detection]:
        self.frames += 1
        if self.frames <= self._resets:
            frame = sys._getframe()
            while "stream" not in frame.f_locals:
                assert frame.f_back is not None
                frame = frame.f_back
            await frame.f_locals["stream"].cancel()
        return self.sees

    async def get_detections_from_camera(self, camera_name: str, **more: Any) -> list[Detection]:
        return await self.get_detections(camera_name, **more)


async def test_a_vision_service_that_resets_a_stream_costs_that_poll_only(start: Starter) -> None:
    camera, watcher = StillCamera("c1", [("", b"\xff\xd8\xff, a JPEG or not", "image/jpeg")]), Resetting("eye", 2)
    watcher.sees = [Detection(x_min=0, y_min=0, x_max=1, y_max=1, confidence=0.9, class_name="person")]
    rig = await start(camera, watcher, sources=[{"name": "c1", "interval_s": 0.05, "gate": {"vision": "eye"}}])
    status = await rig.until(lambda status: status["sources"]["c1"]["captured"] >= 3)
    assert status["sources"]["c1"]["state"] == "active"
    assert "eye: GetDetections failed: the connection to" in rig.printed()
    assert "Traceback" not in rig.printed()


async def test_a_watch_whose_stream_is_reset_asks_again(start: Starter) -> None:
    camera, sensor, watcher = StillCamera("c1", []), CountingSensor("s1"), Resetting("eye", 2)
    watcher.sees = [Detection(x_min=0, y_min=0, x_max=1, y_max=1, confidence=0.9, class_name="person")]
    gate = {"vision": "eye", "camera": "c1", "poll_hz": 20}
    rig = await start(camera, sensor, watcher, sources=[{"name": "s1", "interval_s": 0.05, "gate": gate}])
    await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 3)
    assert "eye: GetDetectionsFromCamera failed: the connection to" in rig.printed()


async def test_opencv_that_cannot_be_loaded_is_an_error_of_each_poll(start: Starter, tmp_path: Path) -> None:
    """As it is without the memory for it: the next poll tries again, and the log has the traceback."""
    (tmp_path / "fakes").mkdir()
    (tmp_path / "fakes" / "cv2.py").write_text("import time\ntime.sleep(0.05)\nraise MemoryError('no memory left')\n")
    camera = StillCamera("c1", [("", b"\xff\xd8\xff, a JPEG or not", "image/jpeg")])
    sources = [{"name": "c1", "interval_s": 0.05, "image": {"format": "png"}}]
    rig = await start(camera, import_first=tmp_path / "fakes", sources=sources)
    status = await rig.until(lambda status: status["sources"]["c1"]["errors"] >= 3)
    assert (status["sources"]["c1"]["state"], status["failing"]) == ("active", {})
    assert status["sources"]["c1"]["last_error"] == "c1: MemoryError: no memory left"
    assert "Traceback" in rig.printed()
    # Commands and polls import it at the same time.
    answers = await asyncio.gather(*(rig.command("capture") for _ in range(20)))
    assert {error for answer in answers for error in answer["errors"].values()} == {"c1: MemoryError: no memory left"}
