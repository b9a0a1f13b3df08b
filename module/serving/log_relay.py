"""Sends the module's log records to viam-server: each as one line, from the loop that owns the connection.

The SDK does it from a thread with an event loop of its own (viam-sdk 0.85.1, ``viam/logging.py``), over the very
connection through which resources are polled. An HTTP/2 connection has one state and no lock: under load the two loops
break it, and the polls that are under way fail with it. Here the SDK's worker is replaced by one that names the main
loop, before the SDK makes its own.

Names, errors and answers of others stand in the records. Whatever they hold, a record is one line of printable
characters: none of them can write a line of its own into the log, or speak to the terminal that shows it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import viam.logging

_MOST_CHARACTERS = 4000


def one_line(text: str) -> str:
    """The text in printable characters only, all others escaped as in a Python string; cut where it is very long."""
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[: _MOST_CHARACTERS - 1]}…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class _Record(logging.LogRecord):
    """A record whose name and message are one line each. A traceback, of the module's own defects, has several."""

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(one_line(name), *args, **kwargs)
        if self.exc_info is not None and self.exc_info[0] is not None:
            # The SDK sends the traceback as text only if somebody has made one; viam-sdk 0.85.1, ``viam/logging.py``.
            lines = logging.Formatter().formatException(self.exc_info).split("\n")
            self.exc_text = "\n".join(one_line(line) for line in lines)

    def getMessage(self) -> str:  # noqa: N802, the name is logging's
        return one_line(super().getMessage())


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
    """Make records one line each, and the SDK's log handlers use the running loop; before the module serves."""
    logging.setLogRecordFactory(_Record)
    worker = _MainLoop(asyncio.get_running_loop())
    viam.logging._SingletonEventLoopThread = lambda: worker  # type: ignore[assignment, misc, return-value]  # noqa: SLF001
