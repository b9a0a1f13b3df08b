"""Kills an adoption at each of its moments, and lets the next start and the next ``adopt`` do what is left.

``python -m tests.spool.adoption.kills FOLDER`` prints the moments, a line each, and ends with an error if a capture was
lost or came twice. Each step is a process of its own, forked from one that has no threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from module.capture import Capture, Kind, Origin
from module.errors import CommandError
from module.spool.adoption import old_spool
from module.spool.database import Database
from module.spool.store import Store
from tests.spool.rig import LOGGER, claim, drain, spool_config, upload_config

ROWS = Origin(source="s", kind=Kind.ROW, api="rdk:component:sensor", name="s", method="Readings")
COUNT = 5


def store_in(directory: Path) -> Store:
    return Store(spool_config(directory=str(directory), min_free_bytes=0), upload_config(), LOGGER)


async def prepare(folder: Path) -> None:
    store = store_in(folder / "old")
    await store.open()
    await store.append([Capture(ROWS, number, number, b"%d" % number) for number in range(COUNT)])
    await store.fail((await claim(store))[:1], "no such part", 1)
    await store.close()


async def adopt(folder: Path) -> int | None:
    """Open ours, carry on, and adopt what is still there; returns how many came of it."""
    store = store_in(folder / "ours")
    await store.open()
    running = asyncio.create_task(store.adopter.run())
    adopted = None
    with contextlib.suppress(CommandError):
        adopted = await store.adopter.adopt(str(folder / "old"))
    async with asyncio.timeout(20):
        while list(folder.glob("adopting-*")):
            await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
    return adopted


async def check(folder: Path) -> None:
    await adopt(folder)
    store = store_in(folder / "ours")
    await store.open()
    assert (store.items, store.failed) == (COUNT - 1, 1), f"{store.items} wait, {store.failed} failed"
    await store.retry()
    found = sorted(item.payload for item in await drain(store))
    assert found == [b"%d" % number for number in range(COUNT)], found
    assert await store.sequences.look() == []
    await store.close()
    assert [path.name for path in folder.iterdir()] == ["ours"], list(folder.iterdir())


def kill_at(moment: int) -> None:
    """End the process before (odd) or after (even) the commit, rename or deletion of this number."""
    seen = 0

    def watched(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal seen
            for number in (1, 0):
                seen += 1
                if number == 0:
                    result = work(*arguments, **named)
                if seen == moment:
                    sys.stdout.write(f"{'before' if number else 'after'} {name}\n")
                    sys.stdout.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for owner, name in ((Database, "commit"), (Path, "rename"), (Path, "unlink"), (Path, "rmdir")):
        setattr(owner, name, watched(name, getattr(owner, name)))


async def adopt_and_be_killed(folder: Path, moment: int) -> None:
    kill_at(moment)
    await adopt(folder)


def in_child(work: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> int:
    """Run it in a process of its own; returns how that ended."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            asyncio.run(work(*arguments))
            status = 0
        finally:
            sys.stdout.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder: Path) -> None:
    old_spool._PART_ROWS = 2

    for moment in range(1, 200):
        here = folder / str(moment)
        assert in_child(prepare, here) == 0
        ended = in_child(adopt_and_be_killed, here, moment)
        assert in_child(check, here) == 0, f"after moment {moment}"
        if ended == 0:
            return
        assert ended == -signal.SIGKILL, ended
    raise AssertionError("it never ends")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
