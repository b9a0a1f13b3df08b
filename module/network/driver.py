"""Runs libcurl on the event loop: its sockets and its timer become the loop's readers, writers and timers.

pycurl's ``AsyncCurlMulti`` is not used: it closes only within a coroutine, and cancels the futures of running
transfers, so that their tasks look cancelled.

- Nothing here blocks. libcurl resolves names in threads; only to wait for one of these, a thread is made here.
- libcurl's callbacks must not call libcurl. So a callback only notes what has come, and the loop then calls the waiter.
- A transfer that was added ends in one of two ways, once: its ``ended`` is called, or it is removed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from typing import Any

import pycurl

from module.network.sockets import IdleConnections

Ended = Callable[[int, str], None]
"""Called with libcurl's code (0: success) and its text."""
_MOST_STREAMS = 10_000
"""More than any server allows: its own limit is what counts."""


class Driver:
    """One multi handle. Made and used on one event loop."""

    def __init__(self, most_connections: int, *, tcp: bool) -> None:
        """``most_connections``: to one server; calls that do not fit on these connections wait.

        ``tcp``: not a unix socket; if the other end closes one of these, libcurl sees it by itself.
        """
        self._loop = asyncio.get_running_loop()
        self.turn = 0
        """How often libcurl has worked."""
        self._closed = self._may_resolve = False
        self._ended: dict[pycurl.Curl, Ended] = {}
        self._watched: dict[int, int] = {}
        self._idle = IdleConnections() if tcp else None
        self._soon: asyncio.Handle | None = None
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, _MOST_STREAMS)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, most_connections)

    def add(self, curl: pycurl.Curl, ended: Ended) -> None:
        """Begin a transfer; its first bytes leave after the callbacks that are ready now have run."""
        if self._idle is not None and not self._ended:
            self._idle.shut_ended()
        self._ended[curl] = ended
        self._multi.add_handle(curl)

    def remove(self, curl: pycurl.Curl) -> None:
        """End a transfer that has not ended; the other side gets RST_STREAM."""
        del self._ended[curl]
        self._note_resolving(curl)
        self._multi.remove_handle(curl)

    def sockets(self) -> Collection[int]:
        """The descriptors that transfers under way use now."""
        return self._watched.keys()

    def close(self) -> None:
        """Close all connections. All transfers must have been removed before."""
        for timer in (self._soon, self._timer):
            if timer is not None:
                timer.cancel()
        for fd in tuple(self._watched):
            self._watch(pycurl.POLL_REMOVE, fd, self._multi, None)
        self._closed = True
        if self._may_resolve:
            # libcurl waits until the name is resolved: for seconds, if no name server answers.
            threading.Thread(target=self._multi.close, name="courier-hang-up", daemon=True).start()
        else:
            self._multi.close()

    def _watch(self, what: int, fd: int, _multi: pycurl.CurlMulti, _data: Any) -> None:
        if self._closed:
            return
        wanted = 0 if what == pycurl.POLL_REMOVE else what
        changed = wanted ^ self._watched.get(fd, 0)
        if changed & pycurl.POLL_IN:
            if wanted & pycurl.POLL_IN:
                self._loop.add_reader(fd, self._act, fd, pycurl.CSELECT_IN)
            else:
                self._loop.remove_reader(fd)
        if changed & pycurl.POLL_OUT:
            if wanted & pycurl.POLL_OUT:
                self._loop.add_writer(fd, self._act, fd, pycurl.CSELECT_OUT)
            else:
                self._loop.remove_writer(fd)
        if wanted:
            self._watched[fd] = wanted
        else:
            self._watched.pop(fd, None)
            if self._idle is not None:
                self._idle.add(fd)

    def _set_timer(self, milliseconds: int) -> None:
        if self._closed:
            return
        # Each call sets a time and takes it back. So a timer of the loop stays until its time, and then looks.
        if milliseconds <= 0:
            self._due = None
            if milliseconds == 0 and self._soon is None:
                self._soon = self._loop.call_soon(self._time_is_up)
            return
        self._due = self._loop.time() + milliseconds / 1000
        if self._timer is not None:
            if self._timer.when() <= self._due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due <= self._loop.time():
            self._time_is_up()
        else:
            self._timer = self._loop.call_at(self._due, self._look)

    def _time_is_up(self) -> None:
        self._soon = self._due = None
        self._act(pycurl.SOCKET_TIMEOUT, 0)

    def _act(self, fd: int, events: int) -> None:
        self.turn += 1
        _, running = self._multi.socket_action(fd, events)
        if running == len(self._ended):
            return
        _, well, badly = self._multi.info_read()
        for curl in well:
            self._end(curl, 0, "")
        for curl, code, text in badly:
            self._end(curl, code, text)

    def _end(self, curl: pycurl.Curl, code: int, text: str) -> None:
        if code:
            self._note_resolving(curl)
        self._multi.remove_handle(curl)
        self._ended.pop(curl)(code, text)

    def _note_resolving(self, curl: pycurl.Curl) -> None:
        """Note if a transfer that is given up may leave a thread of libcurl that still resolves its name."""
        if curl.getinfo(pycurl.ACTIVESOCKET) < 0 and not curl.getinfo(pycurl.NAMELOOKUP_TIME):
            self._may_resolve = True
