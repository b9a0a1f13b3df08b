"""The end of a service's uploads: it is quick, each upload counts or is in the spool, and nothing runs on."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest

from tests.delivery.rig import Crowd, Starter, image, refuse


@pytest.mark.parametrize("stalls", ["answer", "connection"])
async def test_closing_is_quick_and_loses_nothing(start: Starter, stalls: str) -> None:
    """Whatever the cloud does: an upload that has not been answered is in the spool."""
    rig = await start(concurrency=4, timeout_s=120)
    await rig.append(image(0))
    await rig.flush()
    rig.cloud.judge = Crowd(wait_for=99, patience_s=120)
    await rig.append(*(image(n) for n in range(1, 11)))
    await rig.cloud.wait_for(lambda: rig.cloud.calls.total() == 5, 30)
    if stalls == "connection":
        await rig.cloud.stop()
    began = time.monotonic()
    found = await rig.claimable()
    # Who waits for the uploads waits for 120 s.
    assert time.monotonic() - began < 30
    assert sorted(int(item.payload.split()[0]) for item in found) == list(range(1, 11))


async def test_what_is_held_back_is_in_the_spool_again_once_uploads_are_closed(start: Starter) -> None:
    """Nothing of a closed service runs on until the delay is over."""
    rig = await start(retry_initial_s=100, retry_max_s=100)
    rig.cloud.judge = refuse(grpc.StatusCode.UNKNOWN, "?")
    await rig.append(image(1))
    await rig.until(lambda: rig.status()["in_flight"] == 0 < rig.cloud.calls.total())
    assert rig.store.choose(0, flushing=True)[0] is None
    await rig.stop_uploads()
    assert rig.store.choose(0, flushing=True)[0] is not None


async def test_an_upload_that_ends_while_the_service_closes_counts(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("module.delivery.uploader.CLOSE_GRACE_S", 30.0)
    rig = await start()
    await rig.append(image(0))
    await rig.flush()
    rig.cloud.judge = crowd = Crowd(wait_for=99, patience_s=60)
    await rig.append(image(1))
    await rig.cloud.wait_for(lambda: rig.cloud.calls.total() == 2, 30)
    closing = asyncio.create_task(rig.claimable())
    await rig.until(lambda: rig.uploader._closing)
    crowd._complete.set()
    assert await closing == []
    assert rig.images() == [0, 1]
