"""Stores on a folder of their own, and what the tests of the spool do with them again and again."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from module.attributes.uploader import SpoolConfig, UploadConfig
from module.capture import Item
from module.spool.database import Database
from module.spool.listener import Listener
from module.spool.store import Store

LOGGER = logging.getLogger("test")

Opener = Callable[..., Awaitable[Store]]


def spool_config(**values: Any) -> SpoolConfig:
    return SpoolConfig.model_construct(**_with_defaults(SpoolConfig, values))


def upload_config(**values: Any) -> UploadConfig:
    return UploadConfig.model_construct(**_with_defaults(UploadConfig, {"batch_wait_s": 0.0, **values}))


def _with_defaults(model: Any, values: dict[str, Any]) -> dict[str, Any]:
    defaults = {name: field.default for name, field in model.model_fields.items() if not field.is_required()}
    return {**defaults, **values}


async def claim(store: Store, *, flushing: bool = True) -> list[Item]:
    stream, _ = store.choose(asyncio.get_running_loop().time(), flushing=flushing)
    return [] if stream is None else list(itertools.chain.from_iterable(await store.claim(stream)))


async def drain(store: Store) -> list[Item]:
    """Take all there is; a claim may come back empty where what waited was found damaged."""
    taken: list[Item] = []
    for _ in range(100_000):
        stream, _wait = store.choose(asyncio.get_running_loop().time(), flushing=True)
        if stream is None:
            return taken
        for items in await store.claim(stream):
            taken += items
            # As the uploader does: what is acknowledged is remembered as sent in the same transaction.
            await store.acknowledge(items, sent=[item.file for item in items if item.file is not None])
    raise AssertionError(f"{store.items} items wait, and none can be claimed")


class Drops(Listener):
    """Counts what a spool says that it dropped, by source."""

    def __init__(self) -> None:
        self.by_source: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return self.by_source.total()

    def on_drop(self, source: str, count: int) -> None:
        self.by_source[source] += count


class SlowDisk:
    """Commits wait as long as it hangs, fail as long as it refuses, and are counted; before any other patch of them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.commits = 0
        self.refuses = False
        self._hangs = threading.Event()
        self._works = threading.Event()
        self._works.set()
        commit = Database.commit

        def slow(db: Database) -> None:
            self.commits += 1
            if not self._works.is_set():
                self._hangs.set()
                assert self._works.wait(30)
            if self.refuses:
                raise sqlite3.OperationalError("disk I/O error")
            commit(db)

        patch.setattr(Database, "commit", slow)

    def hang(self) -> None:
        self._hangs.clear()
        self._works.clear()

    async def until_it_hangs(self) -> None:
        while not self._hangs.is_set():
            await asyncio.sleep(0.001)

    def work(self) -> None:
        self._works.set()


def spoil(path: Path, table: str, harm: str) -> None:
    """Give the second capture of a spool, in one of its two tables, a value that SQLite would not take by itself."""
    lenient = "UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE name = ?"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute(lenient, (table,))
    # The next to open the file reads the schema.
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"UPDATE {table} SET {harm} WHERE id = 2")  # noqa: S608


def make_version_4(path: Path) -> None:
    """Make a spool's file one of version 4, in which an index had every capture."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DROP TABLE listed")
        db.execute("CREATE INDEX capture_by_stream ON capture (stream)")
        db.execute("PRAGMA user_version = 4")


def make_version_3(path: Path) -> None:
    """Make a spool's file one of version 3, which knew delivered files by their paths only."""
    make_version_4(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DROP INDEX sent_file_by_inode")
        for column in ("inode", "missing", "missing_day"):
            db.execute(f"ALTER TABLE sent_file DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 3")


def make_version_2(path: Path) -> None:
    """Make a spool's file one of version 2, which knew nothing of the machine's clock either."""
    make_version_3(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DROP TABLE clock")
        for column in ("start_boot", "start_offset_us", "end_boot", "end_offset_us"):
            db.execute(f"ALTER TABLE sequence DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 2")


def make_version_1(path: Path) -> None:
    """Make a spool's file one of version 1, which had no checksums either."""
    make_version_2(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for table in ("stream", "capture", "failure"):
            db.execute(f"ALTER TABLE {table} DROP COLUMN crc")
        db.execute("PRAGMA user_version = 1")
