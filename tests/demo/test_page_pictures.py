"""The page's filmstrips, boxes and point clouds in a headless Chromium."""

from __future__ import annotations

from typing import Any

import pytest

from tests.demo import arrivals
from tests.demo.browser import Browser, missing
from tests.demo.page_run import Run, T, focus_and_press, texts

EVENT = {
    "name": "front",
    "id": "event",
    "interval_s": 0.5,
    "gate": {"sensor": "conveyor", "key": "jam", "before_s": 3, "after_s": 1},
}
PARTS = {"name": "front", "id": "parts", "interval_s": 0.5, "gate": {"vision": "inspector"}}
BOX = ("valve", 0.92, 0.25, 0.5, 0.5, 0.75)
INK = (
    "const canvas = document.querySelector('#cloud'), data = canvas.getContext('2d')"
    ".getImageData(0, 0, canvas.width, canvas.height).data;"
    "let drawn = 0, sum = 0; for (let at = 0; at < data.length; at += 4)"
    " if (data[at + 3]) { drawn += 1; sum = (sum * 31 + at) % 1000003; } return [drawn, sum, data.length / 4];"
)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]


# ---------------------------------------------------------------------- filmstrips


async def test_an_event_is_a_strip_of_what_came_before_the_trigger_and_after_it(run: Run) -> None:
    """One strip, though some frames of it were missed."""
    run.chronicle.begin([{"name": "conveyor"}, EVENT])
    held = [(T + tenth / 5, {"jam": 20 <= tenth < 30}) for tenth in range(45)]
    run.arrivals.append(arrivals.rows("conveyor", "conveyor", held))
    frames = [T + 1.2 + number / 2 for number in range(14) if number not in (8, 9)]
    run.arrivals += [arrivals.image(run.picture(), "event", at) for at in frames]
    early = sum(at < T + 4 for at in frames)

    def see(browser: Browser) -> None:
        assert texts(browser, "#takes .moment") == ["conveyor: jam"]
        heading = "".join(texts(browser, "#takes .take-head"))
        assert heading == f"eventconveyor: jam at 4.0 s{early} before it, {12 - early} after"
        order = "return [...document.querySelectorAll('#takes .strip li')].map((one) => one.className)"
        assert browser.run(order) == ["early"] * early + ["moment"] + [""] * (12 - early)
        assert texts(browser, "#takes figcaption")[early - 1 : early + 1] == ["\N{MINUS SIGN}0.3 s", "+0.2 s"]

    await run.look(see)


async def test_a_trigger_command_is_the_moment_of_its_strip(run: Run) -> None:
    run.chronicle.begin([EVENT])
    run.now = T + 10
    run.chronicle.trigger(["event"])
    run.arrivals += [arrivals.image(run.picture(), "event", T + 8.1 + number / 2) for number in range(6)]
    await run.look(lambda browser: _equal(texts(browser, "#takes .moment"), ["trigger command"]), width=390)


def _equal(given: Any, expected: Any) -> None:
    assert given == expected


async def test_two_openings_soon_after_one_another_are_two_strips(run: Run) -> None:
    run.chronicle.begin([EVENT])
    for at in (T + 4, T + 8):
        run.now = at
        run.chronicle.trigger(["event"])
    run.arrivals += [arrivals.image(run.picture(), "event", T + 2.1 + number / 2) for number in range(16)]

    def see(browser: Browser) -> None:
        heads = [head.removeprefix("event") for head in texts(browser, "#takes .take-head")]
        assert heads == ["trigger command at 8.0 s6 before it, 4 after", "trigger command at 4.0 s4 before it, 2 after"]

    await run.look(see)


async def test_boxes_and_labels_lie_on_the_frames_that_carry_them(run: Run) -> None:
    """In the strip, in the grid, and on the image when it is opened."""
    run.chronicle.begin([PARTS])
    run.arrivals.append(arrivals.image(run.picture(), "parts", T + 1, boxes=[BOX]))
    run.arrivals.append(arrivals.image(run.picture(), "parts", T + 1.5))

    def see(browser: Browser) -> None:
        assert texts(browser, "#short-takes .take-head strong + span") == ["inspector: valve at 1.0 s"]
        for place in ("#short-takes", "#grid"):
            browser.run("document.querySelector(arguments[0]).scrollIntoView()", place)
            browser.until(lambda: browser.run(f"return document.querySelector('{place} .boxes rect')"))  # noqa: B023
            assert _share(browser, f"{place} .boxes rect", f"{place} .framed:has(.boxes)") == pytest.approx(
                [0.25, 0.5, 0.5, 0.75], abs=0.02
            )
            assert browser.run(f"return document.querySelectorAll('{place} .boxes').length") == 1
        assert texts(browser, "#short-takes .boxes text") == ["valve 92 %"]
        browser.click("#short-takes button")
        browser.until(lambda: browser.run("return document.querySelector('.stage .boxes rect')"))
        assert _share(browser, ".stage .boxes rect", ".stage .boxes", box="meet") == pytest.approx(
            [0.25, 0.5, 0.5, 0.75], abs=0.02
        )
        assert "valve 92 %" in browser.text("#viewer-facts")
        browser.press("\ue00c")  # Escape

    await run.look(see)


