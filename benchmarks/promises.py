"""What the product promises or aims at in its cost, each against the figures of one run."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.cases import arrival, channel, drain, files, growth, idle, load, polls, spool, written
from benchmarks.figures import Results, Spread


class Bound(enum.StrEnum):
    """Which way a limit binds; the sign that stands before it."""

    MOST = "≤"
    """The figure may reach it from below."""
    LEAST = "≥"
    """The figure may reach it from above."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One line of the table."""

    what: str
    limit: float
    bound: Bound
    unit: str
    measured: Callable[[Results], list[float]]
    """Its rounds; empty where the case was not run."""

    @property
    def asked(self) -> str:
        """The limit in words."""
        return f"{self.bound} {self.limit:g} {self.unit}".rstrip()

    def kept(self, spread: Spread) -> bool:
        """Whether the median of the rounds keeps it."""
        return spread.median <= self.limit if self.bound is Bound.MOST else spread.median >= self.limit


def _ratio(case: str, figure: str, subject: str, peer: str) -> Callable[[Results], list[float]]:
    return lambda results: results.ratios(case, figure, subject, peer)


def _plain(case: str, subject: str, figure: str) -> Callable[[Results], list[float]]:
    return lambda results: results.values(case, subject, figure)


def _beside_the_best(results: Results) -> list[float]:
    ours = results.values(spool.SMALL, spool.OURS, spool.APPEND)
    theirs = [results.values(spool.SMALL, library, spool.APPEND) for library in spool.LIBRARIES]
    return [mine / max(round_) for mine, *round_ in zip(ours, *theirs, strict=False)]


def _last_beside_first(prefix: str, figure: str, ending: str = "") -> Callable[[Results], list[float]]:
    """The largest of a growth beside the smallest: subjects stand in the order in which they were begun."""

    def measured(results: Results) -> list[float]:
        subjects = [
            series.subject
            for series in results.of(prefix)
            if series.figure == figure and series.subject.endswith(ending)
        ]
        return results.ratios(prefix, figure, subjects[-1], subjects[0]) if len(subjects) > 1 else []

    return measured


_ROWS, _FRAMES, _FAR = "drain rows", "drain frames", f"{growth.DISTANCE}, frames"

