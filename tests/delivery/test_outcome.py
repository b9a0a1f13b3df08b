"""What each answer of the cloud means for the capture that was sent."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest
from grpclib import GRPCError, Status

from module.delivery.outcome import Verdict, judge, judge_file, say
from module.errors import NetworkError

BY_STATUS = {
    Status.CANCELLED: Verdict.AWAY,
    Status.UNKNOWN: Verdict.UNSURE,
    Status.INVALID_ARGUMENT: Verdict.REJECTED,
    Status.DEADLINE_EXCEEDED: Verdict.AWAY,
    Status.NOT_FOUND: Verdict.REJECTED,
    Status.ALREADY_EXISTS: Verdict.REJECTED,
    Status.PERMISSION_DENIED: Verdict.REFUSED,
    Status.RESOURCE_EXHAUSTED: Verdict.AWAY,
    Status.FAILED_PRECONDITION: Verdict.REJECTED,
    Status.ABORTED: Verdict.AWAY,
    Status.OUT_OF_RANGE: Verdict.REJECTED,
    Status.UNIMPLEMENTED: Verdict.REJECTED,
    Status.INTERNAL: Verdict.AWAY,
    Status.UNAVAILABLE: Verdict.AWAY,
    Status.DATA_LOSS: Verdict.REJECTED,
    Status.UNAUTHENTICATED: Verdict.RENEW,
}


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_every_status_has_its_meaning(status: Status) -> None:
    assert judge(GRPCError(status, "text")) is BY_STATUS[status]
    assert judge(GRPCError(status)) is BY_STATUS[status]


@pytest.mark.parametrize(
    "text",
    [
        "SERVER: Received message larger than max (5242880 vs. 4194304)",
        "grpc: received message larger than max (5242880 vs. 4194304)",
    ],
)
def test_a_message_that_is_too_large_is_no_overload(text: str) -> None:
    """As gRPC's C core and its Go library say it."""
    assert judge(GRPCError(Status.RESOURCE_EXHAUSTED, text)) is Verdict.TOO_LARGE


def test_a_part_that_the_cloud_does_not_know_is_a_refusal() -> None:
    assert judge(GRPCError(Status.UNKNOWN, "No robot part found for 'x'")) is Verdict.REFUSED


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, "Connect call failed"),
        ConnectionResetError(),
        BrokenPipeError(),
        socket.gaierror(-2, "Name or service not known"),
        TimeoutError(),
        asyncio.IncompleteReadError(b"", 1),
        NetworkError("the connection broke"),
        EOFError("the cloud ended the upload without an answer"),
    ],
)
def test_every_trouble_of_the_connection_means_that_the_cloud_is_away(error: Exception) -> None:
    assert judge(error) is Verdict.AWAY
    assert say(error)


def test_what_nobody_foresaw_is_tried_a_few_times() -> None:
    assert judge(ZeroDivisionError("?")) is Verdict.UNSURE


def test_an_error_is_one_line() -> None:
    assert say(GRPCError(Status.INTERNAL, "two\nlines\r\n  and\tmore")) == "INTERNAL: two lines and more"
    assert say(GRPCError(Status.INTERNAL)) == "INTERNAL: no message"
    assert say(GRPCError(Status.INTERNAL, "x" * 10_000)) == "INTERNAL: " + "x" * 10_000
    assert say(NetworkError("the name x does not resolve")) == "the name x does not resolve"
    assert say(ValueError("what")) == "ValueError: what"
    assert say(TimeoutError()) == "the cloud did not answer in time"
    assert say(TimeoutError("h:443 did not accept")) == "h:443 did not accept"


@pytest.mark.parametrize(
    "number",
    [
        *(
            errno.EMFILE,
            errno.ENFILE,
            errno.ENOMEM,
            errno.EIO,
            errno.ESTALE,
            errno.ETIMEDOUT,
            errno.EAGAIN,
            errno.EBUSY,
        ),
        *(errno.ENXIO, errno.ENODEV, errno.EHOSTDOWN, errno.ENOTCONN, errno.EREMOTEIO, errno.EINTR, None),
    ],
)
def test_what_a_disk_or_a_share_does_not_give_now_it_may_give_later(number: int | None) -> None:
    assert judge_file(OSError(number, "text") if number is not None else OSError("text")) is Verdict.LATER


@pytest.mark.parametrize(
    "number",
    [
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EINVAL,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EACCES,
        errno.EPERM,
    ],
)
def test_a_file_that_is_gone_or_barred_is_given_up(number: int) -> None:
    assert judge_file(OSError(number, "text")) is Verdict.REJECTED


def test_want_of_memory_is_no_rejection() -> None:
    assert judge(MemoryError()) is Verdict.LATER
