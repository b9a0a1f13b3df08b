"""Work that fails begins again, and says so."""

from __future__ import annotations

import asyncio
import logging

import pytest

from module import supervised as supervised_module
from module.supervised import Supervised

LOGGER = logging.getLogger("supervised")


class Work:
    """Raises these one after the other, and then goes on for ever."""

    def __init__(self, *errors: BaseException) -> None:
        self.begun: list[float] = []
        self.goes_on = asyncio.Event()
        self._errors = list(errors)

    async def __call__(self) -> None:
        self.begun.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0)
        if self._errors:
            raise self._errors.pop(0)
        self.goes_on.set()
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised_module, "FIRST_DELAY_S", 0.02)
    monkeypatch.setattr(supervised_module, "MOST_DELAY_S", 0.05)


async def _run_until_it_goes_on(supervised: Supervised, work: Work) -> None:
    task = asyncio.create_task(supervised.run())
    await asyncio.wait_for(work.goes_on.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_ends_with_an_error_begins_again_after_a_growing_delay() -> None:
    work = Work(*[RuntimeError("broken")] * 4)
    await _run_until_it_goes_on(Supervised("the work", work, LOGGER), work)
    gaps = [later - earlier for earlier, later in zip(work.begun, work.begun[1:], strict=False)]
    assert len(gaps) == 4
    for gap, least in zip(gaps, (0.02, 0.04, 0.05, 0.05), strict=True):
        assert gap >= least


async def test_the_error_stands_until_it_runs_again_and_the_log_has_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = Work(RuntimeError("broken\nin two lines"))
    supervised = Supervised("the work", work, LOGGER)
    seen: list[str | None] = []

    async def look() -> None:
        while not work.goes_on.is_set():
            seen.append(supervised.error)
            await asyncio.sleep(0)

    await asyncio.gather(look(), _run_until_it_goes_on(supervised, work))
    assert list(dict.fromkeys(seen)) == [None, "RuntimeError: broken in two lines"]
    assert supervised.error is None
    (record,) = caplog.records
    assert "the work ended with an error of this module's own, and begins again in 0.02 s" in record.getMessage()
    assert record.exc_info is not None


async def test_a_future_that_somebody_else_cancelled_does_not_end_the_work() -> None:
    work = Work(asyncio.CancelledError())
    await _run_until_it_goes_on(Supervised("the work", work, LOGGER), work)
    assert len(work.begun) == 2


async def test_work_that_returns_is_not_begun_again() -> None:
    begun: list[int] = []

    async def work() -> None:
        begun.append(1)

    await asyncio.wait_for(Supervised("the work", work, LOGGER).run(), 30)
    assert begun == [1]
