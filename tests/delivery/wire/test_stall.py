from __future__ import annotations

import pytest

from module.delivery.wire.stall import Patience


def test_patience_grows_with_answers_that_are_late_and_has_an_end() -> None:
    patience = Patience(2)
    for expected in (4, 8, 16, 32, 64, 64):
        patience.was_too_short(patience.answer_s)
        assert patience.answer_s == expected


def test_uploads_that_were_late_together_count_once() -> None:
    patience = Patience(2)
    for _ in range(10):
        patience.was_too_short(2)
    assert patience.answer_s == 4


def test_patience_goes_back_to_the_timeout_once_answers_come_in_time() -> None:
    patience = Patience(2)
    for _ in range(3):
        patience.was_too_short(patience.answer_s)
    patience.was_enough(0.01)
    assert 12 < patience.answer_s < 16
    for _ in range(200):
        patience.was_enough(0.01)
    assert patience.answer_s == 2


@pytest.mark.parametrize("waited_s", [6.0, 7.9])
def test_what_answers_still_need_is_kept(waited_s: float) -> None:
    patience = Patience(2)
    for _ in range(3):
        patience.was_too_short(patience.answer_s)
    for _ in range(1000):
        patience.was_enough(waited_s)
    assert patience.answer_s == pytest.approx(2 * waited_s)
