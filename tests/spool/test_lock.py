"""One owner at a time, who lets go whatever the disk does."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from module.capture import Capture, Kind, Origin
from module.errors import SpoolClosed, SpoolError
from module.spool.store import Store
from tests.descriptors import open_around
from tests.spool.rig import LOGGER, Opener, SlowDisk, spool_config, upload_config

ROWS = Origin(source="s", kind=Kind.ROW, api="rdk:component:sensor", name="s", method="Readings")


async def test_a_close_that_is_given_up_still_lets_go_once_the_disk_answers(opened: Opener, disk: SlowDisk) -> None:
    """As when a service is changed while a commit takes longer than closing may."""
    first = await opened()
    disk.hang()
    appended = first.append_soon([Capture(ROWS, 1, 2, b"row")])
    await disk.until_it_hangs()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(first.close(), 0.05)
    opening = asyncio.ensure_future(opened())
    await asyncio.sleep(0.2)
    assert not opening.done()
    disk.work()
    second = await asyncio.wait_for(opening, 10)
    assert second.items == 1
    assert len(await appended) == 1
    await first.close()


async def test_whoever_waits_for_the_lock_says_so_and_may_give_up(opened: Opener, tmp_path: Path) -> None:
    first = await opened()
    second = Store(spool_config(directory=str(tmp_path / "spool"), min_free_bytes=0), upload_config(), LOGGER)
    waiting = asyncio.ensure_future(second.open())
    while second.last_error is None:
        await asyncio.sleep(0.001)
    assert "held by another instance" in second.last_error
    await second.close()
    with pytest.raises(SpoolClosed):
        await waiting
    await first.close()
    await opened()


async def test_a_spool_that_could_not_be_opened_may_be_opened_again(opened: Opener, tmp_path: Path) -> None:
    """It keeps no lock meanwhile."""
    settings = spool_config(directory=str(tmp_path / "spool"), min_free_bytes=0)
    store = Store(settings, upload_config(), LOGGER)
    (tmp_path / "spool" / "spool.sqlite3").mkdir(parents=True)
    with pytest.raises(SpoolError, match="cannot be opened"):
        await store.open()
    (tmp_path / "spool" / "spool.sqlite3").rmdir()
    other = await asyncio.wait_for(opened(), 10)
    await other.close()
    await store.open()
    await store.append([Capture(ROWS, 1, 2, b"row")])
    await store.close()


@pytest.mark.parametrize("broken", ["the lock", "a table"])
async def test_an_opening_that_fails_leaves_nothing_open(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """It is tried every 2 s, for days: on a share without locks, for example."""
    await (await opened()).close()
    if broken == "a table":
        with closing(sqlite3.connect(tmp_path / "spool" / "spool.sqlite3")) as db:
            db.execute("DROP TABLE clock")
    else:

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
    before = open_around(tmp_path / "spool")
    with pytest.raises(SpoolError, match="cannot be opened"):
        await opened()
    assert open_around(tmp_path / "spool") == before
