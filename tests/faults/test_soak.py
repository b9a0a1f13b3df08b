"""All faults at once, in short; ``tests/run.sh faults`` does it for minutes, and looks at the memory too."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.answers import Answers
from tests.faults.conftest import SEED
from tests.faults.soak import Soak

pytestmark = pytest.mark.slow


async def test_nothing_is_lost_or_dies_while_everything_goes_wrong_at_once(tmp_path: Path) -> None:
    """A cloud that flaps, changes of the service, a vision service and cameras that misbehave."""
    soaked = await Soak(tmp_path, random.Random(f"{SEED}:soak")).run(8.0, change_every_s=2.0)
    print(soaked.sentence())  # noqa: T201, for whoever looks at a failure
    assert soaked.sound, soaked
    assert soaked.stored > 0
    assert soaked.outages > 0
    assert soaked.changes >= 3, "each kind of change"


async def _answered(answers: Answers, *keys: tuple[str, int]) -> None:
    async def call() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(answers.store(keys, datetime.now(UTC)).end)

    await asyncio.create_task(call())
    await asyncio.sleep(0)


def _asked(answers: Answers, times: int) -> None:
    for _ in range(times):
        with answers.asked():
            pass


@pytest.mark.parametrize(("rounds", "unexplained"), [(0, []), (1, []), (2, [("s1", 1)])])
async def test_what_is_stored_again_is_explained_until_the_answer_must_have_been_read(
    rounds: int, unexplained: list[tuple[str, int]]
) -> None:
    answers = Answers()
    await _answered(answers, ("s1", 1), ("s1", 2))
    _asked(answers, rounds)
    with answers.cut():
        pass
    await _answered(answers, ("s1", 1))
    assert answers.twice == 1
    assert answers.unexplained() == unexplained


async def test_what_is_asked_during_a_cut_says_nothing_of_answers() -> None:
    answers = Answers()
    await _answered(answers, ("s1", 1))
    with answers.cut():
        _asked(answers, 5)
    await _answered(answers, ("s1", 1))
    assert answers.unexplained() == []


async def test_what_is_stored_again_without_any_cut_has_no_excuse() -> None:
    answers = Answers()
    await _answered(answers, ("s1", 1))
    await _answered(answers, ("s1", 1))
    assert answers.unexplained() == [("s1", 1)]


async def test_what_was_cut_off_while_it_was_stored_was_stored_before_its_second_try() -> None:
    """The books hear of it last."""
    answers, cut_off = Answers(), datetime.now(UTC)
    await _answered(answers, ("s1", 1))
    answers.store([("s1", 1)], cut_off).unanswered = True
    assert answers.unexplained() == []
