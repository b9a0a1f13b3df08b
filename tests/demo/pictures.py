"""Takes README's pictures of the demo's page, from a demo that really runs: ``python -m tests.demo.pictures``.

Needs chromium and chromedriver. It writes ``docs/demo-outage.webp``, which moves, and two stills beside it. All that
arrived is shown again afterwards, step by step, so that the moving picture is even on a busy computer.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from module.demo.chronicle import Absence, Chronicle
from module.demo.exhibit import Exhibit
from module.demo.main import module_command
from module.demo.page_server import PageServer
from module.demo.story import Story
from module.local.calls import Arrival
from tests.demo.browser import Browser, missing

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SECONDS = 20
FILMED = (0.42 * SECONDS, 0.86 * SECONDS)
"""From when to when the moving picture goes: the outage, and some seconds on both sides."""
STEP_S, LAST_S = 0.3, 3.0
DESK, PHONE, FILM = (1440, 900), (390, 844), (1200, 800)
FILM_WIDTH = 960
QUALITY, STILL_QUALITY = 70, 88
MOST_BYTES = 1_500_000


class Replay:
    """A run that has ended, as it was at any time of it."""

    def __init__(self, arrivals: list[Arrival], run: Chronicle) -> None:
        self._all, self._run = list(arrivals), run
        self._arrivals: list[Arrival] = []
        self._then = Chronicle(clock=lambda: self._now)
        self._then.began, self._then.sources = run.began, run.sources
        self._now = run.began or 0.0
        self.exhibit = Exhibit(self._arrivals, self._then)

    def go_to(self, seconds: float) -> None:
        """Be so many seconds after the beginning; never earlier than before."""
        run, then = self._run, self._then
        at = self._now = (run.began or 0.0) + seconds
        self._arrivals += [one for one in self._all[len(self._arrivals) :] if one.when.timestamp() <= at]
        then.samples += [one for one in run.samples[len(then.samples) :] if one.at <= at]
        then.notes = [one for one in run.notes if one.at <= at]
        then.triggers = [one for one in run.triggers if one.at <= at]
        then.absences = [
            Absence(one.since, one.until if one.until is not None and one.until <= at else None)
            for one in run.absences
            if one.since <= at
        ]

    def go_to_the_end(self) -> None:
        """Be where the run was compared."""
        assert self._run.ended is not None
        self.go_to(self._run.ended - (self._run.began or 0.0))
        self._then.captured_by_source = self._run.captured_by_source
        self._then.ended, self._then.faults = self._run.ended, self._run.faults


async def main() -> None:
    """Run the demo, show it again, and write the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder), SECONDS, module_command(ROOT), ROOT)
        await story.tell()
        replay = Replay(list(story.exhibit._arrivals), story.exhibit._chronicle)
        async with PageServer(replay.exhibit) as page:
            await asyncio.to_thread(_take, page.address, replay, Path(folder) / "profile")


def _take(address: str, replay: Replay, profile: Path) -> None:
    with Browser(profile) as browser:
        _film(browser, address, replay)
        replay.go_to_the_end()
        _stills(browser, address)


def _film(browser: Browser, address: str, replay: Replay) -> None:
    browser.window(*FILM, "light")
    replay.go_to(FILMED[0])
    browser.open(address)
    steps = np.arange(*FILMED, STEP_S)
    frames = []
    for seconds in steps.tolist():
        replay.go_to(seconds)
        browser.until(lambda: browser.text("#captured-more") == f"in {seconds:.1f}\u202fs")  # noqa: B023 - asked at once
        picture = _picture(browser)
        height = round(picture.shape[0] * FILM_WIDTH / picture.shape[1])
        frames.append(cv2.resize(picture, (FILM_WIDTH, height), interpolation=cv2.INTER_AREA))
    animation = cv2.Animation()
    animation.frames = frames
    animation.durations = [round(1000 * STEP_S)] * (len(frames) - 1) + [round(1000 * LAST_S)]
    path = DOCS / "demo-outage.webp"
    cv2.imwriteanimation(str(path), animation, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    size = path.stat().st_size
    print(f"{path.name}: {len(frames)} pictures, {size / 1e6:.2f} MB")  # noqa: T201
    assert size < MOST_BYTES, "larger than a page should load"


def _stills(browser: Browser, address: str) -> None:
    browser.until(lambda: browser.text("#state").startswith("ended"))
    for name, size, colours, at in (
        ("demo-page.webp", DESK, "light", "#events"),
        ("demo-page-phone.webp", PHONE, "dark", ".top"),
    ):
        browser.window(*size, colours)
        browser.open(address)
        browser.until(lambda: browser.text("#state").startswith("ended"))
        browser.run("document.querySelector(arguments[0]).scrollIntoView()", at)
        browser.run("scrollBy(0, -20)")
        time.sleep(1.5)
        cv2.imwrite(str(DOCS / name), _picture(browser), [cv2.IMWRITE_WEBP_QUALITY, STILL_QUALITY])
        print(f"{name}: {(DOCS / name).stat().st_size / 1e3:.0f} kB")  # noqa: T201


def _picture(browser: Browser) -> npt.NDArray[Any]:
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        data = browser.screenshot(Path(file.name))
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture


if __name__ == "__main__":
    if missing():
        sys.exit(f"no pictures: {missing()}")
    asyncio.run(main())
