from collections.abc import Iterator

from module.spool.retention import Line, drop_newest, drop_oldest, footprint, thin
from module.spool.schema import PAGE_BYTES


def test_the_lowest_priority_goes_first_and_within_it_the_oldest() -> None:
    lines = [Line(5, [(1, 10), (4, 10)]), Line(2, [(3, 10), (6, 10)]), Line(2, [(2, 10), (5, 10)])]
    assert drop_oldest(lines, 25, up_to_priority=9) == [2, 3, 5]


def test_the_next_priority_goes_only_when_the_lower_one_is_gone() -> None:
    lines = [Line(5, [(1, 10), (4, 10)]), Line(2, [(3, 10)])]
    assert drop_oldest(lines, 20, up_to_priority=9) == [3, 1]


def test_nothing_makes_room_for_what_matters_less() -> None:
    assert drop_oldest([Line(5, [(1, 100)])], 10, up_to_priority=4) is None
    assert drop_oldest([Line(5, [(1, 100)])], 10, up_to_priority=5) == [1]


def test_no_need_drops_nothing() -> None:
    assert drop_oldest([Line(0, [(1, 100)])], 0, up_to_priority=9) == []


def test_what_cannot_be_had_drops_nothing_at_all() -> None:
    assert drop_oldest([Line(0, [(1, 10), (2, 10)])], 21, up_to_priority=9) is None


def test_captures_are_looked_at_only_as_far_as_needed() -> None:
    """A backlog of millions must not be read to free a little."""
    seen: list[int] = []

    def captures() -> Iterator[tuple[int, int]]:
        for number in range(1_000_000):
            seen.append(number)
            yield number, 10

    assert drop_oldest([Line(0, captures())], 30, up_to_priority=9) == [0, 1, 2]
    assert len(seen) < 10


def test_a_large_payload_takes_whole_pages() -> None:
    assert footprint(100) < 300
    assert footprint(PAGE_BYTES) == 2 * PAGE_BYTES
    assert footprint(100_000) % PAGE_BYTES == 0
    assert 100_000 < footprint(100_000) <= 100_000 + PAGE_BYTES


def test_drop_newest_makes_room_only_with_what_matters_less() -> None:
    lines = [Line(5, [(4, 10), (1, 10)]), Line(2, [(6, 10), (3, 10)]), Line(2, [(5, 10), (2, 10)])]
    assert drop_newest(lines, 25, up_to_priority=5) == [6, 5, 3]
    assert drop_newest(lines, 10, up_to_priority=2) is None


def test_failures_go_first_whatever_the_policy() -> None:
    lines = [Line(-1, [(7, 10), (9, 10)]), Line(2, [(3, 10)])]
    assert drop_oldest(lines, 25, up_to_priority=5) == [7, 9, 3]
    assert drop_newest(lines, 15, up_to_priority=0) == [7, 9]


def test_thinning_spares_every_other_one() -> None:
    lines = [Line(5, [(n, 10) for n in range(1, 7)]), Line(2, [(n, 10) for n in (7, 9)]), Line(2, [(8, 10), (10, 10)])]
    assert thin(lines, 20, up_to_priority=5) == ([8, 10], {2: 10})
    assert thin(lines, 30, up_to_priority=5) == ([8, 10, 2], {2: 10, 5: 2})
    assert thin(lines, 60, up_to_priority=5) is None


def test_thinning_goes_round_within_a_priority_before_it_comes_to_the_next() -> None:
    """From where it ended last; the first of all is spared in each round."""
    lines = [Line(2, [(5, 10), (6, 10)], before=[(1, 10), (2, 10), (3, 10)]), Line(5, [(7, 10), (8, 10)])]
    assert thin(lines, 30, up_to_priority=5) == ([6, 2, 8], {2: 2, 5: 8})


def test_thinning_spares_no_failure() -> None:
    lines = [Line(-1, [(7, 10), (9, 10)]), Line(2, [(3, 10), (4, 10)])]
    assert thin(lines, 30, up_to_priority=5) == ([7, 9, 4], {-1: 9, 2: 4})
