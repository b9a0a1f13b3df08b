"""The table of docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

from tests.faults.ledger import Row
from tests.faults.report import section, total, write


def test_figures_of_several_benches_are_added_fault_by_fault() -> None:
    books = ({"a": Row(1, 2, 3, 4, 5)}, {"a": Row(10, 20, 30, 40, 50), "b": Row(tries=1)})
    assert total(books) == {"a": Row(11, 22, 33, 44, 55), "b": Row(tries=1)}


def test_a_new_run_takes_the_place_of_the_last_and_leaves_what_others_wrote(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "reliability.md"
    write(path, section({"kill -9 at commit": Row(tries=7)}, "first"))
    path.write_text(path.read_text() + "\n## Power cuts\n")
    write(path, section({"kill -9 at commit": Row(1234, 5678, 90), "away": Row(tries=2)}, "second"))
    text = path.read_text()
    assert "| kill -9 at commit | 1,234 | 5,678 | 90 | 0 | 0 |" in text
    assert "1,234 kills, 0 power cuts and 2 faults of the cloud" in text
    assert "`second`" in text
    assert "by `first`" not in text
    assert text.endswith("-->\n\n## Power cuts\n")
