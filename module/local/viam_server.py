"""Does what viam-server does for a module: serves a machine's resources, starts the module's process, configures it.

As in viam-server (rdk's ``module/modmanager``), the module is a separate process that connects to the machine's unix
socket, ValidateConfig comes before AddResource, and dependencies are passed as full names.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

from google.protobuf.json_format import MessageToDict  # the SDK's own way makes 0 of null
from grpclib import GRPCError
from grpclib.client import Channel
from grpclib.exceptions import StreamTerminatedError
from viam.proto import module as calls
from viam.proto.app.robot import ComponentConfig
from viam.proto.common import DoCommandRequest, LogEntry, Pose
from viam.proto.service.generic import GenericServiceStub
from viam.resource.base import ResourceBase
from viam.resource.registry import Registry
from viam.resource.types import API
from viam.utils import dict_to_struct

from module import UPLOADER_MODEL
from module.errors import CourierError
from module.local.machine_server import MachineServer

GENERIC_SERVICE = "rdk:service:generic"

# How long viam-server gives a module.
_START_S = 300.0
_VALIDATE_S = 5.0
_CONFIGURE_S = 120.0
_REMOVE_S = 20.0
_EXIT_S = 10.0


class MachineError(CourierError):
    """The machine failed: the module did not start, has ended, or lacks a dependency."""


class Exit(NamedTuple):
    """How a module's process ended."""

    seconds: float
    """Time from the signal to the end."""
    code: int
    """The exit status, or the negative number of the signal that ended it."""


