"""Making sequences in the local cloud: when, how often, and what becomes of those that it will not make."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from viam.proto.app.data import CreateSequenceRequest

from module.delivery import sequence_maker
from module.delivery.attempts import UNSURE_TRIES
from module.delivery.backoff import Backoff
from module.delivery.sequence_maker import SequenceMaker
from module.delivery.wire.cloud import Cloud
from module.errors import SpoolError
from module.local.calls import Refusal
from module.local.cloud import LocalCloud
from module.sequence import CaptureSequence, SequenceSource
from tests.delivery.rig import KEY, LOGGER, MOMENT_US, config_of, local_cloud
from tests.waiting import until

SOURCES = (SequenceSource("s", "thermometer", "Readings"), SequenceSource("e", "eye", "GetImages"))


def stopped(name: str, *, waiting_for: int = 0, **values: Any) -> CaptureSequence:
    end_us = MOMENT_US + 5_000_001
    return CaptureSequence(name, SOURCES, ("t", name), MOMENT_US, end_us, waiting_for=waiting_for, **values)


@dataclass
class Book:
    """The spool's side: what there is to make, and what was said of it."""

    all: list[CaptureSequence]
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    errors: dict[str, str] = field(default_factory=dict)
    looks: int = 0
    broken: bool = False

    async def look(self) -> list[CaptureSequence]:
        self.looks += 1
        if self.broken:
            raise SpoolError("the disk is gone")
        return list(self.all)

    async def created(self, sequence_id: str) -> None:
        self.all = [each for each in self.all if each.id != sequence_id]

    async def failed(self, sequence_id: str, error: str) -> None:
        await self.created(sequence_id)
        self.errors[sequence_id] = error


@dataclass
class Rig:
    """One book, one maker, one cloud."""

    cloud: LocalCloud
    book: Book
    maker: SequenceMaker
    client: Cloud
    clear: bool = True

    async def until(self, holds: Callable[[], bool]) -> None:
        await until(holds, lambda: (self.book, self.maker.trouble))

    async def some_looks(self) -> None:
        """Return after it has had the time to do what it should not."""
        seen = self.book.looks
        await self.until(lambda: self.book.looks >= seen + 5)

    def names(self) -> list[str]:
        return [made.request.sequence_tags[1] for made in self.cloud.sequences]


Starter = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Starter]:
    """Start a cloud and a maker of these sequences; everything ends with the test."""
    monkeypatch.setattr(sequence_maker, "LOOK_S", 0.01)
    async with contextlib.AsyncExitStack() as stack:

        async def start_rig(*waiting: CaptureSequence, api_key: str = KEY, judge: Any = None, **upload: Any) -> Rig:
            served, address = await stack.enter_async_context(local_cloud())
            served.judge_sequence = judge
            config = config_of(tmp_path / "spool", address, upload=upload, api_key=api_key)
            client = Cloud(config.cloud, timeout_s=config.upload.timeout_s, chunk_bytes=1000)
            stack.callback(client.close)
            book = Book(list(waiting))
            maker = SequenceMaker(book, client, config.upload, LOGGER, clear=lambda: rig.clear)
            rig = Rig(served, book, maker, client)
            task = asyncio.create_task(maker.run())
            stack.push_async_callback(_end, task)
            return rig

        yield start_rig


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


class Judge:
    """Refuses so many times, then lets through."""

    def __init__(self, status: grpc.StatusCode, *, times: int, name: str | None = None) -> None:
        self.calls = 0
        self._status = status
        self._times = times
        self._name = name

    async def __call__(self, request: CreateSequenceRequest) -> None:
        if self._name is not None and self._name not in request.sequence_tags:
            return
        self.calls += 1
        if self.calls <= self._times:
            raise Refusal(self._status, "not now")


async def test_the_cloud_gets_a_sequence_to_the_microsecond(start: Starter) -> None:
    rig = await start(stopped("one"))
    await rig.until(lambda: rig.book.all == [])
    (made,) = rig.cloud.sequences
    assert made.request.part_id == "part-1"
    assert [(each.resource_name, each.method_name) for each in made.request.resources] == [
        ("thermometer", "Readings"),
        ("eye", "GetImages"),
    ]
    assert list(made.request.sequence_tags) == ["t", "one"]
    assert made.request.start_time.ToDatetime(UTC) == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)
    assert made.request.end_time.ToDatetime(UTC) == datetime(2023, 11, 14, 22, 13, 25, 123457, UTC)


