"""Receives DoCommand. It is the SDK's service, except that it does not block the event loop, and its errors are clear.

- Protobuf's parsers refuse more than 100 nested messages, some 30 objects. Such a command is answered with
  INVALID_ARGUMENT; the SDK's service answers UNKNOWN, with a file name and a line.
- A list that is too long is refused. A list that is not is turned into Python's objects a few at a time.
- null stays null; the SDK's conversion (``viam.utils.struct_to_dict``) makes it 0.
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
"""Limit of values in a list; a verb that allows fewer refuses by itself."""
_AT_ONCE = 50
_MOST_SHOWN = 80


class CommandService(GenericRPCService):
    """``viam.service.generic.v1.GenericService`` for all services of this module."""

    async def DoCommand(self, stream: Stream[DoCommandRequest, DoCommandResponse]) -> None:  # noqa: N802
        """Answer one command. Raises GRPCError as the top of this file says, and the errors of the command itself."""
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
    """Make the module's server use this service. Call it before the server is made."""
    Registry.REGISTERED_APIS()[Generic.API].rpc_service = CommandService
