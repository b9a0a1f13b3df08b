"""The page for everybody: WCAG 2.2 AA by axe-core, the keyboard, less motion; and the page as one file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.demo import arrivals
from tests.demo.browser import Browser, missing
from tests.demo.page_run import Run, T, focus_and_press, texts

AXE = Path(__file__).with_name("node_modules") / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOOKS = [(width, colours) for width in (390, 1440) for colours in ("light", "dark")]
EVENT = {"name": "front", "id": "event", "interval_s": 0.5, "gate": {"sensor": "conveyor", "key": "jam", "before_s": 3}}
BOX = ("valve", 0.92, 0.25, 0.5, 0.5, 0.75)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]


def _everything(run: Run) -> None:
    """Something of each kind that the page shows, an outage among them."""
    run.chronicle.begin([{"name": "conveyor"}, EVENT, {"name": "depth", "interval_s": 1}])
    readings = [
        (T + tenth / 5, {"jam": 20 <= tenth < 30, "speed_m_s": tenth / 9, "mode": "auto"}) for tenth in range(45)
    ]
    run.arrivals.append(arrivals.rows("conveyor", "conveyor", readings))
    run.arrivals.append(arrivals.rows("conveyor", "conveyor-slow", readings[::9]))
    for number in range(12):
        run.arrivals.append(arrivals.image(run.picture(), "event", T + 1 + number / 2, boxes=[BOX] * (number % 2)))
        run.arrivals.append(arrivals.image(run.picture(), "depth", T + number, name=("color", "depth")[number % 2]))
    path = run.folder / "ball.pcd"
    path.write_bytes(arrivals.pcd(2000, "binary"))
    run.arrivals.append(arrivals.point_cloud(path, "depth-cloud", T + 1))
    run.file("host-log_1.ndjson", b'{"readings": {"load": 1}}\n' * 30, "host-log")
    run.file("note.txt", b"a text\n")
    for second, action in ((1, run.chronicle.cloud_leaves), (3, run.chronicle.cloud_returns)):
        run.now = T + second
        action()
        run.chronicle.note("pause front")
        run.chronicle.sample(_status(10 * second), handed_in=0)
    run.now = T + 9


def _status(captured: int) -> dict[str, Any]:
    sources = {"front": {"captured": captured}, "depth": {"captured": 90}}
    return {"sources": sources, "folders": {}, "spool": {"items": 7, "bytes": 900}}


def _violations(browser: Browser) -> list[str]:
    options = json.dumps({"runOnly": RULES, "resultTypes": ["violations"]})
    found = browser.evaluate(f"axe.run(document, {options}).then((result) => result.violations)")
    return [f"{one['id']}: {node['html'][:160]} {node['any'][:1]}" for one in found for node in one["nodes"]]


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core: npm ci --prefix tests/demo installs it")
@pytest.mark.parametrize(("width", "colours"), LOOKS)
async def test_the_page_meets_wcag_2_2_aa(run: Run, width: int, colours: str) -> None:
    """Also with a file opened in place, while the cloud is away, at the end, and with an image opened."""
    _everything(run)

    def see(browser: Browser) -> None:
        browser.evaluate(AXE.read_text())
        browser.run("document.querySelector('#cloud').scrollIntoView()")
        browser.until(lambda: browser.text("#cloud-facts").endswith("2,000 points"))
        for row in (3, 1):
            browser.click(f"#files tbody tr:nth-child({row}) button, #files tbody tr:nth-child({row - 1}) button")
        browser.until(lambda: len(texts(browser, "#files .below [role=region]")) == 2)
        assert _violations(browser) == []
        run.chronicle.cloud_leaves()
        browser.until(lambda: "the cloud has been away" in browser.text("#state"))
        assert _violations(browser) == []
        run.chronicle.cloud_returns()
        run.chronicle.end([])
        browser.until(lambda: "ended" in browser.text("#state"))
        assert _violations(browser) == []
        browser.run("document.querySelector('#grid button').click()")
        assert _violations(browser) == []
        browser.press("\ue00c")  # Escape

    await run.look(see, width=width, colours=colours)


async def test_everything_that_a_pointer_does_a_keyboard_does_too(run: Run) -> None:
    """Each control is reached by Tab, is seen to have the focus, and answers to Enter."""
    _everything(run)

    def see(browser: Browser) -> None:
        browser.until(lambda: browser.run("return document.querySelectorAll('#grid button').length") == 24)
        controls = "main :is(button, a[href], canvas, .strip, svg.chart), header :is(button, input:checked)"
        expected = browser.run(
            f"return [...document.querySelectorAll({json.dumps(controls)})]"
            ".filter((one) => one.checkVisibility() && !one.disabled).length"
        )
        reached = 0
        browser.run("window.reached = new Set(); document.activeElement.blur(); scrollTo(0, 0)")
        while reached < expected:
            browser.press("\ue004")  # Tab
            count = browser.run(
                "const one = document.activeElement; window.reached.add(one);"
                "const seen = one.matches('.theme input') ? one.nextElementSibling : one;"
                "return one === document.body || getComputedStyle(seen).outlineStyle === 'none' ? -1 : reached.size"
            )
            assert count > reached
            reached = count
        focus_and_press(browser, "#files tbody tr:first-child button", "\ue007")  # Enter
        browser.until(lambda: texts(browser, "#files .below pre") == ["a text\n"])
        focus_and_press(browser, "#takes .strip button", "\ue007")
        assert browser.run("return document.querySelector('#viewer').open")
        browser.press("\ue00c")  # Escape: the focus goes back to where it was
        browser.until(lambda: browser.run("return document.activeElement.matches('#takes .strip button')"))

    await run.look(see)


async def test_nothing_moves_for_who_wants_less_motion(run: Run) -> None:
    """Nor for anybody else, unless they move it."""
    _everything(run)
    moving = "return document.getAnimations().length"

    def see(browser: Browser) -> None:
        assert browser.run(moving) == 0
        browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
        assert browser.run(moving) == 0
        before = browser.run("return getComputedStyle(document.querySelector('#grid button')).transitionDuration")
        assert before == "0s"

    await run.look(see)


async def test_the_page_is_saved_as_one_file_with_what_it_shows(run: Run) -> None:
    """Without scripts, and without asking anybody for anything."""
    _everything(run)
    run.chronicle.end([])
    saved = run.folder / "saved.html"

    def see(browser: Browser) -> None:
        browser.devtools("Page.setDownloadBehavior", behavior="allow", downloadPath=str(run.folder))
        browser.run("document.querySelector('#cloud').scrollIntoView()")
        browser.until(lambda: browser.text("#cloud-facts").endswith("2,000 points"))
        shown = {
            selector: texts(browser, selector) for selector in ("#captured", "#sources td", "#grid strong", "#rate")
        }
        browser.run("document.querySelector('#save').click()")
        browser.until(lambda: [*run.folder.glob("capture-courier-*.html")])
        browser.until(lambda: not browser.run("return document.querySelector('#save').disabled"))
        (found,) = run.folder.glob("capture-courier-*.html")
        found.rename(saved)
        assert browser.complaints() == []
        browser.open("about:blank")
        browser.requests()
        browser.open(saved.as_uri())
        loaded = "return [...document.images].every((one) => one.complete && one.naturalWidth)"
        browser.until(lambda: browser.run(loaded))
        assert browser.run("return document.images.length") == 1 + 12 + 24 + 1
        assert {selector: texts(browser, selector) for selector in shown} == shown
        assert browser.run("return document.querySelectorAll('#plots path, #timeline path').length") > 5
        assert browser.run("return document.querySelectorAll('script, dialog').length") == 0
        assert [url for url in browser.requests() if not url.startswith(("data:", saved.as_uri()))] == []

    await run.look(see)
    assert not re.search(r"<script|\son\w+=|https?://(?!www\.w3\.org/)", saved.read_text())
