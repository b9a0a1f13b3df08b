"""The page in a headless Chromium, at the size of a phone and of a desktop, in light and in dark."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from viam.app.data_client import DataClient

from module.demo.chronicle import Chronicle
from module.demo.exhibit import Exhibit
from module.demo.page_server import PageServer
from module.local.cloud import LocalCloud
from tests.demo.browser import Browser, missing
from tests.local.rig import channel_to, client_on, local_cloud

ROOT = Path(__file__).parents[2]
LOOKS = [(width, height, colours) for width, height in ((390, 844), (1440, 900)) for colours in ("light", "dark")]
HOSTILE = '<img src=x onerror="console.error(1)"><script>console.error(2)</script>'
BACKGROUND = "return getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)"
RUN_S = 20
"""Long enough that a browser on a busy computer sees it grow several times before it ends."""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "profile") as browser:
        yield browser


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[LocalCloud]:
    cloud = local_cloud(tmp_path / "cloud")
    yield cloud
    await cloud.stop()


async def test_the_page_shows_what_arrived_and_takes_no_text_for_html(
    cloud: LocalCloud, browser: Browser, tmp_path: Path
) -> None:
    """Empty at first, then as it comes in, without being loaded again."""
    run = Chronicle()
    async with PageServer(Exhibit(cloud.arrivals, run)) as page, channel_to(await cloud.start()) as channel:
        run.begin()
        await asyncio.to_thread(_see_nothing, browser, page.address)
        client = await client_on(channel)
        started = time.time()
        for number in range(12):
            await _upload(client, number, started)
        run.cloud_leaves()
        run.cloud_returns()
        run.note(HOSTILE)
        run.sample(_status(captured=60), handed_in=0)
        await asyncio.to_thread(_see_all, browser, page.address, tmp_path)
        assert await asyncio.to_thread(_counts, browser) == _arrived(cloud)


def _see_nothing(browser: Browser, address: str) -> None:
    browser.window(390, 844, "light")
    browser.open(address)
    browser.until(lambda: browser.text("#state").startswith("running"))
    for name in ("rows", "images", "files"):
        assert browser.run(f"return !document.querySelector('#no-{name}').hidden")
    assert _counts(browser) == {"delivered": 0, "rows": 0, "images": 0, "clouds": 0, "files": 0}


def _see_all(browser: Browser, address: str, tmp_path: Path) -> None:
    browser.until(lambda: _counts(browser)["images"] == 24)
    for width, height, colours in LOOKS:
        browser.window(width, height, colours)
        browser.open(address)
        browser.until(lambda: _counts(browser)["images"] == 24)
        _everything_fits(browser, width)
        assert (max(browser.run(BACKGROUND)) < 60) is (colours == "dark")
        _open_and_close_an_image(browser, tmp_path / f"{width}-{colours}-viewer.png")
        shown = browser.screenshot(tmp_path / f"{width}-{colours}.png")
        assert cv2.imdecode(np.frombuffer(shown, np.uint8), cv2.IMREAD_COLOR).shape[:2] == (height, width)  # type: ignore[union-attr]
        assert browser.run("return document.querySelectorAll('#plots svg .line').length") >= 2
        assert browser.run("return document.querySelectorAll('#timeline .band').length") == 1
    _a_chart_tells_its_numbers(browser)
    _the_switch_wins_over_the_system(browser)
    _a_choice_of_sources(browser)
    assert HOSTILE in browser.text("body")
    assert browser.complaints() == []
    _asked_nobody_else(browser, address)


def _everything_fits(browser: Browser, width: int) -> None:
    beyond = (
        "return [...document.querySelectorAll('main *, header *')].filter((one) => !one.closest('.chips, .unseen')"
        " && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 80))"
    )
    assert browser.run(beyond) == []
    assert browser.run("return document.documentElement.scrollWidth") <= width


def _open_and_close_an_image(browser: Browser, screenshot: Path) -> None:
    browser.click("#grid button")
    loaded = "const one = document.querySelector('#viewer-image'); return one.complete && one.naturalWidth"
    assert browser.until(lambda: browser.run(loaded)) in (320, 64)
    first = browser.text("#viewer-facts")
    browser.screenshot(screenshot)
    browser.click("#viewer-older")
    browser.until(lambda: browser.run(loaded) and browser.text("#viewer-facts") != first)
    browser.press("\ue012")  # the left arrow
    browser.until(lambda: browser.run(loaded) and browser.text("#viewer-facts") == first)
    browser.click("#viewer-close")
    assert not browser.run("return document.querySelector('#viewer').open")
    browser.click("#grid button")
    browser.press("\ue00c")  # Escape
    browser.until(lambda: not browser.run("return document.querySelector('#viewer').open"))


def _a_chart_tells_its_numbers(browser: Browser) -> None:
    point = (
        "const chart = document.querySelector(arguments[0]), box = chart.getBoundingClientRect();"
        "chart.dispatchEvent(new PointerEvent('pointermove', {clientX: box.left + box.width * 0.9}));"
    )
    browser.run(point, "#timeline svg")
    assert re.fullmatch(r"\d+\.\d s: captured \d+, delivered 60", browser.text(".readout"))
    browser.run(point, "#plots .card:nth-child(2) svg")
    assert re.fullmatch(r"at \d+\.\d s: 1 %", browser.text("#plots .card:nth-child(2) .plot-head > span"))


def _the_switch_wins_over_the_system(browser: Browser) -> None:
    """And is remembered."""
    browser.click("#theme label:nth-of-type(2)")
    assert min(browser.run(BACKGROUND)) > 200
    browser.run("location.reload()")
    browser.until(lambda: browser.run("return document.querySelector('#theme input[value=light]').checked"))
    assert min(browser.run(BACKGROUND)) > 200
    browser.until(lambda: _counts(browser)["images"] == 24)


def _a_choice_of_sources(browser: Browser) -> None:
    browser.click("#chips button:nth-child(3)")
    captions = "return [...document.querySelectorAll('#grid strong')].map((one) => one.textContent)"
    assert browser.run(captions) == ["front"] * 12
    browser.click("#chips button:nth-child(1)")
    assert len(browser.run(captions)) == 24


def _asked_nobody_else(browser: Browser, address: str) -> None:
    urls = [url for url in map(urlsplit, browser.requests()) if url.scheme not in ("chrome", "data")]
    assert {f"{url.scheme}://{url.netloc}/" for url in urls} == {address}


def _counts(browser: Browser) -> dict[str, int]:
    selectors = {name: f"#count-{name}" for name in ("rows", "images", "clouds", "files")} | {"delivered": "#delivered"}
    return {name: int(browser.text(selector).replace(",", "")) for name, selector in selectors.items()}


def _arrived(cloud: LocalCloud) -> dict[str, int]:
    extensions = [arrival.metadata.file_extension for arrival in cloud.arrivals]
    rows = sum(len(arrival.rows) for arrival in cloud.arrivals)
    images = sum(extension in (".jpeg", ".png") for extension in extensions)
    clouds, files = extensions.count(".pcd"), extensions.count(".html")
    return {
        "delivered": rows + images + clouds + files,
        "rows": rows,
        "images": images,
        "clouds": clouds,
        "files": files,
    }


async def _upload(client: DataClient, number: int, started: float) -> None:
    """An image, a depth image, a point cloud, a file and a row, whose names are all but harmless."""
    at = datetime.fromtimestamp(started + number / 2, UTC)
    picture = np.full((240, 320, 3), (90 + 10 * number, 140, 60), np.uint8)
    depth = np.linspace(1000, 3000, 64 * 48).reshape(48, 64).astype(np.uint16)
    for data, extension, source in (
        (cv2.imencode(".jpg", picture)[1].tobytes(), ".jpeg", "front"),
        (cv2.imencode(".png", depth)[1].tobytes(), ".png", HOSTILE),
        (b"points", ".pcd", "points"),
    ):
        await client.binary_data_capture_upload(
            data, "part", "camera", HOSTILE, "GetImages", extension, tags=[source], data_request_times=(at, at)
        )
    await client.file_upload("part", b"text", file_name=f"{HOSTILE}{number}", file_extension=".html", tags=[HOSTILE])
    readings = {"cpu_percent": float(number % 5), HOSTILE: number / 3, "state": HOSTILE}
    await client.tabular_data_capture_upload(
        [{"readings": readings}], "part", "sensor", HOSTILE, "Readings", [(at, at)], tags=[HOSTILE]
    )


def _status(*, captured: int) -> dict[str, Any]:
    sources = {HOSTILE: {"captured": float(captured)}}
    return {"sources": sources, "folders": {}, "spool": {"items": 0.0, "bytes": 0.0}}


async def test_the_page_of_a_whole_demo_goes_with_it_to_its_end(browser: Browser, tmp_path: Path) -> None:
    """``--keep`` leaves it standing, with all that arrived."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "module", "demo", "--keep", f"--seconds={RUN_S}", f"--folder={tmp_path / 'kept'}"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(120):
            address = await _line_with_address(process.stdout)
            await asyncio.to_thread(_watch_it_grow, browser, address)
            assert await _line_with_address(process.stdout) == address
            counts = await asyncio.to_thread(_see_the_end, browser, address, tmp_path)
            process.send_signal(signal.SIGTERM)
            rest = (await process.stdout.read()).decode()
        assert await process.wait() == 0, rest
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    (run,) = (tmp_path / "kept").iterdir()
    stored = [path for path in (run / "cloud").rglob("*") if path.is_file()]
    images = [path for path in stored if path.suffix in (".jpeg", ".png", ".webp")]
    lines = [path for path in stored if path.name == "Readings.ndjson"]
    assert counts["images"] == len(images)
    assert counts["rows"] == sum(len(path.read_text().splitlines()) for path in lines)
    assert counts["clouds"] + counts["files"] == len(stored) - len(images) - len(lines)


async def _line_with_address(out: asyncio.StreamReader) -> str:
    while line := (await out.readline()).decode():
        if "page" in line and (found := re.search(r"http://127\.0\.0\.1:\d+/", line)):
            return found[0]
    raise EOFError("the demo ended before it told the page's address")


def _watch_it_grow(browser: Browser, address: str) -> None:
    browser.window(1440, 900, "dark")
    browser.open(address)
    delivered = 0
    for _ in range(4):
        before = delivered
        browser.until(lambda: _counts(browser)["delivered"] > before)  # noqa: B023 - asked before it changes
        delivered = _counts(browser)["delivered"]


def _see_the_end(browser: Browser, address: str, tmp_path: Path) -> dict[str, int]:
    browser.until(lambda: browser.text("#state") == "ended: all that was captured was delivered")
    assert browser.text("#captured") == browser.text("#delivered")
    assert browser.text("#waiting") == "0"
    assert browser.text("#away-more") == "nothing was lost"
    assert browser.run("return document.querySelectorAll('#timeline .band').length") == 1
    browser.screenshot(tmp_path / "demo.png")
    assert browser.complaints() == []
    _asked_nobody_else(browser, address)
    return _counts(browser)
