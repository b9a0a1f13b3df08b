"""The module's server on its socket, from the start until the module is asked to end.

The SDK's own server waits for asyncio's ``Server.wait_closed``, which from Python 3.12 on returns only when no
connection is open. viam-server keeps its connection open until the module has ended.
"""

from __future__ import annotations

import asyncio
import logging
import signal

import viam.logging
from grpclib.events import RecvRequest, listen
from viam.module.module import Module
from viam.module.service import ModuleRPCService
from viam.rpc.server import Server


class ModuleServer(Server):
    """The SDK's server, which ends on SIGTERM, SIGINT or ``end``, whatever connections are open."""

    def __init__(self, module: Module) -> None:
        """Serve what viam-server asks of ``module``; listens to nothing yet."""
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
            # Unlike the SDK's, these change nothing when they come again: systemd signals the module, and then
            # viam-server does. What was captured is still being made safe.
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
