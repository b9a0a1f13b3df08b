"""The least that uploads over libcurl can cost: pycurl on the event loop, and nothing of a gRPC client around it.

Its messages have their prefix already; answers are dropped unread. Its arguments are the port, the one with TLS, and
the file of the authority to trust there.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import time
from typing import Any

import pycurl

from benchmarks.processes import serve
from benchmarks.subjects.callee import SERVICE
from module.network import tls as trust
from module.network.framing import Serialised, framed

_HEADERS = ["content-type: application/grpc", "te: trailers", "Accept:", "Expect:"]


class Uploader:
    """Uploads over one connection to one server."""

    def __init__(self, origin: str, authority: str) -> None:
        self._url, self._authority = f"{origin}/{SERVICE}/Call", authority
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[pycurl.Curl, asyncio.Future[None]] = {}
        self._timer: asyncio.Handle | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1)

    async def work(self, left: Any, message: bytes) -> None:
        """Upload the message again and again, until nothing is left."""
        unsent = memoryview(b"")

        def read(size: int) -> bytes:
            nonlocal unsent
            piece, unsent = bytes(unsent[:size]), unsent[size:]
            return piece

        curl = self._handle()
        curl.setopt(pycurl.READFUNCTION, read)
        curl.setopt(pycurl.POSTFIELDSIZE_LARGE, len(message))
        for _ in left:
            unsent = memoryview(message)
            self._waiting[curl] = self._loop.create_future()
            self._multi.add_handle(curl)
            await self._waiting[curl]

    def _handle(self) -> pycurl.Curl:
        curl = pycurl.Curl()
        curl.setopt(pycurl.URL, self._url)
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.PIPEWAIT, 1)
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE)
        curl.setopt(pycurl.HTTPHEADER, _HEADERS)
        curl.setopt(pycurl.WRITEFUNCTION, lambda _: None)
        if self._authority:
            trust.verify(curl, {"SSL_CERT_FILE": self._authority})
        return curl

    def _watch(self, what: int, fd: int, _multi: pycurl.CurlMulti, _data: Any) -> None:
        self._loop.remove_reader(fd)
        self._loop.remove_writer(fd)
        if what in (pycurl.POLL_IN, pycurl.POLL_INOUT):
            self._loop.add_reader(fd, self._act, fd, pycurl.CSELECT_IN)
        if what in (pycurl.POLL_OUT, pycurl.POLL_INOUT):
            self._loop.add_writer(fd, self._act, fd, pycurl.CSELECT_OUT)

    def _set_timer(self, milliseconds: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        act = functools.partial(self._act, pycurl.SOCKET_TIMEOUT, 0)
        self._timer = None if milliseconds < 0 else self._loop.call_later(milliseconds / 1000, act)

    def _act(self, fd: int, events: int) -> None:
        self._multi.socket_action(fd, events)
        _, well, badly = self._multi.info_read()
        for curl in well:
            self._multi.remove_handle(curl)
            self._waiting.pop(curl).set_result(None)
        for curl, _, words in badly:
            self._multi.remove_handle(curl)
            self._waiting.pop(curl).set_exception(RuntimeError(words))

    def close(self) -> None:
        """Hang up."""
        self._multi.close()


async def main() -> None:
    """Serve until the standard input ends."""
    port, tls_port, authority = sys.argv[1:]

    async def uploads(count: int, size: int, at_once: int, tls: bool) -> dict[str, float]:
        # A connection for each job: between two of them the server would end it, and libcurl would not see that.
        uploader = Uploader(
            f"https://localhost:{tls_port}" if tls else f"http://127.0.0.1:{port}", authority if tls else ""
        )
        left, message, begun = iter(range(count)), framed(Serialised(bytes(size))).SerializeToString(), time.monotonic()
        await asyncio.gather(*(uploader.work(left, message) for _ in range(at_once)))
        uploader.close()
        return {"seconds": time.monotonic() - begun}

    await serve({"uploads": uploads})


if __name__ == "__main__":
    asyncio.run(main())
