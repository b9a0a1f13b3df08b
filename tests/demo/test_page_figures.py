"""The page's files, names, plots and timeline in a headless Chromium."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.demo import arrivals
from tests.demo.browser import Browser, missing
from tests.demo.page_run import Run, T, focus_and_press, texts

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]


# ---------------------------------------------------------------------- files and names


async def test_files_open_where_they_stand_rows_as_a_table_and_texts_as_texts(run: Run) -> None:
    run.chronicle.begin([{"name": "host", "id": "host-log"}])
    line = '{"time_requested": "2025-11-21T08:00:0%d.5Z", "readings": {"load": %d, "deep": {"a": 1}}}\n'
    run.file("host-log_2025-11-21T08-00-00Z.ndjson", "".join(line % (n, n) for n in range(3)).encode(), "host-log")
    run.file("note.html", b"<b id=evil>a text</b>")
    run.file("long.log", b"x" * 200_000)
    run.file("large.bin", b"\x00" * 10)

    def see(browser: Browser) -> None:
        names = texts(browser, "#files td.name")
        assert names[:3] == ["large.bin", "long.log", "note.html"]
        assert names[3].startswith("host-log ")
        for row in (4, 3, 2):
            browser.click(f"#files tbody tr:nth-child({row}) button")
        browser.until(lambda: len(texts(browser, "#files .below [role=region]")) == 3)
        assert texts(browser, "#files .rows th") == ["time", "load", "deep"]
        assert [cells[1:] for cells in browser.run(CELLS)] == [[str(n), '{"a":1}'] for n in range(3)]
        assert texts(browser, "#files pre")[-1] == "<b id=evil>a text</b>"
        assert len(texts(browser, "#files pre")[0]) == 64 * 1024
        assert "The first 65.5 kB of 200.0 kB." in browser.text("#files").replace("\u202f", " ")
        assert not browser.run("return document.querySelector('#evil')")
        # What is open stays open when another file comes.
        run.file("later.txt", b"later", at=T + 5)
        browser.until(lambda: "later.txt" in texts(browser, "#files td.name"))
        assert len(texts(browser, "#files .below [role=region]")) == 3
        browser.click("#files tbody tr:nth-child(3) button")
        assert len(texts(browser, "#files .below [role=region]")) == 2

    await run.look(see)


CELLS = "return [...document.querySelectorAll('.rows tbody tr')].map((row) => [...row.cells].map((c) => c.textContent))"


FITS = (
    "return [...document.querySelectorAll('#files > tbody > tr > td')]"
    ".every((cell) => cell.getBoundingClientRect().right <= innerWidth)"
)


async def test_images_bear_their_own_name_where_a_camera_has_several(run: Run) -> None:
    run.chronicle.begin([{"name": "depth"}, {"name": "front"}])
    for number in range(2):
        for name in ("color", "depth"):
            run.arrivals.append(arrivals.image(run.picture(), "depth", T + number, name=name))
    run.arrivals.append(arrivals.image(run.picture(), "front", T + 9))
    expected = ["front", *["depth · color", "depth · depth"] * 2]

    def see(browser: Browser) -> None:
        assert sorted(texts(browser, "#grid strong")) == sorted(expected)

    await run.look(see)


async def test_the_name_of_a_file_stands_in_one_line_on_a_phone(run: Run) -> None:
    run.chronicle.begin([])
    run.file("host-log_2025-11-21T08-00-00.123456Z-1-of-a-name-that-is-long.ndjson", b'{"readings": {}}\n', "host-log")
    run.file(f"{'long-name-' * 12}.txt", b"x")
    run.file("wide.ndjson", json.dumps({"readings": {f"a-wide-name-{key}": key for key in range(20)}}).encode())

    def see(browser: Browser) -> None:
        browser.click("#files button")
        browser.until(lambda: texts(browser, "#files .below [role=region]"))
        assert browser.run(FITS)
        browser.click("#files button")
        heights = "return [...document.querySelectorAll('#files tbody tr')].map((row) => row.clientHeight)"
        assert max(browser.run(heights)) < 50
        assert browser.run("return document.documentElement.scrollWidth") <= 390

    await run.look(see, width=390)


# ---------------------------------------------------------------------- readings and timeline


def _readings(run: Run) -> None:
    run.chronicle.begin([{"name": "gripper"}, {"name": "gripper", "id": "gripper-moves"}, {"name": "host"}])
    every = [(T + number / 10, {"force_n": float(number % 40)}) for number in range(198)]
    run.arrivals.append(arrivals.rows("gripper", "gripper", every))
    run.arrivals.append(arrivals.rows("gripper", "gripper-moves", every[::7]))
    host = [
        (T + second, {"memory_total_mb": 58_405, "disk_free_mb": 240_000 - 100 * second, "busy": second > 5})
        for second in range(19)
    ]
    run.arrivals.append(arrivals.rows("host", "host", host))


async def test_what_a_deadband_left_of_a_signal_is_drawn_over_it_and_counted(run: Run) -> None:
    _readings(run)

    def see(browser: Browser) -> None:
        legend = texts(browser, "#plots .card:first-child .legend li")
        assert legend == ["gripper: all", "gripper-moves: 29 of 198 rows kept, 85 % fewer bytes"]
        drawn = "return [...document.querySelectorAll('#plots .card:first-child path')].map((one) => one.classList[0])"
        assert browser.run(drawn) == ["line", "dots"]

    await run.look(see)


async def test_units_are_those_that_people_read(run: Run) -> None:
    _readings(run)

    def see(browser: Browser) -> None:
        assert "memory total58.4 GB" in browser.text("#steady")
        titles = texts(browser, "#plots h3")
        assert titles[0] == "gripperforceN"
        assert sorted(titles[1:]) == ["hostbusy", "hostdisk freeGB"]
        assert "238.20 GB" in "".join(texts(browser, "#plots .last"))
        assert "yes" in texts(browser, "#plots .last")

    await run.look(see)


async def test_a_phone_shows_three_plots_at_once(run: Run) -> None:
    _readings(run)

    def see(browser: Browser) -> None:
        span = (
            "const cards = [...document.querySelectorAll('#plots .card')].map((one) => one.getBoundingClientRect());"
            "return [cards.length, cards[2].bottom - cards[0].top];"
        )
        browser.run("document.querySelector('#plots').scrollIntoView()")
        browser.until(lambda: browser.run("return document.querySelectorAll('#plots .line').length") == 3)
        cards, height = browser.run(span)
        assert (cards, height < 600) == (3, True)

    await run.look(see, width=390)


@pytest.mark.parametrize("width", [390, 1440])
async def test_the_timeline_names_each_command_and_says_where_it_was(run: Run, width: int) -> None:
    """After the run too; the name of one that has the focus is told with the numbers of its time."""
    run.chronicle.begin([{"name": "front", "interval_s": 1}])
    for second in range(11):
        run.now = T + second
        run.arrivals.append(arrivals.image(run.picture(), "front", T + second))
        run.chronicle.sample(_status(second + 1), handed_in=0)
        if second in (2, 3, 8):
            run.chronicle.note(("upload_data", "capture snapshot", "trigger event")[(2, 3, 8).index(second)])
    run.chronicle.end([])

    def see(browser: Browser) -> None:
        assert [text[:-5] for text in texts(browser, "#commands li")] == [
            *("1upload_data", "2capture snapshot", "3trigger event"),
        ]
        assert texts(browser, "#timeline .badge-number") == ["1", "2", "3"]
        browser.run("document.querySelector('#commands li:nth-child(3) button').focus()")
        assert browser.text(".readout") == "8.0 s: captured 9, delivered 8 · trigger event"
        focus_and_press(browser, "#timeline svg", "\ue012")  # the left arrow
        assert browser.text(".readout").startswith("9.9 s: captured ")

    await run.look(see, width=width)


def _status(captured: int) -> dict[str, Any]:
    return {"sources": {"front": {"captured": captured}}, "folders": {}, "spool": {"items": 0, "bytes": 0}}


async def test_bytes_over_time_and_what_a_day_of_them_would_be(run: Run) -> None:
    run.chronicle.begin([{"name": "front", "interval_s": 1}, {"name": "host", "cron": "* * * * * *"}])
    for second in range(11):
        run.arrivals.append(arrivals.image(run.picture(), "front", T + second, size=92_000))
    readings = [(T + second / 100, {"value": 1.5}) for second in range(1000)]
    run.arrivals.append(arrivals.rows("host", "host", readings))
    run.file("once.bin", b"x" * 100)
    images, rows = 11 * 92_000, run.arrivals[-2].size
    run.now = T + 11
    a_day = (images + rows) / 10 * 86400 / 1e9

    def see(browser: Browser) -> None:
        told = browser.text("#rate").replace("\u202f", " ")
        assert told == f"At this rate: {a_day:.1f} GB a day, of it {100 * images / (images + rows):.0f} % images."
        legend = [text.replace("\u202f", " ") for text in texts(browser, "#bytes-legend li")]
        assert legend == ["images 1.0 MB", "files 100 B", f"rows {rows / 1000:.1f} kB"]
        assert browser.run("return document.querySelectorAll('#bytes path.layer').length") == 4

    await run.look(see)
