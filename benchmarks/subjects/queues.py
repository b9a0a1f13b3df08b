"""One durable queue: appended to in waves, then emptied, an acknowledgement for each item.

``ours`` is the spool itself. The libraries are set to the same durability: what ``put`` returns from survives a power
cut. Arguments: which one, its folder, and the bytes of an item.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import inputs
from benchmarks.measure import use_of
from benchmarks.processes import serve
from module.capture import Capture, Item


class Queue(ABC):
    """What each of them must do."""

    async def open(self) -> None:  # noqa: B027 - most are open once they are made
        """Open the file, where the constructor has not."""

    @abstractmethod
    async def append(self, payloads: Sequence[bytes]) -> None:
        """Put items that arrive together; durable when it returns."""

    @abstractmethod
    async def take(self) -> Sequence[Any]:
        """Claim the oldest, as many as one upload takes; none: it is empty."""

    @abstractmethod
    async def done(self, claimed: Sequence[Any]) -> None:
        """Take them out for good."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of the file."""


class Ours(Queue):
    """``module.spool.store.Store``, each item appended by a caller of its own."""

    def __init__(self, folder: Path, size: int) -> None:
        self._store = inputs.store_of(inputs.configured(folder))
        self._origin = inputs.row_origin(0) if size < inputs.FRAME_BYTES else inputs.frame_origin()

    async def open(self) -> None:
        """Open the spool."""
        await self._store.open()

    async def append(self, payloads: Sequence[bytes]) -> None:
        """Each in a call of its own."""
        now_us = time.time_ns() // 1000
        calls = [self._store.append([Capture(self._origin, now_us, now_us, payload)]) for payload in payloads]
        await asyncio.gather(*calls)

    async def take(self) -> Sequence[Item]:
        """As the uploader claims."""
        stream, _ = self._store.choose(0.0, flushing=True)
        if stream is None:
            # Behind what was acknowledged.
            await self._store.barrier.last()
            return []
        return [item for items in await self._store.claim(stream) for item in items]

    async def done(self, claimed: Sequence[Item]) -> None:
        """As the uploader acknowledges: it does not wait."""
        self._store.acknowledge(claimed, soon=True)

    async def close(self) -> None:
        """Close the spool."""
        await self._store.close()


class PersistQueue(Queue):
    """``persistqueue.SQLiteAckQueue``; WAL, and SQLite's default of a full sync."""

    def __init__(self, folder: Path, _size: int) -> None:
        self._queue = importlib.import_module("persistqueue").SQLiteAckQueue(str(folder), auto_commit=True)
        self._queue._putter.execute("PRAGMA synchronous = FULL")

    async def append(self, payloads: Sequence[bytes]) -> None:
        """One by one: it has no way to put several."""
        for payload in payloads:
            self._queue.put(payload)

    async def take(self) -> Sequence[Any]:
        """One."""
        return [self._queue.get(raw=True)] if self._queue.size else []

    async def done(self, claimed: Sequence[Any]) -> None:
        """Mark it, and delete what is marked now and then, as its documentation has it."""
        for item in claimed:
            self._queue.ack(id=item["pqid"])
        if self._queue.size % 1000 == 0:
            self._queue.clear_acked_data(max_delete=1000, keep_latest=0)

    async def close(self) -> None:
        """Close it."""
        self._queue.clear_acked_data(max_delete=1000, keep_latest=0)
        self._queue.close()


class DiskCache(Queue):
    """``diskcache.Cache.push`` and ``pull``; values stay in SQLite, since it syncs no other file."""

    wave_in_one = False

    def __init__(self, folder: Path, _size: int) -> None:
        self._cache = importlib.import_module("diskcache").Cache(
            str(folder),
            sqlite_synchronous=2,
            disk_min_file_size=1 << 30,
            size_limit=1 << 40,
            eviction_policy="none",
            cull_limit=0,
        )

    async def append(self, payloads: Sequence[bytes]) -> None:
        """One by one, or in one transaction that the user opens."""
        if self.wave_in_one:
            with self._cache.transact():
                for payload in payloads:
                    self._cache.push(payload)
        else:
            for payload in payloads:
                self._cache.push(payload)

    async def take(self) -> Sequence[Any]:
        """Look at the oldest; it stays."""
        key, value = self._cache.peek()
        return [] if key is None else [(key, value)]

    async def done(self, claimed: Sequence[Any]) -> None:
        """Delete it."""
        for key, _ in claimed:
            self._cache.delete(key)

    async def close(self) -> None:
        """Close it."""
        self._cache.close()


class DiskCacheTransact(DiskCache):
    """The same, a wave in one transaction that the user opens."""

    wave_in_one = True


class LiteQueue(Queue):
    """``litequeue.LiteQueue``, with a full sync instead of its normal one."""

    wave_in_one = False

    def __init__(self, folder: Path, _size: int) -> None:
        folder.mkdir(parents=True)
        self._queue = importlib.import_module("litequeue").LiteQueue(str(folder / "queue.sqlite3"))
        self._queue.conn.execute("PRAGMA synchronous = FULL")

    async def append(self, payloads: Sequence[bytes]) -> None:
        """One by one, or in one transaction that the user opens."""
        if self.wave_in_one:
            with self._queue.transaction():
                for payload in payloads:
                    self._queue.put(payload)
        else:
            for payload in payloads:
                self._queue.put(payload)

    async def take(self) -> Sequence[Any]:
        """Lock one."""
        message = self._queue.pop()
        return [] if message is None else [message]

    async def done(self, claimed: Sequence[Any]) -> None:
        """Mark it as done; ``prune`` deletes what is."""
        for message in claimed:
            self._queue.done(message.message_id)

    async def close(self) -> None:
        """Delete what is done, and close."""
        self._queue.prune()
        self._queue.conn.close()


class LiteQueueTransaction(LiteQueue):
    """The same, a wave in one transaction that the user opens."""

    wave_in_one = True


QUEUES: dict[str, type[Queue]] = {
    "ours": Ours,
    "persist-queue": PersistQueue,
    "diskcache": DiskCache,
    "diskcache-transact": DiskCacheTransact,
    "litequeue": LiteQueue,
    "litequeue-transact": LiteQueueTransaction,
}


async def main() -> None:
    """Serve until the standard input ends."""
    which, folder, size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    queue = QUEUES[which](folder, size)  # type: ignore[call-arg]
    payload = inputs.row(0).ljust(size, b" ") if size < inputs.FRAME_BYTES else inputs.frame(size)

    async def append(count: int, wave: int) -> dict[str, float]:
        written, begun, cpu = use_of(os.getpid()).written_bytes, time.monotonic(), time.process_time()
        for _ in range(count // wave):
            await queue.append([payload] * wave)
        seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
        return {"seconds": seconds, "cpu_s": cpu, "written": use_of(os.getpid()).written_bytes - written}

    async def empty() -> dict[str, float]:
        written, begun, cpu, count = use_of(os.getpid()).written_bytes, time.monotonic(), time.process_time(), 0
        while claimed := await queue.take():
            await queue.done(claimed)
            count += len(claimed)
        seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
        await queue.close()
        return {
            "seconds": seconds,
            "cpu_s": cpu,
            "count": count,
            "written": use_of(os.getpid()).written_bytes - written,
        }

    # What it writes once, however much follows, is not of the items.
    await queue.open()
    await serve({"append": append, "empty": empty})


if __name__ == "__main__":
    asyncio.run(main())
