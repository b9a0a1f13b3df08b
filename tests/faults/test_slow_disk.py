"""A disk each of whose syncs takes long, under a real module process."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.slow_disk import COMPILER
from tests.faults.slow_disk import HEAD, RATES_HZ, Figures, Worst, met_with_a_slow_disk

pytestmark = pytest.mark.slow


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
async def test_on_a_slow_disk_captures_do_not_fall_behind_and_nobody_waits_long(tmp_path: Path) -> None:
    """Syncs are counted, not seconds, so that a busy computer is no slower disk."""
    figures = await met_with_a_slow_disk(tmp_path, 400, seconds=5, changes=2)
    more = figures.late_s / 0.4
    print(figures)  # noqa: T201, for whoever looks at a failure
    # In 5 s, groups that wait for one another would fall behind by 400.
    assert figures.behind < 3 * sum(RATES_HZ.values())
    # The one under way, and its own; one more if it came while groups gathered.
    assert figures.command.syncs <= 3 + more
    # The same, and uploads that were under way may take a second.
    assert figures.reconfiguration.syncs <= 4 + more
    assert figures.lost == 0


def test_a_row_of_the_table_has_a_cell_for_each_of_its_columns() -> None:
    figures = Figures(40, 10.0, 1000, 0, 12, 0.05, Worst(0.1, 2), Worst(0.2, 2), 0)
    assert figures.row() == "| 40 ms | 100 | 0 | 12 | 0.05 s | 0.10 s | 0.20 s | 0 |"
    assert figures.row().count("|") == HEAD.splitlines()[0].count("|") == HEAD.splitlines()[1].count("|")