async def test_a_source_whose_resource_was_never_there_is_left_out_unless_it_is_alone(start: Starter) -> None:
    gone = SequenceSource("g", "gone", "")
    rig = await start(
        replace(stopped("some"), sources=(gone, *SOURCES)),
        replace(stopped("none"), sources=(gone,)),
    )
    await rig.until(lambda: len(rig.cloud.sequences) == 2)
    names = [[each.resource_name for each in made.request.resources] for made in rig.cloud.sequences]
    assert names == [["thermometer", "eye"], ["gone"]]


async def test_what_is_open_failed_or_not_all_delivered_is_let_be(start: Starter) -> None:
    rig = await start(
        CaptureSequence("open", SOURCES, ("t", "open"), MOMENT_US),
        stopped("failed", error="no"),
        stopped("waits", waiting_for=1),
        stopped("complete"),
    )
    await rig.until(lambda: rig.names() == ["complete"])
    await rig.some_looks()
    assert rig.names() == ["complete"]
    assert [each.id for each in rig.book.all] == ["open", "failed", "waits"]


async def test_with_none_waiting_it_neither_looks_nor_connects(start: Starter) -> None:
    rig = await start(CaptureSequence("open", SOURCES, ("t", "open"), MOMENT_US))
    await rig.until(lambda: rig.book.looks == 1)
    await asyncio.sleep(0.1)
    assert (rig.book.looks, rig.cloud.authentications) == (1, 0)
    rig.book.all = [stopped("one")]
    rig.book.stopped.set()
    await rig.until(lambda: rig.names() == ["one"])


@pytest.mark.parametrize(
    "status",
    [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN],
)
async def test_trouble_is_shown_and_tried_again_until_it_is_over(start: Starter, status: grpc.StatusCode) -> None:
    judge = Judge(status, times=5)
    rig = await start(stopped("one"), judge=judge)
    await rig.until(lambda: judge.calls > 0)
    await rig.until(lambda: rig.maker.trouble == {"one": f"{status.name}: not now"})
    await rig.until(lambda: rig.names() == ["one"])
    assert judge.calls == 6
    await rig.until(lambda: rig.book.all == [])
    assert (rig.maker.trouble, rig.book.errors) == ({}, {})


@pytest.mark.parametrize("status", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED])
async def test_what_the_cloud_rejects_is_kept_with_its_error_and_holds_nobody_up(
    start: Starter, status: grpc.StatusCode
) -> None:
    judge = Judge(status, times=99, name="bad")
    rig = await start(stopped("bad"), stopped("good"), judge=judge)
    await rig.until(lambda: rig.names() == ["good"])
    await rig.until(lambda: rig.book.errors == {"bad": f"{status.name}: not now"})
    assert (judge.calls, rig.maker.trouble) == (1, {})


@pytest.mark.parametrize(
    "status", [grpc.StatusCode.INTERNAL, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNKNOWN]
)
async def test_a_sequence_that_fails_again_and_again_holds_no_later_one_up(
    start: Starter, status: grpc.StatusCode
) -> None:
    """It waits for hours, the later ones for the next look."""
    judge = Judge(status, times=99, name="bad")
    rig = await start(stopped("bad"), stopped("good"), judge=judge, retry_initial_s=36_000, retry_max_s=36_000)
    await rig.until(lambda: rig.names() == ["good"])
    rig.book.all.append(stopped("better"))
    await rig.until(lambda: rig.names() == ["good", "better"])
    assert (judge.calls, rig.maker.trouble) == (1, {"bad": f"{status.name}: not now"})


async def test_a_sequence_whose_delays_are_short_does_not_take_every_look(start: Starter) -> None:
    judge = Judge(grpc.StatusCode.INTERNAL, times=9999, name="bad")
    rig = await start(stopped("bad"), stopped("good"), judge=judge, retry_initial_s=0.001, retry_max_s=0.001)
    await rig.until(lambda: rig.names() == ["good"])