PROMISES: tuple[Promise, ...] = (
    *(
        Promise(f"{figure} ÷ grpclib", limit, bound, "", _ratio(channel.CASE, figure, channel.OURS, channel.PEER))
        for figure, limit, bound in (
            (channel.SPREAD, 0.7, Bound.MOST),
            (channel.STEP, 0.6, Bound.MOST),
            (channel.SMALL, 0.5, Bound.MOST),
            (channel.FRAMES, 0.6, Bound.MOST),
            (channel.STREAM, 1.4, Bound.MOST),
            (channel.RATE, 0.75, Bound.LEAST),
            (channel.SMALL + channel.TLS, 0.5, Bound.MOST),
            (channel.FRAMES + channel.TLS, 0.6, Bound.MOST),
            (channel.STREAM + channel.TLS, 1.4, Bound.MOST),
            (channel.RATE + channel.TLS, 0.75, Bound.LEAST),
        )
    ),
    Promise(
        "CPU per capture, captured and delivered ÷ bare loop of polls",
        1.8,
        Bound.MOST,
        "",
        _ratio(polls.CASE, load.CPU, polls.SENT, polls.BARE),
    ),
    Promise(
        "CPU per capture, captured only ÷ bare loop of polls",
        1.8,
        Bound.MOST,
        "",
        _ratio(polls.CASE, load.CPU, polls.KEPT, polls.BARE),
    ),
    Promise(
        "CPU per row of 20 sensors at 10 Hz, captured and delivered ÷ bare loop, spread evenly",
        0.4,
        Bound.MOST,
        "",
        _ratio(polls.CASE, load.CPU, polls.TWENTY, polls.TWENTY_BARE),
    ),
    Promise(
        "the machine's reads per row of those",
        0.2,
        Bound.MOST,
        "",
        _plain(polls.CASE, polls.TWENTY, load.READS),
    ),
    Promise("capture to arrival, p50 of rows", 800, Bound.MOST, "ms", _plain(arrival.CASE, arrival.ROWS, arrival.P50)),
    Promise(
        "capture to arrival, p50 of frames", 50, Bound.MOST, "ms", _plain(arrival.CASE, arrival.FRAMES, arrival.P50)
    ),
    Promise("lateness p50 under the load of polls", 1, Bound.MOST, "ms", _plain(polls.CASE, polls.SENT, load.P50)),
    Promise("lateness p99 under that load", 5, Bound.MOST, "ms", _plain(polls.CASE, polls.SENT, load.P99_ALL)),
    Promise(
        "ticks taken, the worst source of that load", 99.9, Bound.LEAST, "%", _plain(polls.CASE, polls.SENT, load.TICKS)
    ),
    Promise("memory with sensors only", 60, Bound.MOST, "MB", _plain(polls.CASE, polls.SENSORS_ONLY, load.MEMORY)),
    Promise("memory under the load of polls", 130, Bound.MOST, "MB", _plain(polls.CASE, polls.SENT, load.MEMORY)),
    Promise("CPU with one sensor at 1 Hz, of a core", 0.2, Bound.MOST, "%", _plain(idle.CASE, idle.IDLE, idle.CPU)),
    Promise(
        "rows per CPU second ÷ the SDK, one row a call",
        20,
        Bound.LEAST,
        "",
        _ratio(_ROWS, drain.PER_CPU, drain.OURS, drain.ONE_ROW),
    ),
    Promise(
        "rows per CPU second ÷ the SDK, 1,000 rows a call",
        2.5,
        Bound.LEAST,
        "",
        _ratio(_ROWS, drain.PER_CPU, drain.OURS, drain.CALLS_OF_1000),
    ),
    Promise(
        "rate of frames ÷ the SDK from memory, 16 at once",
        0.6,
        Bound.LEAST,
        "",
        _ratio(_FRAMES, drain.RATE, drain.OURS, drain.AT_ONCE),
    ),
    Promise(
        "rate of frames ÷ the SDK, one after the other",
        1.2,
        Bound.LEAST,
        "",
        _ratio(_FRAMES, drain.RATE, drain.OURS, drain.SERIAL),
    ),
    Promise(
        "a large file: CPU per GB ÷ the SDK's way",
        0.4,
        Bound.MOST,
        "",
        _ratio(files.CASE, files.CPU, files.OURS, files.SDK),
    ),
    Promise(
        "a large file: rate ÷ the bare chunked stream",
        0.8,
        Bound.LEAST,
        "",
        _ratio(files.CASE, files.RATE, files.OURS, files.CORE),
    ),
    Promise("a large file: memory that it takes", 10, Bound.MOST, "MB", _plain(files.CASE, files.OURS, files.GROWN)),
    Promise(
        "rate of frames at 50 ms of round trip ÷ at none",
        0.8,
        Bound.LEAST,
        "",
        _ratio(_FAR, drain.RATE, growth.round_trip(50), growth.round_trip(0)),
    ),
    Promise(
        "bytes written a row, 20 sensors at 10 Hz",
        700,
        Bound.MOST,
        "B",
        _plain(written.CASE, written.MANY, written.PER_ROW),
    ),
    Promise(
        "bytes written a row, one sensor at 1 Hz",
        12_000,
        Bound.MOST,
        "B",
        _plain(written.CASE, written.SLOW, written.PER_ROW),
    ),
    Promise(
        "bytes written a byte of frames of 8 kB",
        2.5,
        Bound.MOST,
        "",
        _plain(written.CASE, written.SMALL, written.PER_BYTE),
    ),
    Promise(
        "bytes written a byte of frames of 100 kB",
        2.1,
        Bound.MOST,
        "",
        _plain(written.CASE, written.LARGE, written.PER_BYTE),
    ),
    Promise(
        "bytes written a byte captured, 100 kB", 2.1, Bound.MOST, "", _plain(spool.LARGE, spool.OURS, spool.WRITTEN)
    ),
    Promise("durable appends, 64 at a time ÷ the best of the three libraries", 5, Bound.LEAST, "", _beside_the_best),
    Promise(
        "seconds from run.sh (warm) to the first capture",
        1.2,
        Bound.MOST,
        "s",
        _plain(idle.CASE, idle.EMPTY, idle.OPEN),
    ),
    Promise(
        "the same with a backlog ÷ without one",
        1.5,
        Bound.MOST,
        "",
        _ratio(idle.CASE, idle.OPEN, idle.WAITING, idle.EMPTY),
    ),
    Promise(
        "CPU per capture, most sources ÷ fewest, captured only",
        1.3,
        Bound.MOST,
        "",
        _last_beside_first(growth.SOURCES, load.CPU, "to disk"),
    ),
    Promise(
        "CPU per capture, most sources ÷ fewest, captured and delivered",
        1.3,
        Bound.MOST,
        "",
        _last_beside_first(growth.SOURCES, load.CPU, "cloud"),
    ),
    Promise("claim, longest backlog ÷ shortest", 1.3, Bound.MOST, "", _last_beside_first(growth.BACKLOG, growth.CLAIM)),
    Promise(
        "CPU of claim and acknowledge, longest backlog ÷ shortest",
        1.3,
        Bound.MOST,
        "",
        _last_beside_first(growth.BACKLOG, growth.BOTH_CPU),
    ),
)
