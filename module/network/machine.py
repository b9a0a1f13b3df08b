"""Calls the machine's resources over our channel instead of the SDK's.

The resources that viam-server passed stay as they are, so other code can still use the SDK's channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grpclib.client import Channel as SdkChannel
from viam.proto.common import ResourceName
from viam.resource.base import ResourceBase
from viam.resource.registry import Registry
from viam.resource.types import API

from module.network.address import Address, unix
from module.network.channel import Channel


class MachineRoad:
    """The clients of a machine's resources, with one channel for each address."""

    def __init__(self, resources: Mapping[ResourceName, ResourceBase]) -> None:
        """Connect to nothing yet. ``resources``: those that viam-server passed."""
        self._channels: dict[Address, Channel] = {}
        self.resources = {name: self._on_ours(name, resource) for name, resource in resources.items()}
        """Our clients, by the same names. A resource that is no client, or that needs credentials, is unchanged."""

    def _on_ours(self, name: ResourceName, resource: ResourceBase) -> ResourceBase:
        address = _address_of(getattr(resource, "channel", None))
        if address is None:
            return resource
        channel = self._channels.setdefault(address, Channel(address))
        client: ResourceBase = Registry.lookup_api(API.from_resource_name(name)).create_rpc_client(
            resource.name,
            channel,  # type: ignore[arg-type]
        )
        return client

    def close(self) -> None:
        """Close the connections; polls that are under way fail."""
        for channel in self._channels.values():
            channel.close()


def _address_of(channel: Any) -> Address | None:
    # A subclass of the SDK's has credentials. The address has no public name.
    if type(channel) is not SdkChannel or channel._ssl is not None:  # noqa: SLF001
        return None
    if channel._path is not None:  # noqa: SLF001
        return unix(channel._path)  # noqa: SLF001
    return Address(channel._host, channel._port)  # noqa: SLF001
