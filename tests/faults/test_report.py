"""The table of docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

from tests.faults.ledger import Row
from tests.faults.report import (
    Group,
    clock_section,
    network_section,
    section,
    slow_section,
    soak_section,
    table,
    total,
    write,
)


def test_figures_of_several_benches_are_added_fault_by_fault() -> None:
    books = ({"a": Row(1, 2, 3, 4, 5)}, {"a": Row(10, 20, 30, 40, 50), "b": Row(tries=1)})
    assert total(books) == {"a": Row(11, 22, 33, 44, 55), "b": Row(tries=1)}


def test_the_table_is_in_the_order_of_the_groups() -> None:
    lines = table({group: {f"of {group.name}": Row()} for group in reversed(Group)}).splitlines()[2:]
    assert [line.split(" | ")[0] for line in lines] == [f"| of {group.name}" for group in Group]


def test_a_new_run_takes_the_place_of_the_last_and_leaves_what_others_wrote(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "reliability.md"
    write(path, section({Group.KILLS: {"kill -9 at commit": Row(tries=7)}}, "first", "", ""))
    path.write_text(path.read_text() + "\n## Power cuts\n")
    groups = {Group.CLOUD: {"away": Row(tries=2)}, Group.KILLS: {"kill -9 at commit": Row(1234, 5678, 90)}}
    write(path, section(groups, "second", "It was large.", "| 40 ms |"))
    text = path.read_text()
    assert "| kill -9 at commit | 1,234 | 5,678 | 90 | 0 | 0 |" in text
    assert "1,234 kills, 0 power cuts, 2 faults of the cloud, 0 of its address" in text
    assert "`second`" in text
    assert "by `first`" not in text
    assert "It was large." in text
    assert "or the computer busy.\n\n| 40 ms |" in text
    assert text.endswith("-->\n\n## Power cuts\n")


def test_the_soak_the_clock_the_network_and_a_slow_disk_have_parts_of_their_own_beside_the_table(
    tmp_path: Path,
) -> None:
    path = tmp_path / "reliability.md"
    write(path, section({Group.KILLS: {"kill -9 at commit": Row(tries=7)}}, "all", "", ""))
    for when in ("at first", "again"):
        write(path, soak_section(f"Nothing was lost {when}.", "soak"))
        write(path, clock_section(f"Every time was true {when}.", "clock"))
        write(path, network_section([f"a file arrived whole {when}"], "network"))
        write(path, slow_section({Group.KILLS: {f"kill -9 {when}": Row(tries=2)}}, "slow", "It was large.", 40))
    write(path, section({Group.KILLS: {"kill -9 at commit": Row(tries=8)}}, "all", "", ""))
    text = path.read_text()
    assert "at first" not in text
    order = [
        "| kill -9 at commit | 8 |",
        "Nothing was lost again.",
        "Every time was true again.",
        "- a file arrived whole again.",
        "| kill -9 again | 2 |",
    ]
    assert [text.index(each) for each in order] == sorted(text.index(each) for each in order)
    assert text.count("<!--") == text.count("-->") == 10
