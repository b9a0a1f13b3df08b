"""Captures whose bytes follow from their numbers, so that damage shows, and what is done to the file they are in."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from pathlib import Path

from module.capture import Capture, Item, Kind, Origin
from module.errors import SpoolError
from module.spool.store import Store
from tests.spool.rig import Opener

ROWS = Origin(source="s", kind=Kind.ROW, name="s", api="rdk:component:sensor", method="Readings")
IMAGES = Origin(source="c", kind=Kind.BINARY, priority=7, name="c", method="GetImages", extension=".jpg")


def payload(number: int, size: int) -> bytes:
    return number.to_bytes(8, "big") + random.Random(number).randbytes(size)


MORE_THAN_CACHED = 1500
"""So many captures are larger than SQLite's cache: some of them can only be read from the file."""


def capture(number: int) -> Capture:
    """Every tenth is an image, the others are rows; the bytes follow from the number."""
    if number % 10 == 0:
        return Capture(IMAGES, number, number, payload(number, 40_000), annotations=b"seen")
    return Capture(ROWS, number, number, payload(number, 100 + number % 7))


def check(items: Iterable[Item]) -> set[int]:
    """The numbers of captures, each of which is exactly what was put in."""
    found: set[int] = set()
    for item in items:
        number = int.from_bytes(item.payload[:8], "big")
        whole = capture(number)
        assert (item.origin, item.payload, item.requested_us) == (whole.origin, whole.payload, number)
        assert item.annotations == whole.annotations
        assert number not in found
        found.add(number)
    return found


def spool_file(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "spool.sqlite3"


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


async def filled(opened: Opener, count: int = 500) -> Store:
    store = await opened(max_bytes=10**9)
    for first in range(0, count, 50):
        await store.append([capture(number) for number in range(first, first + 50)])
    return store


def copied(path: Path, into: Path) -> Path:
    """The spool as ``kill -9`` leaves it: its file, its journal and its mark."""
    into.mkdir()
    for name in (path.name, f"{path.name}-wal", "last-id"):
        (into / name).write_bytes((path.parent / name).read_bytes())
    return into / path.name


async def drain_damaged(store: Store) -> set[int]:
    """The numbers of all that can be taken; a claim that meets the damage fails, the next one finds the new file."""
    delivered, failed = set[int](), 0
    while failed < 5:
        stream, _wait = store.choose(asyncio.get_running_loop().time(), flushing=True)
        if stream is None:
            break
        try:
            for items in await store.claim(stream):
                await store.acknowledge(items)
                delivered |= check(items)
        except SpoolError:
            failed += 1
    return delivered
