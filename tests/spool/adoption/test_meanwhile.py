"""What happens while an adoption is under way: it goes on, and nothing is lost or repeated."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from pathlib import Path

from module.spool.schema import PAGE_BYTES
from tests.spool.adoption.rig import EXPECTED, Service, interrupt_adoption, make_orphan, payloads, row
from tests.spool.rig import Opener


async def test_appends_go_on_between_the_parts(opened: Opener, tmp_path: Path) -> None:
    """Each commit is small, whatever waits in the old spool."""
    await make_orphan(opened, tmp_path / "old", rows=60)
    async with Service(tmp_path) as ours:
        adopting = asyncio.create_task(ours.adopt(tmp_path / "old"))
        appended = 0
        while not adopting.done():
            await ours.store.append([row(1000)])
            appended += 1
        assert await adopting == 60
        assert appended > 3
        assert ours.store.items == 60 + appended


async def test_an_adoption_outlives_whoever_asked_and_is_joined_by_whoever_asks_again(
    opened: Opener, tmp_path: Path
) -> None:
    await make_orphan(opened, tmp_path / "old", rows=60)
    async with Service(tmp_path) as ours:
        first = asyncio.create_task(ours.adopt(tmp_path / "old"))
        await ours.half_way()
        first.cancel()
        assert await ours.adopt(tmp_path / "old") == 60


async def test_the_service_that_comes_back_meanwhile_begins_with_a_new_spool(opened: Opener, tmp_path: Path) -> None:
    await make_orphan(opened, tmp_path / "old", rows=60)
    async with Service(tmp_path) as ours:
        adopting = asyncio.create_task(ours.adopt(tmp_path / "old"))
        await ours.half_way()
        back = await opened(directory=str(tmp_path / "old"))
        await back.append([row(7)])
        assert await adopting == 60
        assert await payloads(back) == [b"7"]


async def test_a_spool_that_had_not_ended_an_adoption_is_adopted_with_what_was_left_of_that(
    opened: Opener, tmp_path: Path
) -> None:
    await make_orphan(opened, tmp_path / "old", rows=10)
    await interrupt_adoption(tmp_path, "second")
    async with Service(tmp_path) as ours:
        await ours.store.append([row(11)])
        await ours.adopt(tmp_path / "second")
        await ours.until(lambda: [path.name for path in tmp_path.iterdir()] == ["ours"])
        assert await payloads(ours.store) == sorted([*EXPECTED, b"11"])


async def test_damage_to_our_own_spool_half_way_loses_and_repeats_nothing_of_an_adoption(
    opened: Opener, tmp_path: Path
) -> None:
    await make_orphan(opened, tmp_path / "old", rows=60)
    await interrupt_adoption(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "ours" / "spool.sqlite3")) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'listed'").fetchone()
    with (tmp_path / "ours" / "spool.sqlite3").open("r+b") as raw:
        raw.seek((page - 1) * PAGE_BYTES)
        raw.write(b"\xff" * PAGE_BYTES)
    async with Service(tmp_path) as ours:
        assert ours.store.damaged is not None
        await ours.until(lambda: not list(tmp_path.glob("adopting-*")))
        assert await payloads(ours.store) == sorted(b"%d" % number for number in range(1, 61))


async def test_an_adoption_of_what_has_gone_ends(opened: Opener, tmp_path: Path) -> None:
    """As when viam-server deletes it where an earlier version had it."""
    await make_orphan(opened, tmp_path / "old", rows=60)
    await interrupt_adoption(tmp_path)
    (place,) = tmp_path.glob("adopting-*")
    shutil.rmtree(place)
    async with Service(tmp_path) as ours:
        await make_orphan(opened, tmp_path / "other")
        assert await ours.adopt(tmp_path / "other") == 10
