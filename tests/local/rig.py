"""A local cloud that keeps all it is given, and clients that it lets in."""

from __future__ import annotations

from pathlib import Path

from grpclib.client import Channel
from viam.app.data_client import DataClient
from viam.proto.rpc.auth import AuthenticateRequest, AuthServiceStub, Credentials

from module.local.cloud import LocalCloud


def local_cloud(folder: Path | None, *, max_message_bytes: int = 4 * 1024 * 1024) -> LocalCloud:
    return LocalCloud(
        folder,
        api_keys={"key-id": "secret"},
        part_ids=["part"],
        max_message_bytes=max_message_bytes,
        keep_payloads=True,
        record_messages=True,
    )


def channel_to(address: str) -> Channel:
    return Channel("127.0.0.1", int(address.rpartition(":")[2]))


async def token(channel: Channel, entity: str = "key-id", key: str = "secret", kind: str = "api-key") -> str:
    request = AuthenticateRequest(entity=entity, credentials=Credentials(type=kind, payload=key))
    return str((await AuthServiceStub(channel).Authenticate(request)).access_token)


async def client_on(channel: Channel) -> DataClient:
    return DataClient(channel, {"authorization": f"Bearer {await token(channel)}"})
