"""The discovery service where viam-server cannot be asked; what it finds is tested on a whole machine."""

from __future__ import annotations

import asyncio

import pytest
from grpclib import Status
from viam.errors import ViamGRPCError
from viam.proto.app.robot import ComponentConfig

from module.discovery import service as under_test
from module.discovery.service import Discoverer


class Hung:
    """A connection to a viam-server that gives no answer."""

    async def refresh(self) -> None:
        await asyncio.Event().wait()


class Lost:
    """A connection that has gone."""

    async def refresh(self) -> None:
        raise ConnectionResetError("the socket is closed")


@pytest.mark.parametrize(
    ("machine", "says"),
    [
        (None, "there is no connection to viam-server yet"),
        (Hung(), "viam-server does not list its resources: TimeoutError"),
        (Lost(), "viam-server does not list its resources: the socket is closed"),
    ],
    ids=["none", "hung", "lost"],
)
async def test_without_viam_server_it_says_so_in_time(
    monkeypatch: pytest.MonkeyPatch, machine: object, says: str
) -> None:
    monkeypatch.setattr(under_test, "_LIST_S", 0.05)
    monkeypatch.setattr(Discoverer, "machine", staticmethod(lambda: machine))
    service = Discoverer.new(ComponentConfig(name="d"), {})
    with pytest.raises(ViamGRPCError) as refusal:
        await service.discover_resources(timeout=5)
    assert (refusal.value.grpc_code, refusal.value.message) == (Status.UNAVAILABLE, says)
