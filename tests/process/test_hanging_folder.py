"""A folder on a network share that hangs: nothing else stands still, through a real module process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from module.local.calls import UploadMethod
from tests.process.rig import NAME, Beside, CountingSensor, Starter

HANGING = Path(__file__).parent / "hanging"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="what a descriptor leads to is read from /proc"),
]


async def test_a_folder_that_hangs_holds_up_no_other_no_change_and_no_end(
    start: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither while its files are read for uploads, nor while it is scanned; more files hang than there are threads."""
    share, folder, fifo = tmp_path / "share", tmp_path / "folder", tmp_path / "fifo"
    share.mkdir()
    folder.mkdir()
    monkeypatch.setenv("HANGING_FOLDER", str(share))
    monkeypatch.setenv("HANGING_FIFO", str(fifo))
    attributes = {
        "sources": [{"name": "s1", "capture_frequency_hz": 20}],
        "folders": [{"path": str(path), "settle_s": 0} for path in (share, folder)],
        "upload": {"timeout_s": 2},
    }
    rig = await start(CountingSensor("s1"), import_first=HANGING, **attributes)

    async def sent(text: str) -> None:
        (folder / text).write_text(text)
        await rig.cloud.wait_for(lambda: text.encode() in [a.payload for a in rig.arrivals(UploadMethod.FILE)], 20)

    await sent("before")
    await rig.command("pause", what="upload")
    for number in range(20):
        (share / f"{number}").write_text("never read")
    await rig.until(lambda status: status["folders"][str(share)]["captured"] == 20)
    os.mkfifo(fifo)
    await rig.command("resume", what="upload")
    await rig.until(lambda status: status["upload"]["in_flight"] >= 4)
    await sent("while it hangs")
    for number in range(3):
        await rig.server.reconfigure_resource(NAME, rig.attributes(**attributes))
        await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 2)
        await sent(f"after change {number}")
    await rig.until(lambda status: "does not answer" in str(status["folders"][str(share)]["last_error"]), 20)
    status = await rig.until(lambda status: status["spool"]["failed"] == 0)
    assert status["upload"]["connected"] is True
    async with Beside() as beside:
        ended = await rig.server.terminate()
    assert ended is not None
    assert (ended.code, ended.seconds < 8 + beside.late_s) == (0, True)
    fifo.unlink()
    await rig.server.restart()
    await rig.cloud.wait_for(lambda: [a.payload for a in rig.arrivals()].count(b"never read") == 20, 20)