def _share(browser: Browser, inner: str, outer: str, *, box: str = "") -> list[float]:
    """Left, top, right and bottom of an element within another, in its widths and heights."""
    script = (
        "const [a, b] = [0, 1].map((at) => document.querySelector(arguments[at]).getBoundingClientRect());"
        "let [x, y, w, h] = [b.left, b.top, b.width, b.height];"
        # A picture that is shown whole leaves room at two sides.
        "if (arguments[2]) { const s = Math.min(w / 320, h / 240); x += (w - 320 * s) / 2; y += (h - 240 * s) / 2;"
        " w = 320 * s; h = 240 * s; }"
        "return [(a.left - x) / w, (a.top - y) / h, (a.right - x) / w, (a.bottom - y) / h];"
    )
    return list(browser.run(script, inner, outer, box))


# ---------------------------------------------------------------------- point clouds


@pytest.mark.parametrize("form", ["binary", "ascii"])
async def test_a_point_cloud_turns_and_comes_nearer(run: Run, form: str) -> None:
    run.chronicle.begin([{"name": "depth"}])
    path = run.folder / "ball.pcd"
    path.write_bytes(arrivals.pcd(100_000, form))
    run.arrivals.append(arrivals.point_cloud(path, "depth-cloud", T + 1))

    def see(browser: Browser) -> None:
        browser.run("document.querySelector('#cloud').scrollIntoView({block: 'center'})")
        browser.until(lambda: browser.text("#cloud-facts").endswith("100,000 points"))
        drawn, first, pixels = browser.until(lambda: (ink := browser.run(INK))[0] and ink)
        # A ball fills its middle, and leaves the corners.
        assert 0.05 < drawn / pixels < 0.6
        focus_and_press(browser, "#cloud", "\ue014", "\ue014")  # the right arrow
        browser.until(lambda: browser.run(INK)[1] != first)
        browser.press("+")
        browser.until(lambda: browser.run(INK)[0] > 1.1 * drawn)
        browser.press("\ue011")  # Home
        browser.until(lambda: browser.run(INK)[1] == first)
        drag = (
            "const canvas = document.querySelector('#cloud'), box = canvas.getBoundingClientRect();"
            "const at = (kind, x) => canvas.dispatchEvent(new PointerEvent(kind, {pointerId: 1, clientX: box.left + x,"
            " clientY: box.top + 90, bubbles: true})); canvas.setPointerCapture = () => {};"
            "at('pointerdown', 100); at('pointermove', 160); at('pointerup', 160);"
        )
        browser.run(drag)
        browser.until(lambda: browser.run(INK)[1] != first)

    await run.look(see)


async def test_a_frame_of_100_000_points_leaves_room_for_60_a_second(run: Run) -> None:
    """In the time of its thread, whatever else this computer does; and the first one for half a second."""
    run.chronicle.begin([{"name": "depth"}])
    path = run.folder / "ball.pcd"
    path.write_bytes(arrivals.pcd(100_000, "binary"))
    run.arrivals.append(arrivals.point_cloud(path, "depth-cloud", T + 1))

    def see(browser: Browser) -> None:
        browser.devtools("Performance.enable", timeDomain="threadTicks")
        before = _script_s(browser)
        browser.run("document.querySelector('#cloud').scrollIntoView({block: 'center'})")
        browser.until(lambda: browser.run(INK)[0])
        assert _script_s(browser) - before < 0.5
        turn = (
            "(async () => { const canvas = document.querySelector('#cloud');"
            " for (let turn = 0; turn < 60; turn += 1) {"
            " canvas.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}));"
            " await new Promise(requestAnimationFrame); } })()"
        )
        before = _script_s(browser)
        browser.evaluate(turn)
        assert (_script_s(browser) - before) / 60 < 1 / 60

    await run.look(see)


def _script_s(browser: Browser) -> float:
    metrics = browser.devtools("Performance.getMetrics")["metrics"]
    return next(float(metric["value"]) for metric in metrics if metric["name"] == "ScriptDuration")


async def test_what_is_no_point_cloud_is_told_in_words(run: Run) -> None:
    run.chronicle.begin([{"name": "depth"}])
    (run.folder / "broken.pcd").write_bytes(b"VERSION .7\nFIELDS x y\nPOINTS 1\nDATA ascii\n1 2\n")
    run.arrivals.append(arrivals.point_cloud(run.folder / "broken.pcd", "depth-cloud", T + 1))

    def see(browser: Browser) -> None:
        browser.run("document.querySelector('#cloud').scrollIntoView()")
        browser.until(lambda: browser.text("#cloud-facts").endswith("cannot be shown: this PCD has no field z"))

    await run.look(see)
