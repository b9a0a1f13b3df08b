"""Delays between the tries."""

from __future__ import annotations

import pytest

from module.delivery.backoff import Backoff


@pytest.mark.parametrize(
    ("attempt", "ceiling"), [(0, 0.5), (1, 1.0), (2, 2.0), (9, 256.0), (10, 300.0), (11, 300.0), (10**9, 300.0)]
)
def test_the_ceiling_doubles_up_to_the_maximum(attempt: int, ceiling: float) -> None:
    assert Backoff(0.5, 300).ceiling(attempt) == ceiling


def test_a_delay_lies_anywhere_below_its_ceiling() -> None:
    """So that a fleet that lost the same cloud does not come back as one."""
    delays = [Backoff(1, 300).delay(3) for _ in range(2000)]
    assert 0 <= min(delays) < 0.5
    assert 7.5 < max(delays) <= 8
    assert 3.5 < sum(delays) / len(delays) < 4.5
