"""Blocking work on files, folder by folder."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from module.errors import FileUnavailable
from module.files import threads
from tests.leaping_clock import let_time_pass
from tests.waiting import until


@pytest.fixture
def hang() -> Iterator[threading.Event]:
    """What hangs, until the end of the test."""
    ends = threading.Event()
    yield ends
    ends.set()


async def test_the_result_or_error_of_work_is_returned() -> None:
    assert await threads.answer("/a", divmod, 7, 3, within_s=30) == (2, 1)
    with pytest.raises(ZeroDivisionError):
        await threads.answer("/a", divmod, 7, 0, within_s=30)


async def test_a_folder_that_hangs_takes_few_threads_and_none_of_another(hang: threading.Event) -> None:
    before = threading.active_count()
    stuck = [threads.start("/hangs", hang.wait) for _ in range(20)]
    assert await threads.answer("/works", int, within_s=30) == 0
    assert threading.active_count() <= before + threads.MOST_THREADS + 1
    with pytest.raises(FileUnavailable, match="'/hangs' has not answered for 0 s"):
        await threads.within("/hangs", stuck[0], 0)
    hang.set()
    assert await asyncio.gather(*stuck) == [True] * 20


async def test_an_error_that_comes_after_the_limit_is_no_error_in_the_log(
    hang: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def failing() -> None:
        begun.set()
        hang.wait()
        raise OSError

    logged: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: logged.append(context))
    leap = let_time_pass(loop, monkeypatch)
    answer = asyncio.ensure_future(threads.answer("/late", failing))
    await until(begun.is_set)
    await leap(threads.ANSWER_S)
    with pytest.raises(FileUnavailable, match="'/late' has not answered for 5 s"):
        await answer
    hang.set()
    await until(lambda: not threads._FOLDERS["/late"]._begun)
    # Its traceback holds on to the work; so does the thread, until its next.
    del answer
    await threads.start("/late", int)
    gc.collect()
    assert logged == []


async def test_long_work_is_late_only_while_it_makes_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_step = threading.Event(), threading.Semaphore(0)
    late: list[int] = []
    work = threads.LongWork("/long", lambda: late.append(work.taken))

    def slow(items: Iterator[int]) -> int:
        total = 0
        for item in items:
            begun.set()
            may_step.acquire()
            total += item
        return total

    leap = let_time_pass(asyncio.get_running_loop(), monkeypatch)
    done = asyncio.ensure_future(work.do(slow, work.steps(range(4))))
    await until(begun.is_set)
    await leap(threads.ANSWER_S)
    assert late == [0]
    for number in (1, 2):
        may_step.release()
        await until(lambda number=number: work.taken == number)  # type: ignore[misc]
        await leap(threads.ANSWER_S)
    await leap(threads.ANSWER_S)
    assert late == [0, 2]
    may_step.release(2)
    assert await done == 6


async def test_a_folder_all_of_whose_threads_hang_says_so_at_once(
    hang: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    monkeypatch.setattr(threads, "ANSWER_S", -1.0)

    def work(number: int) -> None:
        begun.append(number)
        hang.wait()

    for number in range(threads.MOST_THREADS):
        threads.start("/all", work, number)
        while number not in begun:
            await asyncio.sleep(0.001)
    with pytest.raises(FileUnavailable, match="'/all' does not answer"):
        threads.start("/all", int)


async def test_what_was_cancelled_before_it_began_is_never_done(hang: threading.Event) -> None:
    done: list[int] = []
    for _ in range(threads.MOST_THREADS):
        threads.start("/busy", hang.wait)
    waiting = threads.start("/busy", done.append, 1)
    waiting.cancel()
    hang.set()
    assert await threads.answer("/busy", int, within_s=30) == 0
    assert done == []


async def test_threads_without_work_end_and_none_keeps_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_IDLE_S", 0.01)
    (thread,) = {await threads.answer("/idle", threading.current_thread, within_s=30) for _ in range(1)}
    assert thread.daemon
    while thread.is_alive():
        await asyncio.sleep(0.001)
    assert await threads.answer("/idle", int, within_s=30) == 0
