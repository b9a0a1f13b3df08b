from __future__ import annotations

import itertools

import pytest

from module.demo.cell import JAM_S, PITCH_M, Cell, Moment

PERIOD_S = JAM_S + 27
MOMENTS = [Cell().moment(number / 20) for number in range(round(20 * PERIOD_S))]


def test_one_moment_is_the_same_whoever_asks() -> None:
    assert Cell(5.0).moment(1_763_712_000.3) == Cell(5.0).moment(1_763_712_000.3)


def test_the_belt_goes_forward_only_and_as_far_as_its_speed_says() -> None:
    for earlier, later in itertools.pairwise(MOMENTS):
        gone = later.belt_m - earlier.belt_m
        assert gone >= 0
        assert gone == pytest.approx((earlier.belt_speed_m_s + later.belt_speed_m_s) / 2 / 20, abs=2e-3)


def test_parts_move_with_the_belt_and_keep_their_distance() -> None:
    for earlier, later in itertools.pairwise(MOMENTS):
        before = {part.number: part.offset_m for part in earlier.parts}
        for part in later.parts:
            if part.number in before and part.lift == 0:
                assert part.offset_m - before[part.number] == pytest.approx(later.belt_m - earlier.belt_m, abs=1e-9)
        offsets = sorted(part.offset_m for part in later.parts)
        assert all(b - a == pytest.approx(PITCH_M) for a, b in itertools.pairwise(offsets))


def test_a_jam_comes_when_it_is_set_and_again_after_half_a_minute() -> None:
    cell = Cell(first_jam_at=100.0)
    jams = [tenth / 10 for tenth in range(900, 1400) if cell.moment(tenth / 10).jam]
    assert jams == pytest.approx([*_tenths(100.0, JAM_S), *_tenths(100.0 + PERIOD_S, JAM_S)])


def _tenths(since: float, lasting: float) -> list[float]:
    return [since + tenth / 10 for tenth in range(round(10 * lasting))]


def test_a_jammed_part_stands_askew_and_the_gripper_pushes_on_it() -> None:
    jam, grip = Cell().moment(1.0), max(MOMENTS[round(20 * JAM_S) :], key=_force)
    assert (jam.jam, jam.belt_speed_m_s, jam.part_present) == (True, 0.0, True)
    assert [part.tilt for part in jam.parts if part.offset_m == 0] == [1.0]
    assert jam.force_n > 1.5 * grip.force_n > 0
    assert jam.motor_current_a > 3 > max(moment.motor_current_a for moment in MOMENTS if not moment.jam)


def _force(moment: Moment) -> float:
    return moment.force_n


def test_each_part_is_lifted_off_with_force_at_the_gripper() -> None:
    for moment in MOMENTS:
        for part in moment.parts:
            if part.lift > 0:
                assert (part.offset_m, moment.force_n > 10) == (0.0, True)


def test_a_part_is_present_for_some_of_the_time() -> None:
    there = [moment.part_present for moment in MOMENTS]
    assert 0.3 < sum(there) / len(there) < 0.6
