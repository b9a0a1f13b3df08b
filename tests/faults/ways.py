"""What a cloud and the way to it do at their usual sizes; ``tests/delivery/test_ways.py`` has the short forms."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from module.local.calls import Call
from tests.delivery.proxy import counting_proxy
from tests.delivery.rig import Rig, config_of, file_of, image, local_cloud, row
from tests.faults.report import Finding

RATES = ((4_000, 60.0, 150.0), *((rate, 5.0, 20.0) for rate in (16_000, 100_000, 1_000_000, 10_000_000, 50_000_000)))
"""Bytes a second, over how many seconds they hold, and for how long they are tried."""
_OFF_BY = 0.05
_MOST_COPIES = 4


@contextlib.asynccontextmanager
async def _rig(folder: Path, cloud: dict[str, Any] | None = None, **upload: Any) -> AsyncIterator[Rig]:
    folder.mkdir(parents=True)
    async with local_cloud(**(cloud or {})) as (served, address):
        rig = Rig(config_of(folder / "spool", address, upload=upload), served)
        await rig.open()
        try:
            yield rig
        finally:
            await rig.close()


def _aged(seconds: float) -> dict[str, Any]:
    return {"options": [("grpc.max_connection_age_ms", int(seconds * 1000))]}


async def file_over_aged_connections(folder: Path, *, age_s: float = 4, file_s: float = 8) -> Finding:
    """A file that takes longer than a connection lasts; returns what came of it, as a finding."""
    rate = 400_000
    async with _rig(folder, _aged(age_s), max_bytes_per_s=rate) as rig:
        await rig.append(file_of(folder, int(rate * file_s)))
        begun = time.monotonic()
        await rig.flush(file_s * 5)
        took, tries = time.monotonic() - begun, 1 + rig.status()["retries"]
        whole = [arrival.size for arrival in rig.cloud.arrivals] == [int(rate * file_s)]
    said = f"over connections of {age_s:g} s a file of {file_s:g} s took {took:.1f} s, in {tries} try"
    return Finding(said, whole and tries == 1)


async def rows_over_aged_connections(folder: Path, *, age_s: float = 2, seconds: float = 60) -> Finding:
    """Small uploads beside connections that are aged out; returns what came of it, as a finding."""
    async with _rig(folder, _aged(age_s), concurrency=8) as rig:
        until, count, states = time.monotonic() + seconds, 0, collections.Counter[str]()
        while time.monotonic() < until:
            await rig.append(row(count, f"s{count % 8}"))
            count += 1
            states[rig.status()["state"]] += 1
            await asyncio.sleep(0.02)
        await rig.flush(60)
        arrived = collections.Counter(rig.rows())
        retries = rig.status()["retries"]
    twice = sum(times - 1 for times in arrived.values())
    said = (
        f"over connections of {age_s:g} s {len(arrived)} of {count} rows arrived in {seconds:g} s, {twice} twice, "
        f"with {retries} retries; the state was offline in {states['offline']} of {states.total()} looks"
    )
    return Finding(said, len(arrived) == count and not twice and not states["offline"])


async def late_answers(folder: Path, *, timeout_s: float = 2, late_s: float = 6) -> Finding:
    """A cloud that takes all bytes and answers late; returns what came of it, as a finding."""
    async with _rig(folder, timeout_s=timeout_s) as rig:

        async def late(_: Call) -> None:
            await asyncio.sleep(late_s)

        rig.cloud.judge = late
        await rig.append(image(1, size=50_000))
        await rig.flush(60)
        copies = rig.cloud.calls.total()
    said = f"a cloud that answers after {late_s:g} s, with timeout_s {timeout_s:g}, got {copies} copies"
    return Finding(said, copies <= _MOST_COPIES)


async def capped(folder: Path, rate: int, window_s: float, seconds: float) -> Finding:
    """A backlog of so many seconds under ``max_bytes_per_s``; returns what the sockets sent, as a finding."""
    folder.mkdir(parents=True)
    async with local_cloud(keep_payloads=False) as (cloud, address), counting_proxy(address) as (proxy, front):
        upload = {"max_bytes_per_s": rate, "concurrency": 8, "timeout_s": 60}
        rig = Rig(config_of(folder / "spool", front, upload=upload), cloud)
        await rig.open()
        # To make the backlog takes the time of this process, which is the cloud too.
        rig.uploader.pause()
        each = int(rate * seconds) // 4
        await rig.append(*(row(number, padding=min(each // 60, 100_000)) for number in range(60)))
        await rig.append(*(image(number, size=min(each // 40, 3_000_000)) for number in range(40)))
        await rig.append(image(99, size=min(each, 100_000_000), upload_as="streaming"), file_of(folder, each * 2))
        rig.uploader.resume()
        await rig.flush(seconds * 5)
        await rig.close()
    most, least = (within / (rate * window_s) for within in proxy.within(window_s))
    said = (
        f"max_bytes_per_s {rate:,}: any {window_s:g} s sent {100 * least:.1f} to {100 * most:.1f} % of it, "
        f"{proxy.total:,} bytes in all"
    )
    return Finding(said, 1 - _OFF_BY <= least <= most <= 1 + _OFF_BY)


async def all_ways(folder: Path) -> AsyncIterator[Finding]:
    """Each of these, one after the other."""
    yield await file_over_aged_connections(folder / "file")
    yield await rows_over_aged_connections(folder / "rows")
    yield await late_answers(folder / "late")
    for rate, window_s, seconds in RATES:
        yield await capped(folder / str(rate), rate, window_s, seconds)