class ViamServer:
    """A machine with these resources, and one module: ``command`` plus a socket's path and a log level.

    ``home`` has the files that outlive the process (``VIAM_HOME``; the module's folder in it is ``module_data``).
    ``root`` is the process's working directory; ``log_file`` gets everything that the process prints. Credentials, if
    there are any, reach the module as on a cloud-managed machine. ``on_log`` is called with each record that the module
    logs.

    Use it as an async context manager, or call ``start`` and ``close``. A failure of the machine is a ``MachineError``;
    an error that the module answers is its ``GRPCError``.
    """

    logs: list[LogEntry]
    """The records that the module has logged through the machine, oldest first."""
    module_data: Path
    """The module's persistent folder, ``VIAM_MODULE_DATA``."""
    poses: dict[str, Pose]
    """The poses of components in the frame system's world; the caller fills this in."""

    def __init__(
        self,
        resources: Sequence[ResourceBase],
        command: Sequence[str],
        *,
        home: Path,
        root: Path,
        log_file: Path,
        module_name: str = "capture-courier",
        log_level: str = "info",
        part_id: str = "",
        api_key_id: str = "",
        api_key: str = "",
        environ: Mapping[str, str] | None = None,
        on_log: Callable[[LogEntry], None] | None = None,
    ) -> None:
        self.logs = []
        self.poses = {}
        self.module_data = home / "module-data" / (part_id or "local") / module_name
        self._resources = list(resources)
        self._command = tuple(command)
        self._root = root
        self._log_file = log_file
        self._log_level = log_level
        self._on_log = on_log
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VIAM_")},
            "VIAM_HOME": str(home),
            "VIAM_MODULE_DATA": str(self.module_data),
            "VIAM_MODULE_NAME": module_name,
            "VIAM_MODULE_ROOT": str(root),
            **({"VIAM_MACHINE_PART_ID": part_id} if part_id else {}),
            **({"VIAM_API_KEY_ID": api_key_id, "VIAM_API_KEY": api_key} if api_key else {}),
            **(environ or {}),
        }
        # From start to close. Through the clients the machine serves the module's resources.
        self._machine: MachineServer | None = None
        self._configs: dict[str, ComponentConfig] = {}
        self._clients: dict[str, ResourceBase] = {}
        self._process: _Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Serve the machine and start the module; returns once it is ready. If that fails, nothing is left running."""
        try:
            self._machine = MachineServer(self._resources, self._log, self.poses)
            await self._machine.open()
            await self._launch()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Remove the module's resources, end its process, and stop the machine. Idempotent."""
        with contextlib.suppress(GRPCError, StreamTerminatedError, OSError, TimeoutError):
            async with asyncio.timeout(_REMOVE_S):
                for name in list(self._configs) if self.running else ():
                    await self.remove_resource(name)
        await self.terminate()
        machine, self._machine = self._machine, None
        if machine is not None:
            await machine.shut()

    def add(self, resource: ResourceBase) -> None:
        """Add a resource to the running machine."""
        self._served().register(resource)

    async def remove(self, resource: ResourceBase) -> None:
        """Remove a resource from the running machine, and close it."""
        resources = self._served().resources
        for name in [name for name, other in resources.items() if other is resource]:
            del resources[name]
        await resource.close()  # type: ignore[no-untyped-call]

    def _served(self) -> MachineServer:
        if self._machine is None:
            raise MachineError("the machine is not running")
        return self._machine

    def _log(self, entry: LogEntry) -> None:
        self.logs.append(entry)
        if self._on_log is not None:
            self._on_log(entry)

    @property
    def channel(self) -> Channel:
        """The connection to the module, for the SDK's clients of its resources."""
        return self._running().channel

    async def validate(
        self, name: str, attributes: Mapping[str, Any], *, model: str = UPLOADER_MODEL, api: str = GENERIC_SERVICE
    ) -> tuple[list[str], list[str]]:
        """Let the module check attributes; returns the names of its required and its optional dependencies."""
        return await self._validate(_config(name, attributes, model, api))

    async def add_resource(
        self, name: str, attributes: Mapping[str, Any], *, model: str = UPLOADER_MODEL, api: str = GENERIC_SERVICE
    ) -> None:
        """Validate a resource, add it to the module with the dependencies that the machine has, and serve it."""
        await self._add(_config(name, attributes, model, api))

    async def reconfigure_resource(self, name: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Reconfigure a resource with new attributes, or (None) with the dependencies that have come or gone since."""
        config = self._configs[name]
        if attributes is not None:
            config = _config(name, attributes, config.model, config.api)
        request = calls.ReconfigureResourceRequest(config=config, dependencies=await self._dependencies(config))
        await self._running().module.ReconfigureResource(request, timeout=_CONFIGURE_S)
        self._configs[name] = config

    async def remove_resource(self, name: str) -> None:
        """Remove a resource from the module."""
        config = self._configs.pop(name)
        await self.remove(self._clients.pop(name))
        request = calls.RemoveResourceRequest(name=f"{config.api}/{name}")
        await self._running().module.RemoveResource(request, timeout=_REMOVE_S)

    async def do_command(self, name: str, command: Mapping[str, Any], timeout_s: float = 60.0) -> dict[str, Any]:
        """Send a command to a generic service of the module, and return its answer."""
        request = DoCommandRequest(name=name, command=dict_to_struct(command))
        response = await GenericServiceStub(self.channel).DoCommand(request, timeout=timeout_s)
        return dict(MessageToDict(response.result))

    async def _add(self, config: ComponentConfig) -> None:
        request = calls.AddResourceRequest(config=config, dependencies=await self._dependencies(config))
        await self._running().module.AddResource(request, timeout=_CONFIGURE_S)
        client = Registry.lookup_api(API.from_string(config.api)).create_rpc_client(config.name, self.channel)
        for method_name, method in inspect.getmembers(client, inspect.iscoroutinefunction):
            setattr(client, method_name, functools.partial(_relay, method))
        self.add(client)
        self._configs[config.name], self._clients[config.name] = config, client

    async def _validate(self, config: ComponentConfig) -> tuple[list[str], list[str]]:
        request = calls.ValidateConfigRequest(config=config)
        response = await self._running().module.ValidateConfig(request, timeout=_VALIDATE_S)
        return list(response.dependencies), list(response.optional_dependencies)

    async def _dependencies(self, config: ComponentConfig) -> list[str]:
        """Validate a config and resolve its dependencies to full names; those that are optional may be missing."""
        required, optional = await self._validate(config)
        names = self._served().full_names()
        resolved = []
        for dependency in [*required, *optional]:
            found = [name for name in names if dependency in (name, name.partition("/")[2])]
            if len(found) == 1:
                resolved += found
            elif dependency in required:
                fault = f"is ambiguous: {', '.join(sorted(found))}" if found else "does not exist on this machine"
                raise MachineError(f"{config.name}: the required dependency {dependency!r} {fault}")
        return resolved

    @property
    def running(self) -> bool:
        """Whether the module's process runs."""
        return self._process is not None and not self._process.ended.done()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._running().process.pid

    async def terminate(self) -> Exit | None:
        """Ask the process to end, and kill it after ten seconds; returns how it ended, or None if none ran."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> Exit | None:
        """End the process and its children at once (``kill -9``); returns how it ended, or None if none ran."""
        return await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Start the module again (end it first if it runs), and add the resources that it had."""
        await self.terminate()
        configs, self._configs = self._configs, {}
        while self._clients:
            await self.remove(self._clients.popitem()[1])
        await self._launch()
        for config in configs.values():
            await self._add(config)

    async def _launch(self) -> None:
        sockets = self._served().sockets
        socket = sockets / f"module-{time.monotonic_ns()}.sock"
        with await asyncio.to_thread(self._prepare) as log:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                str(socket),
                f"--log-level={self._log_level}",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._root,
                env={**self._environ, "VIAM_MODULE_ADDRESS": str(socket)},
                # Ctrl-C is for the machine, which then ends the module; and a group can be killed whole.
                start_new_session=True,
            )
        self._process = _Process(process, str(socket))
        try:
            async with asyncio.timeout(_START_S):
                await self._ready(self._process, str(sockets / "parent.sock"))
        except TimeoutError:
            await self.kill()
            raise MachineError(f"the module was not ready within {_START_S} s{self._words()}") from None

    def _prepare(self) -> BinaryIO:
        self.module_data.mkdir(parents=True, exist_ok=True)
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        return self._log_file.open("ab")

    async def _ready(self, process: _Process, parent: str) -> None:
        while not process.ended.done():
            # The socket appears a moment before it takes connections.
            with contextlib.suppress(OSError, StreamTerminatedError):
                if (await process.module.Ready(calls.ReadyRequest(parent_address=parent))).ready:
                    return
            await asyncio.wait({process.ended}, timeout=0.02)
        code = process.ended.result()
        raise MachineError(f"the module ended with status {code} before it was ready{self._words()}")

    def _words(self) -> str:
        """Return the end of the log file, for errors."""
        lines = self._log_file.read_text(errors="replace").splitlines()[-20:]
        return "; its last lines:\n" + "\n".join(lines) if lines else "; it printed nothing"

    def _running(self) -> _Process:
        if self._process is None:
            raise MachineError("the module is not running")
        return self._process

    async def _end(self, signal_number: signal.Signals) -> Exit | None:
        process, self._process = self._process, None
        return None if process is None else await process.end(signal_number)


