"""A run of the demo made by hand, and the page of it in a headless Chromium."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from module.demo.chronicle import Chronicle
from module.demo.exhibit import Exhibit
from module.demo.page_server import PageServer
from module.local.calls import Arrival
from tests.demo import arrivals
from tests.demo.browser import Browser

T = 1_763_712_000.0
"""When runs begin."""
TEXTS = "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)"


class Run:
    """What a test makes: arrivals, and how the run went; ``look`` at the page in another thread."""

    def __init__(self, folder: Path, browser: Browser) -> None:
        self.folder = folder
        self.arrivals: list[Arrival] = []
        self.chronicle = Chronicle(clock=lambda: self.now)
        self.now = T
        self.browser = browser

    async def look(self, see: Callable[[Browser], None], *, width: int = 1440, colours: str = "light") -> None:
        """Open the page, wait for all arrivals, and look at it."""
        async with PageServer(Exhibit(self.arrivals, self.chronicle)) as page:
            await asyncio.to_thread(self._open, page.address, width, colours)
            await asyncio.to_thread(see, self.browser)
            # A page that asks on after the end would complain that nobody answers.
            await asyncio.to_thread(self.browser.open, "about:blank")
        assert self.browser.complaints() == []

    def _open(self, address: str, width: int, colours: str) -> None:
        self.browser.window(width, 844 if width < 600 else 900, colours)
        self.browser.open(address)
        expected = f"in {len(self.arrivals):,} uploads"
        self.browser.until(lambda: expected in self.browser.text("#delivered-more"))

    def picture(self, name: str = "picture.jpeg") -> Path:
        """An image of 320 by 240 pixels."""
        path = self.folder / name
        if not path.exists():
            path.write_bytes(cv2.imencode(path.suffix, np.full((240, 320, 3), (90, 140, 60), np.uint8))[1].tobytes())
        return path

    def file(self, name: str, data: bytes, source: str = "outbox", at: float = T + 1) -> None:
        (self.folder / name).write_bytes(data)
        self.arrivals.append(arrivals.file(self.folder / name, source, at))


def texts(browser: Browser, selector: str) -> list[str]:
    """What each of these elements says."""
    return list(browser.run(TEXTS, selector))


def focus_and_press(browser: Browser, selector: str, *keys: str) -> None:
    browser.run("document.querySelector(arguments[0]).focus()", selector)
    for key in keys:
        browser.press(key)
