"""The door of DoCommand: the SDK's own service, except what would hold the event loop up or be answered in riddles.

- A command that protobuf refuses to parse (its parsers stop at 100 messages within one another, some 30 objects) is
  answered with INVALID_ARGUMENT, where the SDK's service says UNKNOWN with a file name and a line.
- A list is turned into Python's objects a few at a time, and refused if it is too long, before any of that.
- null stays null, which the SDK's own conversion (``viam.utils.struct_to_dict``) makes 0.
"""

from __future__ import annotations

import asyncio
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import ListValue, Struct
from grpclib import GRPCError, Status
from grpclib.server import Stream
from viam.proto.common import DoCommandRequest, DoCommandResponse
from viam.resource.registry import Registry
from viam.services.generic import Generic
from viam.services.generic.service import GenericRPCService

from module.structs import plain

MOST_VALUES = 100_000
"""Of a list; whose verb allows fewer says so itself."""
_AT_ONCE = 50
_MOST_SHOWN = 80


class CommandService(GenericRPCService):
    """``viam.service.generic.v1.GenericService`` for all services of this module."""

    async def DoCommand(self, stream: Stream[DoCommandRequest, DoCommandResponse]) -> None:  # noqa: N802
        """Answer one command. Raises GRPCError as the module's docstring says, and what the command itself raises."""
        try:
            request = await stream.recv_message()
        except DecodeError as error:
            raise GRPCError(
                Status.INVALID_ARGUMENT, f"the command cannot be parsed, or is nested more than 30 deep: {error}"
            ) from error
        if request is None:
            raise GRPCError(Status.INVALID_ARGUMENT, "no command was sent")
        service: Any = self.get_resource(request.name)
        timeout = stream.deadline.time_remaining() if stream.deadline else None
        try:
            answer = await service.do_command(await _read(request.command), timeout=timeout, metadata=stream.metadata)
        except NotImplementedError as error:
            raise GRPCError(Status.UNIMPLEMENTED, f"{request.name} takes no commands") from error
        result = Struct()
        result.update(answer)
        await stream.send_message(DoCommandResponse(result=result))


async def _read(command: Struct) -> dict[str, Any]:
    return {
        name: await _read_list(name, value.list_value) if value.HasField("list_value") else plain(value)
        for name, value in command.fields.items()
    }


async def _read_list(name: str, values: ListValue) -> list[Any]:
    if len(values.values) > MOST_VALUES:
        said = name if len(name) <= _MOST_SHOWN else f"{name[: _MOST_SHOWN - 1]}…"
        raise GRPCError(
            Status.INVALID_ARGUMENT,
            f"{said}: a list of {len(values.values)} given; allowed are at most {MOST_VALUES} values",
        )
    read = []
    for index, value in enumerate(values.values):
        read.append(plain(value))
        if index % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return read


def install() -> None:
    """Let the module's server answer with this service. To be called before the server is made."""
    Registry.REGISTERED_APIS()[Generic.API].rpc_service = CommandService
