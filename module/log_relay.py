"""Sends the module's log records to viam-server from the loop that owns the connection.

The SDK does it from a thread with an event loop of its own (viam-sdk 0.85.1, ``viam/logging.py``), over the very
connection through which resources are polled. An HTTP/2 connection has one state and no lock: under load the two loops
break it, and the polls that are under way fail with it. Here the SDK's worker is replaced by one that names the main
loop, before the SDK makes its own.
"""

from __future__ import annotations

import asyncio

import viam.logging


class _MainLoop:
    """Stands in for ``viam.logging._SingletonEventLoopThread``."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def wait_until_ready(self) -> None:
        """Nothing to wait for: it runs."""

    def stop(self) -> None:
        """Nothing to stop: whoever started the loop ends it."""


def install() -> None:
    """Make the SDK's log handlers use the running loop; to be called before the module serves."""
    worker = _MainLoop(asyncio.get_running_loop())
    viam.logging._SingletonEventLoopThread = lambda: worker  # type: ignore[assignment, misc, return-value]  # noqa: SLF001
