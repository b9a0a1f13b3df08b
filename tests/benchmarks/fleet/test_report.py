from __future__ import annotations

from pathlib import Path

from benchmarks.fleet.acts import Curve, Outcome, Size
from benchmarks.fleet.figures import act
from benchmarks.fleet.fleet import Books
from benchmarks.fleet.report import BEGIN, END, table, write

_TIMES: dict[str, list[float]] = {"connections": [], "authentications": [], "refused": [], "requests": [10.1, 10.2]}
_SIZE = Size(machines=2, processes=1, outage_s=0.0, calm_s=1.0, after_s=5.0)


def _outcome() -> Outcome:
    span = (10.0, 10.0, 15.0)
    figures = act("forgotten", span, steady=1.0, times=_TIMES, attempts=[], back=[11.0, 0.0], drained=[12.0, 0.0])
    machines = [{"captured": 1200, "delivered": 1199, "waiting": 1}]
    return Outcome([figures], [Curve("a", -1, [1.0], [2.0], [0.0])], Books([], machines))


def test_a_row_says_what_an_act_was_and_who_did_not_come_back() -> None:
    row = table(_outcome()).splitlines()[-1]
    assert "2.0" in row
    assert "(1 not)" in row
    assert "nan" not in row


def test_figures_are_put_between_the_marks_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\n# After\n")
    for _ in range(2):
        write(page, _outcome(), _SIZE, "the command")
    text = page.read_text()
    assert text.startswith("# Before\n")
    assert text.endswith("\n# After\n")
    assert "old" not in text
    assert text.count("the command") == 1
    assert "1,200 captures, 1,199 delivered" in text
    assert "<svg" in page.with_name("scale.svg").read_text()
