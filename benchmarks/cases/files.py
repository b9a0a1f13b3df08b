"""*Files*: one large file, beside the SDK's way and the bare chunked stream."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.bench import Bench, Cloud, Stopwatch
from benchmarks.inputs import write_file
from benchmarks.machine import machine
from benchmarks.measure import forget_peak
from benchmarks.processes import started

CASE = "files"
OURS, SDK, CORE = "ours", "SDK, file_upload_from_path", "C core, bare chunked stream"
RATE, CPU, GROWN = "rate", "CPU per GB", "memory that it took"


async def files(bench: Bench) -> None:
    """1 GB; the SDK sends less, since it holds it in memory several times over."""
    scale = bench.scale
    folder = bench.fresh("files")
    large, small = folder / "large.bin", folder / "small.bin"
    await asyncio.to_thread(write_file, large, scale.file_bytes)
    await asyncio.to_thread(write_file, small, scale.sdk_file_bytes)
    async with bench.cloud() as cloud:
        for _ in range(scale.rounds):
            await _ours(bench, cloud, large)
            async with started("sdk", cloud.port) as sdk:
                await sdk.ask("frames", count=1)
                await sdk.ask("work", at_once=1)
                await sdk.ask("file", path=str(small))
                forget_peak(sdk.pid)
                watch = Stopwatch(sdk.pid)
                seconds = (await sdk.ask("work", at_once=1))["seconds"]
                _note(bench, SDK, scale.sdk_file_bytes, seconds, watch)
            async with started("core", cloud.port) as core:
                await core.ask("frames", count=1)
                await core.ask("work", at_once=1)
                forget_peak(core.pid)
                watch = Stopwatch(core.pid)
                seconds = (await core.ask("stream", path=str(large)))["seconds"]
                _note(bench, CORE, scale.file_bytes, seconds, watch)


async def _ours(bench: Bench, cloud: Cloud, path: Path) -> None:
    # The folder that is watched holds nothing: the file is asked for, so that no settling is measured.
    async with machine(bench.fresh("machine")) as module:
        folders = [{"path": str(path.parent), "exclude": ["*"]}]
        await module.configure(cloud.address, bench.fresh("spool"), folders=folders)
        await module.command("upload_data", text="opens the connection", file_name="first.txt", wait="uploaded")
        await cloud.forget()
        forget_peak(module.pid)
        watch = Stopwatch(module.pid)
        await module.command("upload_file", path=str(path))
        received = await cloud.received(1)
        await module.until(lambda status: status["spool"]["items"] == 0)
        if received.bytes < path.stat().st_size:
            raise RuntimeError(f"{received.bytes} bytes arrived of {path.stat().st_size}")
        _note(bench, OURS, path.stat().st_size, received.last_s - received.first_s, watch)


def _note(bench: Bench, subject: str, size: int, seconds: float, watch: Stopwatch) -> None:
    bench.results.add(CASE, subject, RATE, "MB/s", size / 1e6 / seconds)
    bench.results.add(CASE, subject, CPU, "s", watch.cpu_s() / (size / 1e9))
    bench.results.add(CASE, subject, GROWN, "MB", (watch.peak_bytes() - watch.before.resident_bytes) / 1e6)
