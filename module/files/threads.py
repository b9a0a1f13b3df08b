"""Threads for blocking work on files. Each folder has a few, so that a folder that hangs delays no other.

They are daemons, and end once there is nothing to do. A network share that never answers blocks only the threads of its
folder. These outlive the service, so that its next instance makes no more of them.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from module.errors import FileUnavailable

MOST_THREADS = 4
"""Limit of threads for one folder."""
ANSWER_S = 5.0
"""Seconds after which a disk that has not answered counts as hanging."""
_IDLE_S = 10.0

_T = TypeVar("_T")
_Job = Callable[[], None]


class _Threads:
    """The threads of one folder."""

    def __init__(self) -> None:
        self._jobs: collections.deque[_Job] = collections.deque()
        self._ready = threading.Condition()
        self._count = 0
        self._idle = 0
        self._begun: dict[int, float] = {}
        """By thread, the monotonic time at which it began its present work."""

    def put(self, job: _Job) -> None:
        with self._ready:
            self._jobs.append(job)
            if len(self._jobs) > self._idle and self._count < MOST_THREADS:
                self._count += 1
                threading.Thread(target=self._work, name="courier-files", daemon=True).start()
            self._ready.notify()

    def _work(self) -> None:
        while True:
            with self._ready:
                self._begun.pop(threading.get_ident(), None)
                self._idle += 1
                found = self._ready.wait_for(lambda: self._jobs, timeout=_IDLE_S)
                self._idle -= 1
                if not found:
                    self._count -= 1
                    return
                job = self._jobs.popleft()
                self._begun[threading.get_ident()] = time.monotonic()
            job()

    @property
    def are_at_rest(self) -> bool:
        with self._ready:
            return not self._count and not self._jobs

    @property
    def hang(self) -> bool:
        with self._ready:
            late = time.monotonic() - ANSWER_S
            return sum(begun < late for begun in self._begun.values()) == MOST_THREADS


_FOLDERS: dict[str, _Threads] = {}


def _threads_of(folder: str) -> _Threads:
    threads = _FOLDERS.get(folder)
    if threads is None:
        for path in [path for path, each in _FOLDERS.items() if each.are_at_rest]:
            del _FOLDERS[path]
        threads = _FOLDERS[folder] = _Threads()
    return threads


def start(folder: str, work: Callable[..., _T], *args: Any) -> asyncio.Future[_T]:
    """Run blocking work on the files of a folder in a thread of that folder; returns a future of its result.

    To cancel the future takes back work that has not begun. Raises FileUnavailable if all threads of the folder hang.
    """
    threads = _threads_of(folder)
    if threads.hang:
        raise FileUnavailable(f"{folder!r} does not answer")
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def job() -> None:
        if done.cancelled():
            return
        settle: Callable[[], None]
        try:
            result = work(*args)
        except BaseException as error:  # noqa: BLE001, whatever it is, who asked must learn of it
            problem = error
            settle = lambda: None if done.done() else done.set_exception(problem)  # noqa: E731
        else:
            settle = lambda: None if done.done() else done.set_result(result)  # noqa: E731
        # The loop may have gone meanwhile, and with it whoever asked.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle)

    threads.put(job)
    return done


async def answer(folder: str, work: Callable[..., _T], *args: Any, within_s: float = ANSWER_S) -> _T:
    """Run quick work on the files of a folder, and return its result; raises as ``start`` and as ``work`` do.

    Raises FileUnavailable if there is no answer within ``within_s`` seconds.
    """
    done = start(folder, work, *args)
    try:
        return await within(folder, done, within_s)
    finally:
        # Nobody asks for a late result, nor for a late error.
        done.cancel()


async def within(folder: str, done: asyncio.Future[_T], seconds: float) -> _T:
    """Wait for a future of ``start``; raises FileUnavailable if there is no answer within ``seconds``.

    The future is not cancelled then.
    """
    await asyncio.wait({done}, timeout=seconds)
    if not done.done():
        raise FileUnavailable(f"{folder!r} has not answered for {seconds:g} s")
    return done.result()


class LongWork:
    """Does work on the files of one folder that may take long, and notices if the disk does not answer meanwhile."""

    def __init__(self, folder: str, late: Callable[[], None]) -> None:
        """``late`` is called on the event loop, again and again while the work makes no step for ``ANSWER_S``."""
        self._folder = folder
        self._late = late
        self.taken = 0
        """The steps so far."""

    def step(self) -> None:
        """Note, as the work, that the disk has answered."""
        self.taken += 1

    def steps(self, items: Iterable[_T]) -> Iterator[_T]:
        """Yield the items for the work; each is a step."""
        for item in items:
            yield item
            self.step()

    async def do(self, work: Callable[..., _T], *args: Any, step_s: float = 0.0) -> _T:
        """Do work in a thread of the folder, and return its result; raises as ``start`` and as ``work`` do.

        ``step_s``: the seconds that a step may take beyond ``ANSWER_S``.
        """
        done = start(self._folder, work, *args)
        try:
            while not done.done():
                before = self.taken
                await asyncio.wait({done}, timeout=ANSWER_S + step_s)
                if not done.done() and self.taken == before:
                    self._late()
            return done.result()
        finally:
            # If whoever waits is cancelled, nobody asks for the result.
            done.cancel()


def close(folder: str, descriptor: int) -> None:
    """Close a file of a folder; returns at once, and a thread closes it as soon as the folder allows."""
    # Even this may hang: it sends a message to the server of a network share.
    _threads_of(folder).put(lambda: _closed(descriptor))


def _closed(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.close(descriptor)
