"""The page's server, asked over plain sockets, as browsers and as nobody should."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from viam.app.data_client import DataClient

from module.demo import page_server
from module.demo.chronicle import Chronicle
from module.demo.exhibit import Exhibit
from module.demo.page_server import PageServer
from module.local.cloud import LocalCloud
from tests.demo.test_exhibit import binary, rows

PAGE = Path(page_server.__file__).with_name("page")


@pytest.fixture
async def page(cloud: LocalCloud) -> AsyncIterator[PageServer]:
    async with PageServer(Exhibit(cloud.arrivals, Chronicle())) as page:
        yield page


async def raw(page: PageServer, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port(page))
    async with asyncio.timeout(10):
        writer.write(request)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    return answer


async def ask(
    page: PageServer, target: str, host: str | None = None, method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    wanted = host if host is not None else f"127.0.0.1:{port(page)}"
    head, _, body = (await raw(page, f"{method} {target} HTTP/1.1\r\nHost: {wanted}\r\n\r\n".encode())).partition(
        b"\r\n\r\n"
    )
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


def port(page: PageServer) -> int:
    return int(page.address.rstrip("/").rpartition(":")[2])


async def test_the_page_and_all_that_it_names_come_from_the_server(page: PageServer) -> None:
    """Nothing of it is elsewhere: no address in any file leads away."""
    status, headers, body = await ask(page, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    named = re.findall(r'(?:src|href)="([^"]+)"', body.decode())
    asked = set(named)
    while named:
        status, headers, body = await ask(page, named.pop())
        assert status == 200
        assert int(headers["Content-Length"]) == len(body) > 0
        assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", body)
        imported = set(re.findall(r'from "([^"]+)"', body.decode())) - asked
        asked |= imported
        named += imported
    assert asked == {f"/{path.name}" for path in PAGE.iterdir()} - {"/index.html"}


async def test_it_listens_on_loopback_alone(page: PageServer) -> None:
    assert [ipaddress.ip_address(s.getsockname()[0]).is_loopback for s in page._server.sockets] == [True]


@pytest.mark.parametrize("target", ["/", "/news", "/small/x", "/nothing"])
async def test_every_answer_forbids_what_the_page_does_not_need(page: PageServer, target: str) -> None:
    _, headers, _ = await ask(page, target)
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1]"])
async def test_a_browser_that_was_sent_here_under_another_name_gets_nothing(page: PageServer, host: str) -> None:
    status, _, body = await ask(page, "/news", host)
    assert status == 421
    assert b"arrivals" not in body


async def test_this_computer_may_be_called_localhost_at_any_port(page: PageServer) -> None:
    """As it is through a tunnel."""
    assert [(await ask(page, "/news", host))[0] for host in ("localhost", "LOCALHOST:9", "127.0.0.1:9")] == [200] * 3


async def test_requests_without_a_host_or_with_two_get_nothing(page: PageServer) -> None:
    two = b"Host: 127.0.0.1\r\nHost: evil.example\r\n"
    for headers in (b"", two):
        assert (await raw(page, b"GET / HTTP/1.1\r\n" + headers + b"\r\n")).startswith(b"HTTP/1.1 421 ")


@pytest.mark.parametrize(
    "target",
    [
        "/../page_server.py",
        "/%2e%2e/page_server.py",
        "/file/../../../../etc/passwd",
        "/file//etc/passwd",
        "//etc/passwd",
        "/file/",
        "/small",
        "/__init__.py",
        "/file/%00",
        "http://[",
    ],
)
async def test_no_address_leads_to_other_files(page: PageServer, target: str) -> None:
    status, _, body = await ask(page, target)
    assert status in (400, 404)
    assert len(body) < 100


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_nothing_can_be_changed(page: PageServer, method: str) -> None:
    assert (await ask(page, "/news", method=method))[0] == 405


async def test_a_head_has_no_body(page: PageServer) -> None:
    status, headers, body = await ask(page, "/", method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 1000


async def test_the_news_are_what_arrived_since(page: PageServer, client: DataClient) -> None:
    await rows(client, {"t": 1})
    await rows(client, {"t": 2})
    news = json.loads((await ask(page, "/news?after=1&sampled=0"))[2])
    assert [arrival["rows"][0][1] for arrival in news["arrivals"]] == [2]
    for query in ("after=-1", "after=x", "sampled=1e3"):
        assert (await ask(page, f"/news?{query}"))[0] == 400


async def test_an_image_comes_small_large_and_as_it_arrived(page: PageServer, client: DataClient) -> None:
    data = cv2.imencode(".jpg", np.full((600, 900, 3), 80, np.uint8))[1].tobytes()
    name = await binary(client, data, ".jpeg")
    _, headers, large = await ask(page, f"/large/{name}")
    assert (headers["Content-Type"], large) == ("image/jpeg", data)
    assert "sandbox" in headers["Content-Security-Policy"]
    _, headers, small = await ask(page, f"/small/{name}")
    assert headers["Content-Type"] == "image/jpeg"
    opened = cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR)
    assert opened is not None
    assert opened.shape == (240, 360, 3)
    _, headers, file = await ask(page, f"/file/{name}")
    assert file == data
    assert headers["Content-Disposition"].startswith("attachment; ")


async def test_depth_comes_in_colours_and_as_it_arrived(page: PageServer, client: DataClient) -> None:
    data = cv2.imencode(".png", np.full((60, 90), 1500, np.uint16))[1].tobytes()
    name = await binary(client, data, ".png")
    _, headers, large = await ask(page, f"/large/{name}")
    assert headers["Content-Type"] == "image/jpeg"
    assert large.startswith(b"\xff\xd8")
    assert (await ask(page, f"/file/{name}"))[2] == data


async def test_no_capture_is_given_to_a_browser_as_a_page(page: PageServer, client: DataClient) -> None:
    """Whatever a file claims to be, it is saved; what calls itself an image and is none is not shown."""
    script = b"<script>alert(1)</script>"
    for extension in (".html", ".svg", ".js"):
        name = await client.file_upload("part", script, file_name='a"b\r\nX: y', file_extension=extension)
        _, headers, body = await ask(page, f"/file/{name}")
        assert (headers["Content-Type"], body) == ("application/octet-stream", script)
        assert headers["Content-Disposition"].startswith('attachment; filename="a_b')
        assert "X" not in headers
        assert (await ask(page, f"/large/{name}"))[0] == 404
    name = await binary(client, script, ".jpeg")
    assert (await ask(page, f"/small/{name}"))[0] == 404
    assert (await ask(page, f"/large/{name}"))[1]["Content-Type"] == "image/jpeg"


async def test_a_file_of_any_name_can_be_saved(page: PageServer, client: DataClient) -> None:
    """A header has no letters but those of Latin 1."""
    name = await client.file_upload("part", b"x", file_name="日誌 é", file_extension=".txt")
    status, headers, body = await ask(page, f"/file/{name}")
    assert (status, body) == (200, b"x")
    assert headers["Content-Disposition"] == 'attachment; filename="__ _.txt"'


async def test_a_request_without_end_is_dropped(page: PageServer) -> None:
    with contextlib.suppress(ConnectionError):
        assert await raw(page, b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000) == b""
    assert (await ask(page, "/news"))[0] == 200


async def test_leaving_cuts_whoever_waits(cloud: LocalCloud) -> None:
    """A browser opens connections ahead of its need."""
    async with asyncio.timeout(30):
        async with PageServer(Exhibit(cloud.arrivals, Chronicle())) as page:
            reader, writer = await asyncio.open_connection("127.0.0.1", port(page))
            assert (await ask(page, "/news"))[0] == 200
        assert await reader.read() == b""
        writer.close()
    # Not by its port, which somebody else may have by now.
    assert not page._server.is_serving()
