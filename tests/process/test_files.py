"""Folders and files, through a real module process."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import resource
import sys
from pathlib import Path
from typing import Any

import pytest
from grpclib import GRPCError, Status

from module.local.calls import UploadMethod
from tests.process.rig import Beside, CountingSensor, Rig, Starter


def _folder(tmp_path: Path, **attributes: Any) -> tuple[Path, dict[str, Any]]:
    path = tmp_path / "folder"
    path.mkdir(exist_ok=True)
    return path, {"path": str(path), "settle_s": 0.2, **attributes}


async def _sent(rig: Rig, count: int, timeout_s: float = 10.0) -> None:
    await rig.cloud.wait_for(lambda: len(rig.arrivals(UploadMethod.FILE)) >= count, timeout_s)


async def _resident_mb(pid: int) -> float:
    text = await asyncio.to_thread(Path(f"/proc/{pid}/status").read_text)
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


async def test_a_settled_file_arrives_with_its_name_type_and_times(start: Starter, tmp_path: Path) -> None:
    folder, config = _folder(tmp_path, tags=["t"], dataset_ids=["d"])
    (folder / "tag=gate").mkdir()
    path = folder / "tag=gate" / "video.mp4"
    path.write_bytes(b"moving pictures")
    os.utime(path, (1_700_000_000, 1_700_000_000.5))
    rig = await start(folders=[config])
    await _sent(rig, 1)
    (arrival,) = rig.arrivals()
    metadata = arrival.metadata
    assert arrival.payload == b"moving pictures"
    assert (metadata.file_name, metadata.file_extension, metadata.mime_type) == ("video", ".mp4", "video/mp4")
    assert (list(metadata.tags), list(metadata.dataset_ids)) == (["t", "gate"], ["d"])
    assert metadata.file_modify_time.ToMicroseconds() == 1_700_000_000_500_000
    assert metadata.file_create_time.ToMicroseconds() > 0
    status = await rig.until(lambda status: status["upload"]["uploaded_items"] == 1)
    assert status["upload"]["by_method"]["file_upload_from_path"] == 1
    assert status["folders"][str(folder)]["captured"] == 1


async def test_a_kept_file_is_sent_once_restarts_included_and_again_when_it_changes(
    start: Starter, tmp_path: Path
) -> None:
    folder, config = _folder(tmp_path)
    (folder / "a.txt").write_text("one")
    rig = await start(folders=[config])
    await _sent(rig, 1)
    await rig.until(lambda status: status["spool"]["items"] == 0)
    # A kill before the acknowledgement is on the disk would send the file once more; this command ends after that.
    await rig.command("discard")
    await rig.server.kill()
    await rig.server.restart()
    (folder / "b.txt").write_text("two")
    await _sent(rig, 2)
    (folder / "a.txt").write_text("three")
    await _sent(rig, 3)
    assert [arrival.payload for arrival in rig.arrivals()] == [b"one", b"two", b"three"]


@pytest.mark.parametrize("after", ["delete", "move"])
async def test_a_delivered_file_leaves_its_folder(start: Starter, tmp_path: Path, after: str) -> None:
    folder, config = _folder(tmp_path, after_upload=after)
    if after == "move":
        config["move_to"] = str(tmp_path / "done")
    (folder / "sub").mkdir()
    path = folder / "sub" / "a.txt"
    path.write_text("one")
    rig = await start(folders=[config])
    await _sent(rig, 1)
    async with asyncio.timeout(10):
        while path.exists():
            await asyncio.sleep(0.05)
    assert (tmp_path / "done" / "sub" / "a.txt").exists() == (after == "move")


@pytest.mark.skipif(not hasattr(fcntl, "F_SETLEASE"), reason="this system has no leases")
async def test_a_recorder_that_pauses_keeps_its_file(start: Starter, tmp_path: Path) -> None:
    """Longer than ``settle_s``: the file is sent, and deleted, once it is closed."""
    folder, config = _folder(tmp_path, after_upload="delete")
    path = folder / "video.bin"
    with path.open("wb") as recorder:
        recorder.write(b"first ")
        recorder.flush()
        rig = await start(folders=[config])
        (folder / "other.bin").write_bytes(b"other")
        await _sent(rig, 1)
        async with asyncio.timeout(10):
            while (folder / "other.bin").exists():
                await asyncio.sleep(0.05)
        assert path.exists()
        recorder.write(b"second")
    await _sent(rig, 2)
    async with asyncio.timeout(10):
        while path.exists():
            await asyncio.sleep(0.05)
    assert [arrival.payload for arrival in rig.arrivals()] == [b"other", b"first second"]
    assert "cannot be seen" not in rig.printed()


async def test_folders_follow_no_link_out(start: Starter, tmp_path: Path) -> None:
    folder, config = _folder(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (folder / "file-link.txt").symlink_to(outside / "secret.txt")
    (folder / "folder-link").symlink_to(outside)
    (folder / "own.txt").write_text("own")
    rig = await start(folders=[config])
    await _sent(rig, 1)
    await asyncio.sleep(1.5)
    assert [arrival.payload for arrival in rig.arrivals()] == [b"own"]


async def test_upload_file_takes_only_what_lies_in_a_configured_folder(start: Starter, tmp_path: Path) -> None:
    folder, config = _folder(tmp_path, include=["nothing"])
    (tmp_path / "outside.txt").write_text("outside")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "own.txt").write_text("own")
    rig = await start(folders=[config])
    refused = {
        "/etc/passwd": "lies in no configured folder",
        f"{folder}/../../etc/passwd": f"leads out of '{folder}'",
        f"{folder}/../outside.txt": f"leads out of '{folder}'",
        f"{folder}/link.txt": f"leads out of '{folder}'",
    }
    for path, says in refused.items():
        with pytest.raises(GRPCError) as refusal:
            await rig.command("upload_file", path=path)
        assert refusal.value.status is Status.INVALID_ARGUMENT
        assert refusal.value.message == f"upload_file.path: '{path}' {says}; allowed are files under: {folder}"
    answer = await rig.command("upload_file", path=f"{folder}/own.txt", tags=["x"], wait="uploaded")
    (arrival,) = rig.arrivals()
    assert answer["file_id"] == arrival.file_id
    assert (arrival.payload, list(arrival.metadata.tags)) == (b"own", ["x"])
    with pytest.raises(GRPCError, match=r"missing\.txt"):
        await rig.command("upload_file", path=f"{folder}/missing.txt")


@pytest.mark.slow
async def test_two_hundred_megabytes_cost_little_memory_and_delay_no_sensor(start: Starter, tmp_path: Path) -> None:
    """Less than 40 MB more, and a sensor at 50 Hz stays on time meanwhile."""
    folder, config = _folder(tmp_path, settle_s=0.1)
    sensor = CountingSensor("s1")
    path, block = folder / "large.bin", os.urandom(1_000_000)

    def write() -> str:
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for _ in range(200):
                file.write(block)
                digest.update(block)
        return digest.hexdigest()

    async with Beside() as beside:
        rig = await start(sensor, sources=[{"name": "s1", "capture_frequency_hz": 50}], folders=[config])
        await rig.until(lambda status: status["upload"]["uploaded_items"] >= 50)
        peak = before = await _resident_mb(rig.server.pid)
        rig.cloud.arrivals.clear()
        digest = await asyncio.to_thread(write)
        upload = asyncio.ensure_future(_sent(rig, 1, 60))
        while not upload.done():
            peak = max(peak, await _resident_mb(rig.server.pid))
            await asyncio.sleep(0.02)
        await upload
    (arrival,) = rig.arrivals(UploadMethod.FILE)
    assert (arrival.sha256, arrival.size) == (digest, 200_000_000)
    assert max(arrival.message_sizes) < 300_000
    assert peak - before < 40
    # When the module asked, not when the answer came: sensor and cloud share this busy process.
    assert (await rig.status())["sources"]["s1"]["lateness_ms"]["p99"] < 20 + 1000 * beside.late_s


@pytest.mark.skipif(sys.platform != "linux", reason="no prlimit(2), and no /proc, to limit another process with")
async def test_want_of_descriptors_delays_files_and_rejects_none(start: Starter, tmp_path: Path) -> None:
    """The process may open four more than it has; every upload wants a file, and the folders on the way to it."""
    folder, config = _folder(tmp_path, settle_s=0, include=["*.bin"])
    (folder / "deep").mkdir()
    rig = await start(folders=[config], upload={"concurrency": 16})
    # The connection to the cloud stands before there is no descriptor for one.
    (folder / "first.bin").write_bytes(b"60")
    await _sent(rig, 1)
    open_now = len(os.listdir(f"/proc/{rig.server.pid}/fd"))  # noqa: PTH208, names are enough
    _, hard = resource.prlimit(rig.server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(rig.server.pid, resource.RLIMIT_NOFILE, (open_now + 4, hard))
    for number in range(60):
        (folder / "deep" / f"{number}.bin").write_bytes(b"%d" % number)
    await _sent(rig, 61, 30)
    status = await rig.until(lambda status: status["spool"]["items"] == 0)
    assert status["spool"]["failed"] == 0
    assert sorted(int(arrival.payload or b"") for arrival in rig.arrivals()) == list(range(61))
    assert "not uploaded for now" in rig.printed()
