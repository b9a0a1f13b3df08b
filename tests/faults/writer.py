"""A process that fills and empties a spool, and says on its standard output what counts.

``counted N`` follows the return of ``append``; ``leaving N`` precedes an acknowledgement, ``left N`` follows it. Each
line is one write. Started as ``python -m tests.faults.writer DIRECTORY FIRST SEED SYNC``, FIRST the
first capture's number, SYNC the setting of the spool.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
from collections.abc import Iterable, Iterator
from itertools import count

from module.attributes.uploader import Sync
from module.capture import Capture, Kind, Origin
from module.spool import free_pages, thread
from module.spool.store import Store
from tests.spool.rig import LOGGER, claim, spool_config, upload_config

LIVES = 3
BURSTS = 12
ORIGINS = (
    Origin("sensor", Kind.ROW, name="sensor", method="Readings"),
    Origin("camera", Kind.BINARY, priority=7, name="camera", method="GetImages", extension=".jpg"),
)
SIZES = (0, 40, 40, 40, 700, 5_000, 20_000, 150_000)


def payload(number: int) -> bytes:
    """The bytes of a capture, which begin with its number in 8 bytes and follow from it."""
    noise = random.Random(number)
    return number.to_bytes(8, "big") + noise.randbytes(noise.choice(SIZES))


def number_of(found: bytes) -> int:
    """The number in a capture's bytes; raises ValueError unless they are exactly that capture's."""
    number = int.from_bytes(found[:8], "big")
    if found != payload(number):
        raise ValueError(f"{len(found)} bytes that claim to be capture {number} are not")
    return number


def _say(word: str, numbers: Iterable[int]) -> None:
    os.write(1, f"{word} {' '.join(map(str, numbers))}\n".encode())


async def _append(store: Store, numbers: list[int], rng: random.Random) -> None:
    origin = rng.choice(ORIGINS)
    await store.append([Capture(origin, number, number, payload(number)) for number in numbers])
    _say("counted", numbers)


async def _fill(store: Store, numbers: Iterator[int], rng: random.Random) -> None:
    for _ in range(BURSTS):
        appends = [[next(numbers) for _ in range(rng.randint(1, 6))] for _ in range(rng.randint(1, 4))]
        await asyncio.gather(*(_append(store, each, rng) for each in appends))
        await asyncio.sleep(rng.choice((0, 0, 0.03)))


async def _empty(store: Store, rng: random.Random) -> None:
    while True:
        items = await claim(store)
        fate = rng.random()
        if not items or fate < 0.2:
            store.release(items)
        elif fate < 0.3:
            await store.fail(items, "rejected", 1)
        else:
            numbers = [number_of(item.payload) for item in items]
            _say("leaving", numbers)
            await store.acknowledge(items)
            _say("left", numbers)
        if rng.random() < 0.1:
            await store.retry()
        await asyncio.sleep(0.01)


async def _live(directory: str, numbers: Iterator[int], rng: random.Random, sync: Sync) -> None:
    settings = spool_config(directory=directory, min_free_bytes=0, sync=sync)
    store = Store(settings, upload_config(batch_rows=20), LOGGER)
    await store.open()
    emptying = asyncio.create_task(_empty(store, rng), name="empty")
    await _fill(store, numbers, rng)
    emptying.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await emptying
    await store.close()


def main() -> None:
    directory, first, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # So that room is given back to the disk within a run of a second.
    thread._IDLE_S = 0.005
    free_pages.KEEP_BYTES = 100_000
    free_pages.REWRITE_S = 0.05
    numbers, rng = count(first), random.Random(seed)
    # In one way or the other.
    free_pages._LITTLE_BYTES = rng.choice((0, free_pages._LITTLE_BYTES))
    for _ in range(LIVES):
        asyncio.run(_live(directory, numbers, rng, Sync(sys.argv[4])))


if __name__ == "__main__":
    main()