class _Process:
    """The module's process and the connection to it."""

    def __init__(self, process: asyncio.subprocess.Process, socket: str) -> None:
        self.process = process
        self.ended = asyncio.create_task(process.wait(), name="module process")
        self.channel = Channel(path=socket)
        self.module = calls.ModuleServiceStub(self.channel)

    async def end(self, signal_number: signal.Signals) -> Exit:
        """Signal the process, kill its group if it has not ended in time, and close the connection."""
        begun = time.monotonic()
        try:
            self._signal(signal_number)
            await asyncio.wait({self.ended}, timeout=_EXIT_S)
        finally:
            self._signal(signal.SIGKILL)
            self.channel.close()
            code = await asyncio.shield(self.ended)
        return Exit(time.monotonic() - begun, code)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if not self.ended.done():
                (os.killpg if number is signal.SIGKILL else os.kill)(self.process.pid, number)


async def _relay(method: Callable[..., Awaitable[Any]], *args: Any, metadata: Any = None, **kwargs: Any) -> Any:  # noqa: ARG001
    """Call a method of an SDK client for the SDK's server, without the metadata, which the client could not read."""
    return await method(*args, **kwargs)


def _config(name: str, attributes: Mapping[str, Any], model: str, api: str) -> ComponentConfig:
    namespace, _, subtype = api.split(":")
    struct = dict_to_struct(attributes)
    return ComponentConfig(name=name, namespace=namespace, type=subtype, model=model, api=api, attributes=struct)
