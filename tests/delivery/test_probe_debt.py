"""What a capture owes for the outage that it probed through: nothing."""

from __future__ import annotations

import math

import grpc
import pytest

from module.delivery.backoff import Backoff
from module.local.calls import Call, Refusal
from tests.delivery.rig import Rig, Starter, image


@pytest.fixture(autouse=True)
def quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes follow one another at once; a delay of a capture's own falls on its longest."""

    def delay(self: Backoff, attempt: int, most_s: float = math.inf) -> float:
        return 0.005 if most_s < math.inf else self.ceiling(attempt)

    monkeypatch.setattr(Backoff, "delay", delay)


async def probed(start: Starter, captures: int) -> Rig:
    """An uploader that has asked a cloud that is away for each of so many captures, again and again."""
    rig = await start(concurrency=8, retry_initial_s=0.01, retry_max_s=300)
    await rig.append(image(0))
    await rig.cloud.wait_for(lambda: len(rig.cloud.arrivals) == 1, 30)

    async def away(_: Call) -> None:
        raise Refusal(grpc.StatusCode.UNAVAILABLE, "down for lunch")

    rig.cloud.judge, calls = away, rig.cloud.calls.total()
    await rig.append(*(image(n) for n in range(1, captures + 1)))
    await rig.cloud.wait_for(lambda: rig.cloud.calls.total() >= calls + 15 * captures, 60)
    return rig


async def test_a_capture_that_probed_through_an_outage_is_not_late_for_it(start: Starter) -> None:
    """The cloud comes back without its tokens: one refusal, one renewal, and it is delivered."""
    rig = await probed(start, 1)
    rig.cloud.judge = None
    rig.cloud.forget_tokens()
    await rig.cloud.wait_for(lambda: len(rig.cloud.arrivals) == 2, 30)


async def test_a_capture_that_probed_through_an_outage_is_not_delayed_for_it(start: Starter) -> None:
    """The cloud comes back short of room, and takes one capture while it refuses the other."""
    rig = await probed(start, 8)
    refused: set[int] = set()

    async def short(call: Call) -> None:
        number = int(call.first.sensor_contents[0].binary.split()[0])
        if len(rig.cloud.arrivals) > 3 and number % 2 and number not in refused:
            refused.add(number)
            await rig.cloud.wait_for(lambda: len(rig.cloud.arrivals) >= 6, 30)
            raise Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "later")

    rig.cloud.judge = short
    await rig.cloud.wait_for(lambda: len(rig.cloud.arrivals) == 9, 30)
