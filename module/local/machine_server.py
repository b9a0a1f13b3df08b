"""The server of a machine that a module connects to: its resources, and calls that the SDK's robot service lacks."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import viam.module.module  # noqa: F401 - registers every API of the SDK, so that the machine can serve any resource
from grpclib import GRPCError, Status
from grpclib.server import Stream
from viam.proto.common import LogEntry, Pose, PoseInFrame
from viam.proto.robot import GetPoseRequest, GetPoseResponse, LogRequest, LogResponse
from viam.resource.base import ResourceBase
from viam.robot.service import RobotService
from viam.rpc.server import Server


class MachineServer(Server):
    """The SDK's server without signal handlers, because signals belong to the program around it."""

    def __init__(
        self, resources: Sequence[ResourceBase], on_log: Callable[[LogEntry], None], poses: Mapping[str, Pose]
    ) -> None:
        """Make the server; it does not listen yet. ``poses``: the poses of components in the frame system's world."""
        self._robot = _Robot(self, on_log, poses)
        # Services that come later override those that came before: this one, the SDK's own RobotService.
        super().__init__(list(resources), module_service=cast("Any", self._robot))
        # A socket's whole path has at most 107 characters.
        usual = tempfile.gettempdir()
        self.sockets = Path(tempfile.mkdtemp(prefix="viam-", dir=usual if len(usual) <= 60 else "/tmp"))  # noqa: PLR2004, S108

    async def open(self) -> None:
        """Listen on ``parent.sock`` in ``sockets``."""
        await self._server.start(path=str(self.sockets / "parent.sock"))

    async def shut(self) -> None:
        """Stop listening, close all resources, and delete ``sockets``."""
        with contextlib.suppress(RuntimeError):  # of a server that did not start
            # Not waited for: from Python 3.12 on that takes until all who are connected have gone.
            self._server.close()
        await self.close()  # type: ignore[no-untyped-call]
        await asyncio.to_thread(shutil.rmtree, self.sockets)

    def full_names(self) -> set[str]:
        """The name of each resource of the machine, as ``namespace:type:subtype/name``."""
        return {f"{n.namespace}:{n.type}:{n.subtype}/{n.name}" for n in self._robot.names()}


class _Robot(RobotService):
    """The SDK's robot service, which also takes a module's logs and knows the poses of components."""

    def __init__(self, machine: Server, on_log: Callable[[LogEntry], None], poses: Mapping[str, Pose]) -> None:
        super().__init__(machine)
        self._on_log = on_log
        self._poses = poses
        self.names = self._generate_metadata

    async def Log(self, stream: Stream[LogRequest, LogResponse]) -> None:  # noqa: N802 - gRPC's name
        request = await stream.recv_message()
        for entry in request.logs if request is not None else ():
            self._on_log(entry)
        await stream.send_message(LogResponse())

    async def GetPose(self, stream: Stream[GetPoseRequest, GetPoseResponse]) -> None:  # noqa: N802 - gRPC's name
        request = await stream.recv_message()
        assert request is not None  # noqa: S101 - a call of this kind has one request
        pose = self._poses.get(request.component_name)
        if request.destination_frame != "world" or pose is None:
            # What viam-server says of either.
            raise GRPCError(Status.UNKNOWN, f'frame with name "{request.component_name}" not in frame system')
        response = GetPoseResponse(pose=PoseInFrame(reference_frame="world", pose=pose))
        await stream.send_message(response)
