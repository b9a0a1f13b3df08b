"""The local cloud's ``CreateSequence``, spoken to with the SDK's own client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from grpclib import GRPCError, Status
from grpclib.client import Channel
from viam.app.data_client import DataClient
from viam.proto.app.data import CreateSequenceRequest, SequenceResourceFilter
from viam.proto.rpc.auth import AuthenticateRequest, AuthServiceStub, Credentials

from module.local.calls import Refusal
from module.local.cloud import LocalCloud

START, END = datetime(2025, 1, 2, 3, 4, 5, 678000, tzinfo=UTC), datetime(2025, 1, 2, 3, 5, tzinfo=UTC)
RESOURCES = [SequenceResourceFilter(resource_name="eye", method_name="GetImages")]


@pytest.fixture
async def cloud() -> AsyncIterator[LocalCloud]:
    cloud = LocalCloud(None, api_keys={"key-id": "secret"}, part_ids=["part"])
    yield cloud
    await cloud.stop()


@pytest.fixture
async def client(cloud: LocalCloud) -> AsyncIterator[DataClient]:
    async with Channel("127.0.0.1", int((await cloud.start()).rpartition(":")[2])) as channel:
        key = Credentials(type="api-key", payload="secret")
        answer = await AuthServiceStub(channel).Authenticate(AuthenticateRequest(entity="key-id", credentials=key))
        yield DataClient(channel, {"authorization": f"Bearer {answer.access_token}"})


async def test_a_sequence_is_kept_as_it_was_asked_for(cloud: LocalCloud, client: DataClient) -> None:
    answer = await client.create_sequence("part", RESOURCES, START, END, ["a", "b"])
    await cloud.wait_for(lambda: len(cloud.sequences) == 1, 30)
    (made,) = cloud.sequences
    assert made.sequence_id == answer
    assert (made.request.part_id, list(made.request.resources)) == ("part", RESOURCES)
    assert list(made.request.sequence_tags) == ["a", "b"]
    assert (made.request.start_time.ToDatetime(UTC), made.request.end_time.ToDatetime(UTC)) == (START, END)


async def test_without_a_good_token_nothing_is_made(cloud: LocalCloud, client: DataClient) -> None:
    cloud.forget_tokens()
    with pytest.raises(GRPCError) as refusal:
        await client.create_sequence("part", RESOURCES, START, END)
    assert (refusal.value.status, cloud.unauthenticated, cloud.sequences) == (Status.UNAUTHENTICATED, 1, [])


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"part_id": "other"}, Status.UNKNOWN),
        ({"resources": []}, Status.INVALID_ARGUMENT),
        ({"end_time": datetime(2025, 1, 1, tzinfo=UTC)}, Status.INVALID_ARGUMENT),
    ],
)
async def test_what_makes_no_sense_is_refused(
    cloud: LocalCloud, client: DataClient, change: dict[str, Any], status: Status
) -> None:
    good: dict[str, Any] = {"part_id": "part", "resources": RESOURCES, "start_time": START, "end_time": END}
    with pytest.raises(GRPCError) as refusal:
        await client.create_sequence(**{**good, **change})
    assert (refusal.value.status, cloud.sequences) == (status, [])


async def test_a_judge_decides(cloud: LocalCloud, client: DataClient) -> None:
    async def refuse(request: CreateSequenceRequest) -> None:
        raise Refusal(grpc.StatusCode.UNAVAILABLE, request.part_id)

    cloud.judge_sequence = refuse
    with pytest.raises(GRPCError) as refusal:
        await client.create_sequence("part", RESOURCES, START, END)
    assert (refusal.value.status, refusal.value.message, cloud.sequences) == (Status.UNAVAILABLE, "part", [])
