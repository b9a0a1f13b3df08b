"""Each page of a spool's file, lost by itself: what that costs."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from module.capture import Capture
from module.errors import SpoolError
from module.spool.schema import PAGE_BYTES
from module.spool.store import Store
from tests.spool.numbered import IMAGES, ROWS, payload
from tests.spool.rig import LOGGER, Opener, claim, spool_config, upload_config

COUNT = 60
_LEAF, _OVERFLOW = 0x0D, 0x00


def _capture(number: int) -> Capture:
    if number % 10 == 0:
        return Capture(IMAGES, number, number, payload(number, 20_000))
    return Capture(ROWS, number, number, payload(number, 200))


def _pages(file: Path) -> Iterator[tuple[str, int]]:
    """Of each page its kind: the tree of which it is the root, or what it holds; and its offset in the file."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        roots = {root: name for name, root in db.execute("SELECT name, rootpage FROM sqlite_master")}
    data = file.read_bytes()
    for offset in range(0, len(data), PAGE_BYTES):
        number = offset // PAGE_BYTES + 1
        kind = {_LEAF: "captures", _OVERFLOW: "a part of one capture"}.get(data[offset], "no capture")
        yield "the first" if number == 1 else roots.get(number, "pointers" if number == 2 else kind), offset


async def test_each_page_that_is_lost_costs_what_stands_on_it_and_no_more(opened: Opener, tmp_path: Path) -> None:
    """A page of captures costs those on it, which are counted; a part of a large one costs that, a failure or counted.

    Every other page costs no capture at all, the roots of the tables and of the indexes among them.
    (The pages of ``sent_file`` and ``sequence`` cost what they remember: files are sent again, sequences are not made.)
    """
    store = await opened()
    await store.append([_capture(number) for number in range(COUNT)])
    await store.close()
    file, costs = tmp_path / "spool" / "spool.sqlite3", dict[str, set[tuple[int, int]]]()
    mark, whole = file.with_name("last-id").read_bytes(), file.read_bytes()
    for kind, offset in list(_pages(file)):
        folder = tmp_path / f"{offset}"
        folder.mkdir()
        (folder / "last-id").write_bytes(mark)
        (folder / file.name).write_bytes(whole[:offset] + bytes(PAGE_BYTES) + whole[offset + PAGE_BYTES :])
        damaged = Store(spool_config(directory=str(folder), min_free_bytes=0), upload_config(), LOGGER)
        await damaged.open()
        delivered = set[int]()
        for _ in range(3):
            # A claim that meets the damage fails; the next one finds the new file.
            with contextlib.suppress(SpoolError):
                while items := await claim(damaged):
                    await damaged.acknowledge(items)
                    delivered.update(item.requested_us for item in items)
        await damaged.close()
        assert len(delivered) + damaged.failed + damaged.unreadable == COUNT, (kind, offset)
        costs.setdefault(kind, set()).add((damaged.failed, damaged.unreadable))
    # A free page looks like a part of a capture, and is none.
    assert costs.pop("a part of one capture") == {(1, 0), (0, 1), (0, 0)}
    on_a_page = costs.pop("captures")
    assert all(failed == 0 and unreadable <= PAGE_BYTES // 200 for failed, unreadable in on_a_page), on_a_page
    assert costs.keys() >= {
        "the first",
        "pointers",
        "stream",
        "sqlite_autoindex_stream_1",
        "capture",
        "counter",
        "listed",
    }
    assert costs == {kind: {(0, 0)} for kind in costs}
