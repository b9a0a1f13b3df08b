"""What happens to the machine, in short; ``tests/run.sh faults`` does it for minutes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from tests.faults.bench import Bench
from tests.faults.machine import COMPILER, Clock, still_image
from tests.faults.machine_faults import (
    CHANGES,
    CLOCK,
    ONE_PROCESS,
    RESOURCE_FAULTS,
    STALL,
    TWO_PROCESSES,
    clock_jumps,
    fickle_resources,
    reconfigurations,
    sigterm_while_stalled,
    two_uploaders,
)

pytestmark = pytest.mark.slow

Benches = Callable[[str], Bench]


def nothing_is_lost(bench: Bench, faults: Collection[str]) -> None:
    rows = bench.ledger.rows
    assert set(rows) == set(faults)
    assert all(row.at_stake > 0 for row in rows.values()), rows
    assert {fault: row.lost for fault, row in rows.items() if row.lost} == {}


@pytest.mark.skipif(COMPILER is None, reason="the clock is C, and there is no cc to compile it")
async def test_a_clock_that_jumps_an_hour_stops_nothing_and_loses_nothing(bench: Benches, tmp_path: Path) -> None:
    """Intervals keep their beat, a cron source fires again within two seconds, and once a second."""
    broken = bench("clock")
    await clock_jumps(broken, clock=Clock(tmp_path / "clock"), jumps=2)
    nothing_is_lost(broken, {CLOCK})


async def test_a_resource_out_of_order_is_named_and_counted_and_disturbs_no_other(bench: Benches) -> None:
    """It hangs, raises, gives what cannot be captured, vanishes, and is captured again when it is well."""
    broken = bench("resources")
    await fickle_resources(broken, image=still_image())
    nothing_is_lost(broken, RESOURCE_FAULTS)


async def test_reconfigurations_are_quick_lose_nothing_and_leave_nothing_behind(bench: Benches) -> None:
    """No thread, and no open file."""
    broken = bench("changes")
    await reconfigurations(broken, count=12)
    nothing_is_lost(broken, {CHANGES})


@pytest.mark.parametrize(("apart", "fault"), [(False, ONE_PROCESS), (True, TWO_PROCESSES)])
async def test_a_second_uploader_waits_for_the_spool_and_takes_it_over(
    bench: Benches, *, apart: bool, fault: str
) -> None:
    """While the first one lives the second says why it waits; then it delivers what the first one left."""
    broken = bench(fault)
    await two_uploaders(broken, apart=apart)
    nothing_is_lost(broken, {fault})


async def test_sigterm_while_all_uploads_stall_ends_the_process_soon_and_loses_nothing(bench: Benches) -> None:
    broken = bench("sigterm")
    await sigterm_while_stalled(broken)
    nothing_is_lost(broken, {STALL})
