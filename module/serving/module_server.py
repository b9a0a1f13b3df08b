"""The module that viam-server calls (``ServedModule``), and its server on a socket, until it is asked to end.

The SDK's own server waits for asyncio's ``Server.wait_closed``, which from Python 3.12 on returns only when no
connection is open. viam-server keeps its connection open until the module has ended.
"""

from __future__ import annotations

import asyncio
import logging
import signal

import viam.logging
from grpclib import GRPCError, Status
from grpclib.events import RecvRequest, listen
from grpclib.metadata import Deadline
from viam.errors import ResourceNotFoundError
from viam.module.module import Module
from viam.module.service import ModuleRPCService
from viam.proto.module import AddResourceRequest, ValidateConfigRequest, ValidateConfigResponse
from viam.resource.types import RESOURCE_TYPE_COMPONENT, resource_name_from_string
from viam.robot.client import RobotClient
from viam.rpc.server import Server

from module.errors import ConfigError, answer_of


class ServedModule(Module):
    """The SDK's module, except that a refusal is only its text, and a bad dependency does not stop a resource."""

    server: ModuleServer

    def __init__(self, address: str, *, log_level: int = logging.INFO, tcp_mode: bool = False) -> None:
        """Make the SDK's module with our server."""
        super().__init__(address, log_level=log_level, tcp_mode=tcp_mode)
        self.server = ModuleServer(self)

    async def validate_config(self, request: ValidateConfigRequest) -> ValidateConfigResponse:
        """Return the dependencies of a config. Raises GRPCError; its text for refused attributes is the refusal."""
        try:
            return await super().validate_config(request)
        except GRPCError as error:
            # The SDK puts the name of a class before the text.
            if not isinstance(error.__context__, ConfigError):
                raise
            raise GRPCError(Status.INVALID_ARGUMENT, answer_of(error.__context__)) from error

    async def add_resource(self, request: AddResourceRequest, *, deadline: Deadline | None = None) -> None:
        """Build a resource with those of its dependencies that can be called; the log names the others.

        viam-server passes some dependencies by a name that it does not serve, or with an API for which the SDK has no
        client. For each the SDK raises "No … with name … found in the registry", and builds nothing.
        """
        dependencies = list(request.dependencies)
        if self.parent is not None and dependencies:
            await self.parent.refresh()  # type: ignore[no-untyped-call]
            dependencies = [name for name in dependencies if _is_served(self.parent, name)]
        for name in set(request.dependencies).difference(dependencies):
            self.logger.warning("%s cannot use %s: viam-server does not serve it, or not by this name, or Viam's SDK "
                "has no client for it", request.config.name, name)  # fmt: skip
        request = AddResourceRequest(config=request.config, dependencies=dependencies)
        await super().add_resource(request, deadline=deadline)


def _is_served(machine: RobotClient, dependency: str) -> bool:
    name = resource_name_from_string(dependency)
    get = machine.get_component if name.type == RESOURCE_TYPE_COMPONENT else machine.get_service
    try:
        get(name)
    except ResourceNotFoundError:
        return False
    return True


class ModuleServer(Server):
    """The SDK's server, which ends on SIGTERM, SIGINT or ``end``, whatever connections are open."""

    def __init__(self, module: Module) -> None:
        """Make a server for viam-server's calls of ``module``; it does not listen yet."""
        super().__init__(resources=[], module_service=ModuleRPCService(module))
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Stop serving; returns at once. A second call changes nothing."""
        self._ending.set()

    async def serve(
        self,
        host: str | None = "localhost",
        port: int | None = 9090,
        log_level: int | None = logging.INFO,
        *,
        path: str | None = None,
    ) -> None:
        """Serve on a unix socket, or without ``path`` on a TCP port, until asked to end; then close all resources."""
        if log_level is not None:
            viam.logging.setLevel(log_level)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Unlike with the SDK, a second signal changes nothing while captures are being synced:
            # viam-server repeats its signal after 3 s, and systemd signals the module too.
            loop.add_signal_handler(number, self.end)
        # The server of gRPC and the handler that logs its requests have no public names: only a subclass reaches them.
        listen(self._server, RecvRequest, self._grpc_recvrequest_handler)
        if path is None:
            await self._server.start(host, port)
        else:
            await self._server.start(path=path)
        try:
            await self._ending.wait()
        finally:
            # Stops listening and cancels requests under way, so that none makes a resource that is never closed.
            self._server.close()
            await self.close()  # type: ignore[no-untyped-call]
