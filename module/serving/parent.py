"""Notices that viam-server has ended, so that the module closes the spool for the next viam-server.

viam-server is the process that started this one. If there is a script between them, it is the process that answers at
the machine's address. Both are checked each second; Linux also reports the end of a process at once. The checks are at
whole seconds of the loop's clock, together with the ticks of sources: most of what a check costs is that it wakes the
process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from viam.robot.client import RobotClient

_STARTED_BY = os.getppid()
_LOOK_S = 1.0


async def gone(machine: Callable[[], RobotClient | None]) -> None:
    """Return once the parent process has ended, or the machine refuses connections.

    The parent is that of the moment when this file was imported.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    with _reported(_STARTED_BY, ended):
        # Only now: a parent that ended before it was watched may have left its number to another process.
        while not (ended.done() or os.getppid() != _STARTED_BY or await _refuses(machine())):
            await asyncio.wait({ended}, timeout=_LOOK_S - loop.time() % _LOOK_S)


@contextlib.contextmanager
def _reported(pid: int, ended: asyncio.Future[None]) -> Iterator[None]:
    """Complete ``ended`` when the process ends, if the kernel can report it (Linux 5.3 and later)."""
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        yield
        return

    def report() -> None:
        # Called in each turn of the loop until the reader is removed.
        if not ended.done():
            ended.set_result(None)

    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, report)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _refuses(machine: RobotClient | None) -> bool:
    """Return whether the connection to the machine is closed and nobody listens at its address.

    A refused connection is not enough: a clean-up of /tmp may remove a socket that is in use.
    """
    if machine is None:
        return False
    try:
        async with asyncio.timeout(_LOOK_S):
            # Returns at once while the connection is open. The SDK has no public name for its channel, and asks
            # itself only every 10 s, by a request.
            await machine._channel.__connect__()  # noqa: SLF001
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except (OSError, TimeoutError):
        return False
    return False
