"""The page of what arrived, served over HTTP/1.1 on 127.0.0.1 to browsers of this computer.

It reads and never writes. No request can name a file: pages come from a fixed list, and arrivals are requested by
their id in the cloud. Only requests to this computer by name are answered, so that no other site can
make a browser read it; and captures are sent so that no browser runs anything in them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

from module.demo.exhibit import Exhibit
from module.demo.preview import is_deep, preview

_T = TypeVar("_T")

_PAGE = Path(__file__).with_name("page")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_SHOWN = {".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
"""Types that a browser may show; it may only save all others."""
_HOSTS = ("127.0.0.1", "localhost")
_REQUEST_S = 10.0
_SMALL_PIXELS = 360
_LARGE_PIXELS = 2048
_ALWAYS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Connection": "close",
}
_OF_A_CAPTURE = {"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, max-age=86400"}


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus
    media_type: str = "text/plain; charset=utf-8"
    body: bytes | Path = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class PageServer:
    """Serves one exhibit while it is entered, as an asynchronous context manager."""

    def __init__(self, exhibit: Exhibit) -> None:
        self._exhibit = exhibit
        self._pages = {
            f"/{path.name}": _Answer(
                HTTPStatus.OK, _TYPES[path.suffix], path.read_bytes(), {"Cache-Control": "no-cache"}
            )
            for path in _PAGE.iterdir()
            if path.suffix in _TYPES
        }
        self._pages["/"] = self._pages["/index.html"]
        self._requests: set[asyncio.Task[None]] = set()
        # One thread: pictures are made small one after the other, beside what the demo is about.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="page")
        self._server: asyncio.Server

    @property
    def address(self) -> str:
        """``http://127.0.0.1:PORT/``, from its start on."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"

    async def __aenter__(self) -> Self:
        """Listen on a free port of 127.0.0.1. Raises OSError."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening, and cut what is under way."""
        self._server.close()
        for request in self._requests:
            request.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)
        await asyncio.to_thread(self._worker.shutdown, cancel_futures=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = asyncio.create_task(self._serve(reader, writer), name="page request")
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)
        # Not in a finally: a request that is cut before its first step never gets there.
        request.add_done_callback(lambda _: writer.close())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the one request of a connection; a browser that goes away is none of our business."""
        try:
            async with asyncio.timeout(_REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
            method, answer = await self._understand(head)
            await self._send(writer, answer, with_body=method != "HEAD")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
            pass

    async def _understand(self, head: bytes) -> tuple[str, _Answer]:
        lines = head.decode("latin-1").split("\r\n")
        method, _, rest = lines[0].partition(" ")
        headers = [
            (name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])
        ]
        hosts = [value.rpartition(":")[0] or value for name, value in headers if name == "host"]
        if len(hosts) != 1 or hosts[0].lower() not in _HOSTS:
            return method, _refusal(HTTPStatus.MISDIRECTED_REQUEST, "this page is for browsers of this computer")
        if method not in ("GET", "HEAD"):
            return method, _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "nothing can be changed here")
        return method, await self._answer(rest.rpartition(" ")[0])

    async def _answer(self, target: str) -> _Answer:
        try:
            url = urlsplit(target)
        except ValueError:
            return _refusal(HTTPStatus.BAD_REQUEST, "no such address")
        if (page := self._pages.get(url.path)) is not None:
            return page
        if url.path == "/news":
            return await self._news(url.query)
        form, _, name = url.path.removeprefix("/").partition("/")
        path = await self._work(self._exhibit.path, name)
        if path is None or form not in ("small", "large", "file"):
            return _refusal(HTTPStatus.NOT_FOUND, "there is nothing of this name")
        if form == "file":
            attached = {**_OF_A_CAPTURE, "Content-Disposition": f'attachment; filename="{_plain(path.name)}"'}
            return _Answer(HTTPStatus.OK, "application/octet-stream", path, attached)
        return await self._picture(path, small=form == "small")

    async def _news(self, query: str) -> _Answer:
        asked = parse_qs(query)
        try:
            after, sampled = (int(asked.get(name, ["0"])[0]) for name in ("after", "sampled"))
            if min(after, sampled) < 0:
                raise ValueError  # noqa: TRY301 - as any other text that is no count
        except ValueError:
            return _refusal(HTTPStatus.BAD_REQUEST, "after and sampled are counts: whole numbers from 0 on")
        news = await self._work(self._exhibit.news, after, sampled)
        body = json.dumps(news, allow_nan=False, separators=(",", ":")).encode()
        return _Answer(HTTPStatus.OK, "application/json", body, {"Cache-Control": "no-store"})

    async def _picture(self, path: Path, *, small: bool) -> _Answer:
        """Return an image to be shown: small, or as it arrived if a browser can show that."""
        media_type = _SHOWN.get(path.suffix.lower())
        if media_type is None:
            return _refusal(HTTPStatus.NOT_FOUND, "this is no image")
        if not small and not await self._work(is_deep, path):
            return _Answer(HTTPStatus.OK, media_type, path, _OF_A_CAPTURE)
        made = await self._work(preview, path, _SMALL_PIXELS if small else _LARGE_PIXELS)
        if made is None:
            return _refusal(HTTPStatus.NOT_FOUND, "this image does not open")
        return _Answer(HTTPStatus.OK, "image/jpeg", made, _OF_A_CAPTURE)

    async def _work(self, work: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work, *args)

    async def _send(self, writer: asyncio.StreamWriter, answer: _Answer, *, with_body: bool) -> None:
        body = answer.body
        length = len(body) if isinstance(body, bytes) else (await self._work(body.stat)).st_size
        headers = {"Content-Type": answer.media_type, "Content-Length": str(length), **_ALWAYS, **answer.headers}
        lines = [f"HTTP/1.1 {answer.status.value} {answer.status.phrase}", *(f"{k}: {v}" for k, v in headers.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        if with_body and isinstance(body, bytes):
            writer.write(body)
        await writer.drain()
        if with_body and isinstance(body, Path):
            with _opened(body) as file:
                await asyncio.get_running_loop().sendfile(writer.transport, file)


def _opened(path: Path) -> BinaryIO:
    # Not by the worker: who is cancelled while it opens a file would never close it.
    return path.open("rb")


def _refusal(status: HTTPStatus, text: str) -> _Answer:
    return _Answer(status, body=f"{text}\n".encode())


def _plain(name: str) -> str:
    """A file name as it may stand in a header, between quotes."""
    return "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\' else "_" for letter in name
    )
