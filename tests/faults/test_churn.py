"""A server that is killed while it is polled, in short; ``tests/run.sh faults`` does it for minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.churn import churned


@pytest.mark.slow
async def test_a_server_that_is_killed_again_and_again_leaves_nothing_over(tmp_path: Path) -> None:
    result = await churned(tmp_path, kills=4, polls_per_s=100, kill_every_s=0.5)
    assert (result.kills, result.answered > 0, result.failed > 0) == (4, True, True)
    assert result.early is not None
    assert result.late is not None
    # What a process of many tests holds in memory says nothing; the long form looks at that, too.
    assert result.late.descriptors <= result.early.descriptors + 2, result.finding().sentence
    assert result.late.handles <= 21, result.finding().sentence
