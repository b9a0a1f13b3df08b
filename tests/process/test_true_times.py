"""A board without a clock of its own, through a real module process whose wall clock is set by the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.machine import COMPILER
from tests.faults.true_times import Figures, met_with_a_clock_that_is_set_late


@pytest.mark.slow
@pytest.mark.skipif(COMPILER is None, reason="the clock is C, and there is no cc to compile it")
async def test_what_a_board_captured_before_its_clock_was_set_arrives_with_its_true_time(tmp_path: Path) -> None:
    """It boots in 1970; the clock is set, killed over, set once more by 5 s; a second boot is never set.

    For 2 s here, and for 20 s in ``tests/run.sh faults``.
    """
    figures = await met_with_a_clock_that_is_set_late(tmp_path, seconds=2)
    assert figures.sound, figures
    assert figures.rows >= 20
    assert figures.frames >= 5


def test_a_time_too_far_off_or_an_upload_without_its_tag_is_not_sound() -> None:
    assert Figures(20, 200, 100, 50_000, 50_000, 3, 0).sound
    for bad in ((50_001, 0, 3, 0), (0, 50_001, 3, 0), (0, 0, 0, 0), (0, 0, 3, 1)):
        assert not Figures(20, 200, 100, *bad).sound
