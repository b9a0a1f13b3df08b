"""A spool that was filled before: what claiming and acknowledging costs at its head. Its folder is the argument."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from benchmarks import inputs
from benchmarks.processes import serve

_TEN = 10


async def main() -> None:
    """Serve until the standard input ends."""
    store = inputs.store_of(inputs.configured(Path(sys.argv[1]), batch_rows=_TEN))
    await store.open()

    async def take(batches: int) -> dict[str, float]:
        claim_s = acknowledge_s = cpu_s = 0.0
        # The first ones warm SQLite's pages, and are not counted.
        for number in range(-_TEN, batches):
            cpu, begun = time.process_time(), time.perf_counter()
            stream, _ = store.choose(0.0, flushing=True)
            if stream is None:
                raise RuntimeError("the spool is empty")
            (items,) = await store.claim(stream)
            claimed = time.perf_counter()
            await store.acknowledge(items)
            if number >= 0:
                claim_s += claimed - begun
                acknowledge_s += time.perf_counter() - claimed
                cpu_s += time.process_time() - cpu
        return {"claim_s": claim_s, "acknowledge_s": acknowledge_s, "cpu_s": cpu_s}

    await serve({"take": take})
    await store.close()


if __name__ == "__main__":
    asyncio.run(main())
