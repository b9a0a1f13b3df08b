"""What a large backlog costs; ``tests/run.sh faults`` makes it five times as large."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.backlog import MOST_MB, MOST_STARTS, SMALL_BYTES, NoRoom, met_with_a_backlog

pytestmark = pytest.mark.slow


async def test_a_million_rows_and_gigabytes_cost_little_memory_and_no_time(tmp_path: Path) -> None:
    """Neither at the start, nor while they wait, nor while they are uploaded; and an alarm passes all of them."""
    try:
        figures = await met_with_a_backlog(tmp_path / "backlog", SMALL_BYTES)
    except NoRoom as error:
        pytest.skip(str(error))
    print(figures.sentence())  # noqa: T201, for whoever looks at a failure
    assert figures.extra_mb < MOST_MB, figures
    assert figures.start_cpu_s < MOST_STARTS * figures.empty_start_cpu_s, figures
    assert figures.overtaken == 0, figures