async def test_of_many_sequences_one_fails_at_each_look(start: Starter) -> None:
    """A cloud that is away does not get a call for each of them at once."""
    looks: list[int] = []

    async def away(_: CreateSequenceRequest) -> None:
        looks.append(rig.book.looks)
        raise Refusal(grpc.StatusCode.UNAVAILABLE, "away")

    rig = await start(retry_initial_s=36_000, retry_max_s=36_000)
    rig.cloud.judge_sequence = away
    rig.book.all = [stopped(str(number)) for number in range(5)]
    rig.book.stopped.set()
    await rig.until(lambda: len(looks) == 5)
    await rig.some_looks()
    assert len(looks) == len(set(looks)) == 5


async def test_what_nobody_can_say_is_rejected_after_ten_tries(start: Starter) -> None:
    judge = Judge(grpc.StatusCode.UNKNOWN, times=99)
    rig = await start(stopped("bad"), judge=judge)
    await rig.until(lambda: rig.book.errors == {"bad": "UNKNOWN: not now"})
    assert judge.calls == UNSURE_TRIES


async def test_a_key_that_is_refused_is_said_without_the_key(start: Starter) -> None:
    rig = await start(stopped("one"), api_key="a-wrong-and-secret-key")
    await rig.until(lambda: rig.cloud.unauthenticated >= 3)
    assert rig.book.errors == {}
    assert "cloud.api_key" in rig.maker.trouble["one"]
    assert "a-wrong-and-secret-key" not in rig.maker.trouble["one"]


async def test_a_token_that_has_run_out_is_renewed(start: Starter) -> None:
    rig = await start(stopped("one"))
    await rig.until(lambda: rig.names() == ["one"])
    rig.cloud.forget_tokens()
    rig.book.all = [stopped("two")]
    rig.book.stopped.set()
    await rig.until(lambda: rig.names() == ["one", "two"])
    assert (rig.cloud.authentications, rig.cloud.unauthenticated) == (2, 1)


async def test_a_cloud_that_comes_back_is_found_over_a_new_connection(start: Starter) -> None:
    rig = await start(stopped("one"))
    await rig.until(lambda: rig.names() == ["one"])
    await rig.cloud.stop()
    rig.book.all = [stopped("two")]
    rig.book.stopped.set()
    await rig.until(lambda: "two" in rig.maker.trouble)
    await rig.cloud.start()
    await rig.until(lambda: rig.names() == ["one", "two"])


async def test_a_cloud_that_hangs_is_asked_again_over_a_new_connection(start: Starter) -> None:
    sessions = []

    async def hang_once(_: CreateSequenceRequest) -> None:
        sessions.append(rig.client._session)
        if len(sessions) == 1:
            # The second call may take its time.
            rig.maker._timeout_s = 30
            await asyncio.sleep(60)

    rig = await start(stopped("one"), judge=hang_once)
    rig.maker._timeout_s = 2
    await rig.until(lambda: rig.names() == ["one"])
    assert len(sessions) == 2
    assert rig.client._session is not sessions[0]


async def test_the_delays_between_tries_grow_and_begin_again_after_a_success(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []

    def delay(_: Backoff, attempt: int) -> float:
        attempts.append(attempt)
        return 0.0

    monkeypatch.setattr(Backoff, "delay", delay)
    judge = Judge(grpc.StatusCode.UNAVAILABLE, times=3)
    rig = await start(stopped("one"), judge=judge)
    await rig.until(lambda: rig.names() == ["one"])
    judge.calls = 2
    rig.book.all = [stopped("two")]
    rig.book.stopped.set()
    await rig.until(lambda: rig.names() == ["one", "two"])
    assert attempts == [0, 1, 2, 0]


async def test_while_uploads_wait_it_waits_and_then_sets_its_backoff_aside(start: Starter) -> None:
    judge = Judge(grpc.StatusCode.UNAVAILABLE, times=1)
    rig = await start(stopped("one"), judge=judge, retry_initial_s=3600, retry_max_s=3600)
    await rig.until(lambda: "one" in rig.maker.trouble)
    await rig.some_looks()
    assert judge.calls == 1
    rig.clear = False
    await rig.some_looks()
    assert judge.calls == 1
    rig.clear = True
    await rig.until(lambda: rig.names() == ["one"])


async def test_trouble_with_the_disk_passes(start: Starter) -> None:
    rig = await start(stopped("one", waiting_for=1))
    await rig.until(lambda: rig.book.looks > 0)
    rig.book.broken = True
    await rig.some_looks()
    rig.book.broken = False
    rig.book.all = [stopped("one")]
    await rig.until(lambda: rig.names() == ["one"])
