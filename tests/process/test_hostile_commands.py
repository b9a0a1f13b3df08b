"""Commands that are too large or too many, sent to a real module process."""

from __future__ import annotations

import asyncio
import base64
import collections
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from grpclib import GRPCError, Status

from module.local.calls import UploadMethod
from tests.process.rig import NAME, CountingSensor, Rig, Starter

pytestmark = pytest.mark.slow


async def _refused(rig: Rig, verb: str, **arguments: Any) -> str:
    with pytest.raises(GRPCError) as refusal:
        await rig.command(verb, **arguments)
    assert refusal.value.status is Status.INVALID_ARGUMENT
    return str(refusal.value.message)


def _memory_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) / 1024


async def test_no_argument_is_too_large_to_be_refused(start: Starter, tmp_path: Path) -> None:
    """At once, in a few words: a long error would be a header that breaks the connection."""
    sensor = CountingSensor("s1")
    # The machine, which is this process, answers no poll while it makes large commands.
    sources = [{"name": "s1", "capture_frequency_hz": 20, "timeout_s": 300}]
    rig = await start(sensor, sources=sources, folders=[{"path": str(tmp_path / "folder")}])
    large = "x/" * 500_000
    (tmp_path / "folder").mkdir()
    commands: list[tuple[str, dict[str, Any]]] = [
        (large, {}),
        ("status", {large: 1}),
        ("status", {"verbose": large}),
        ("capture", {"sources": [large]}),
        ("capture", {"tags": [large]}),
        ("capture", {"tags": ["x"] * 100_000}),
        ("capture", {"wait": large}),
        ("capture", {"count": large}),
        ("set_schedule", {"source": large}),
        ("set_schedule", {"source": "s1", "cron": large}),
        ("upload_file", {"path": f"/{large}"}),
        ("upload_file", {"path": f"{tmp_path}/folder/{large}"}),
        ("upload_data", {"text": "x", "file_name": large.replace("/", "")}),
        ("upload_data", {"text": "x", "file_name": "ü" * 128}),
        ("recent", {"source": large}),
        ("stop_sequence", {"id": large}),
        ("retry", {"ids": [large]}),
    ]
    for verb, arguments in commands:
        assert len(await _refused(rig, verb, **arguments)) < 4500
    await rig.command("upload_data", text="x", file_name="ü" * 127, wait="uploaded")
    assert rig.arrivals(UploadMethod.FILE)[-1].metadata.file_name == "ü" * 127
    status = await rig.status()
    assert status["sources"]["s1"]["errors"] == 0
    assert status["sources"]["s1"]["lateness_ms"]["max"] < 5000


async def test_a_hundred_megabytes_of_base64_are_refused_while_the_rest_continues(start: Starter) -> None:
    """viam-server lets 32 MB through; this is what happens to one who reaches the module's socket."""
    sensor = CountingSensor("s1")
    # The machine, which is this process, answers no poll while it makes the command.
    rig = await start(sensor, sources=[{"name": "s1", "capture_frequency_hz": 20, "timeout_s": 300}])
    await rig.until(lambda status: status["sources"]["s1"]["captured"] >= 5)
    data = base64.b64encode(bytes(100_000_000)).decode()
    before_mb = _memory_mb(rig.server.pid)
    for _ in range(2):
        polls = len(sensor.polls)
        refusal = asyncio.ensure_future(_refused(rig, "upload_data", data_base64=data, file_name="large.bin"))
        while not refusal.done():
            await rig.status()
        assert "allowed are 67108864 bytes of data" in await refusal
        await rig.until(lambda _, polls=polls: len(sensor.polls) > polls + 3)  # type: ignore[misc]
    # The C library may keep the pages of one command, of 127 MiB, for the next; two would mean that none is let go.
    assert _memory_mb(rig.server.pid) < before_mb + 200
    assert (await rig.status())["sources"]["s1"]["errors"] == 0
    assert "no base64" in await _refused(rig, "upload_data", data_base64="A===", file_name="a")


_FLOOD = """
import asyncio, json, sys, time
from grpclib import GRPCError
from grpclib.client import Channel
from viam.proto.common import DoCommandRequest
from viam.proto.service.generic import GenericServiceStub
from viam.utils import dict_to_struct

def command(number):
    return (
        {"command": "status"},
        {"command": f"nonsense {number}"},
        {"command": "status", f"argument {number}": 1},
        {"command": "upload_data", "text": "x", "file_name": f"{number}.txt", "tags": [f"t{number}"]},
    )[number % 4]

async def flood(path, name, first, seconds):
    module, calls = GenericServiceStub(channel := Channel(path=path)), []
    began = time.monotonic()
    for burst in range(seconds * 20):
        await asyncio.sleep(max(0.0, began + burst * 0.05 - time.monotonic()))
        for number in range(first + burst * 50, first + burst * 50 + 50):
            request = DoCommandRequest(name=name, command=dict_to_struct(command(number)))
            calls.append(asyncio.ensure_future(module.DoCommand(request)))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    channel.close()
    return [a.status.name if isinstance(a, GRPCError) else type(a).__name__ for a in answers]

path, name, *numbers = sys.argv[1:]
print(json.dumps(asyncio.run(flood(path, name, *map(int, numbers)))))
"""


async def _flood(rig: Rig, first: int, seconds: int) -> collections.Counter[str]:
    """Send 1,000 commands a second from another process, so that the machine's resources answer as ever."""
    numbers = (rig.server.channel._path or "", NAME, str(first), str(seconds))
    flood = await asyncio.create_subprocess_exec(sys.executable, "-c", _FLOOD, *numbers, stdout=subprocess.PIPE)
    printed, _ = await flood.communicate()
    return collections.Counter(json.loads(printed))


async def test_a_flood_of_commands_holds_no_capture_up(start: Starter) -> None:
    """1,000 a second for three seconds: sources are polled as ever, the log gains no line, and memory no more."""
    sensor = CountingSensor("s1")
    rig = await start(sensor, sources=[{"name": "s1", "capture_frequency_hz": 20}])
    await _flood(rig, 0, 1)
    lines, memory = len(rig.printed().splitlines()), _memory_mb(rig.server.pid)
    before = (await rig.status())["sources"]["s1"]
    answers = await _flood(rig, 1000, 3)
    after = (await rig.status())["sources"]["s1"]
    assert answers == {"DoCommandResponse": 1500, "INVALID_ARGUMENT": 1500}
    assert after["errors"] == 0
    ticks = after["captured"] + after["missed"] - before["captured"] - before["missed"]
    assert ticks >= 60
    # How many of them gave a capture is up to what else this machine does; that they go on is not.
    assert after["captured"] - before["captured"] >= 10
    assert len(rig.printed().splitlines()) <= lines + 3
    assert _memory_mb(rig.server.pid) < memory + 20
    assert (await rig.drained())["spool"]["failed"] == 0
