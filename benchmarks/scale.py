"""How much is measured: the whole, a quick look, or only whether the harness works; pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """The sizes of every case."""

    name: str
    rounds: int
    polls_s: float
    """Seconds of each poll load that are measured."""
    warm_s: float
    """Seconds of it that come before."""
    rows: int
    frames: int
    peer_rows: int
    """Sent one row a call; in calls of 1,000 rows ten times as many."""
    peer_frames: int
    file_bytes: int
    sdk_file_bytes: int
    """The SDK holds a file several times over in memory."""
    spool_items: int
    """Of 1 kB; of 100 kB a fifth."""
    idle_s: float
    written_s: float
    """Seconds in which it is counted what the disk was given."""
    starts: int
    waiting_rows: int
    """The backlog of the start."""
    backlogs: tuple[int, ...]
    source_counts: tuple[int, ...]
    source_s: float
    round_trips_ms: tuple[float, ...]
    syncs_ms: tuple[float, ...]
    growth_frames: int


FULL = Scale(
    name="full",
    rounds=5,
    polls_s=12.0,
    warm_s=3.0,
    rows=200_000,
    frames=5_000,
    peer_rows=3_000,
    peer_frames=1_500,
    file_bytes=1_000_000_000,
    sdk_file_bytes=100_000_000,
    spool_items=2_560,
    idle_s=30.0,
    written_s=60.0,
    starts=3,
    waiting_rows=1_000_000,
    backlogs=(1_000, 10_000, 100_000, 1_000_000),
    source_counts=(10, 100, 500),
    source_s=4.0,
    round_trips_ms=(0.0, 1.0, 10.0, 50.0),
    syncs_ms=(0.0, 1.0, 5.0, 20.0),
    growth_frames=1_500,
)

QUICK = Scale(
    name="quick",
    rounds=1,
    polls_s=3.0,
    warm_s=1.0,
    rows=20_000,
    frames=500,
    peer_rows=500,
    peer_frames=300,
    file_bytes=100_000_000,
    sdk_file_bytes=25_000_000,
    spool_items=640,
    idle_s=5.0,
    written_s=10.0,
    starts=1,
    waiting_rows=100_000,
    backlogs=(1_000, 100_000),
    source_counts=(10, 500),
    source_s=1.5,
    round_trips_ms=(0.0, 50.0),
    syncs_ms=(0.0, 20.0),
    growth_frames=200,
)
