"""Captures that step aside, and when they come back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from module.capture import Item, Kind, Origin
from module.delivery.held_back import MOST_LOADS, Aside


class Back:
    """What came back, in order."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.event = asyncio.Event()

    def __call__(self, items: Sequence[Item]) -> None:
        self.items += items
        self.event.set()

    @property
    def ids(self) -> list[int]:
        return [item.id for item in self.items]


def item(number: int) -> Item:
    return Item(number, 1, Origin("s", Kind.BINARY), 0, 0, 3, 3, b"abc", "", None)


async def test_what_waits_for_the_link_comes_back_when_it_works() -> None:
    """Without its payload, which would stay in memory all the while."""
    aside = Aside(back := Back())
    aside.until_the_link_works([item(1), item(2)])
    assert back.ids == []
    aside.link_works(lambda _: 0)
    assert back.ids == [1, 2]
    assert {each.payload for each in back.items} == {b""}


async def test_a_load_with_its_own_delay_keeps_it_whatever_the_link_does() -> None:
    aside = Aside(back := Back())
    aside.for_a_while([item(1)], 0.02)
    aside.link_works(lambda _: 0)
    assert not aside.probe()
    assert back.ids == []
    async with asyncio.timeout(30):
        await back.event.wait()
    assert back.ids == [1]
    aside.end()
    assert back.ids == [1]


async def test_what_closed_the_link_comes_back_later_than_the_others() -> None:
    aside = Aside(back := Back())
    for number in (1, 2, 3):
        aside.until_the_link_works([item(number)])
    aside.link_works(lambda first: 0.02 if first.id == 2 else 0)
    assert back.ids == [1, 3]
    assert not aside.probe()
    back.event.clear()
    async with asyncio.timeout(30):
        await back.event.wait()
    assert back.ids == [1, 3, 2]


async def test_a_probe_takes_only_what_waits_for_the_link() -> None:
    aside = Aside(back := Back())
    aside.for_a_while([item(1)], 60)
    aside.until_the_link_works([item(2)])
    assert aside.probe()
    assert back.ids == [2]
    aside.end()
    assert sorted(back.ids) == [1, 2]


async def test_nothing_steps_aside_where_nothing_is_held() -> None:
    aside = Aside(back := Back())
    aside.until_the_link_works([])
    aside.for_a_while([], 0)
    assert not aside.probe()
    aside.end()
    assert back.ids == []


async def test_memory_is_bounded() -> None:
    aside = Aside(Back())
    for number in range(MOST_LOADS):
        assert not aside.full
        aside.until_the_link_works([item(number)])
    assert aside.full
