"""Sends the module's log records to viam-server: each as one line, from the loop that owns the connection.

The SDK sends them from a thread that has another event loop (viam-sdk 0.85.1, ``viam/logging.py``), but over the
connection that polls use too. An HTTP/2 connection has one state and no lock. Under load the two loops break it, and
running polls fail. So this file replaces the SDK's worker by one that uses the main loop, before the SDK makes its own.

Records contain names, errors and answers of others. A record is always one line of printable characters, so none of
these can forge another line of the log, or send control sequences to a terminal.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import viam.logging

_MOST_CHARACTERS = 4000


def one_line(text: str) -> str:
    """Return the text with all but printable characters escaped as in a Python string; cut if it is very long."""
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[: _MOST_CHARACTERS - 1]}…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class _Record(logging.LogRecord):
    """A record whose name and message are one line each. Only tracebacks, of the module's own defects, have several."""

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(one_line(name), *args, **kwargs)
        if self.exc_info is not None and self.exc_info[0] is not None:
            # The SDK sends the traceback as text only if somebody has made one; viam-sdk 0.85.1, ``viam/logging.py``.
            lines = logging.Formatter().formatException(self.exc_info).split("\n")
            self.exc_text = "\n".join(one_line(line) for line in lines)

    def getMessage(self) -> str:  # noqa: N802, the name is logging's
        return one_line(super().getMessage())


class _MainLoop:
    """Replaces ``viam.logging._SingletonEventLoopThread``."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def wait_until_ready(self) -> None:
        """Do nothing: the loop runs."""

    def stop(self) -> None:
        """Do nothing: the loop belongs to the main program."""


def install() -> None:
    """Make each record one line, and make the SDK's log handlers use the running loop. Call it before serving."""
    logging.setLogRecordFactory(_Record)
    worker = _MainLoop(asyncio.get_running_loop())
    viam.logging._SingletonEventLoopThread = lambda: worker  # type: ignore[assignment, misc, return-value]  # noqa: SLF001
