"""Real viam-servers with the real module, and a local cloud: what every test of this folder stands on.

The tests need a ``viam-server`` on the PATH, and skip without one (``conftest.py``). Nothing leaves this computer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from grpclib.client import Channel
from viam.proto.common import DoCommandRequest
from viam.proto.service.generic import GenericServiceStub
from viam.utils import dict_to_struct

from module.local.calls import UploadMethod
from module.local.cloud import LocalCloud
from module.local.held_port import HeldPort
from tests.process.rig import ROOT

BINARY = shutil.which("viam-server")
EXAMPLE = ROOT / "examples" / "viam-server.json"
PATIENCE_S = 120
RUN_SH = "./run.sh"
"""The executable of a module entry that is to start this module."""
UPLOADER = "courier:capture:uploader"
_LOG_END = 5000
_CHANGED = re.compile(r'"activity":"reconfigure","event":"(?:complete|fail)"')


def example() -> dict[str, Any]:
    """Return the config of ``examples/viam-server.json``."""
    config: dict[str, Any] = json.loads(EXAMPLE.read_text())
    return config


def uploader(name: str = "uploader", **attributes: Any) -> dict[str, Any]:
    """Return an uploader service's entry, with the example's cloud and small waits, so that tests need not wait."""
    (cloud,) = (each["attributes"]["cloud"] for each in example()["services"])
    upload = {"batch_wait_s": 0.1, "retry_initial_s": 0.05, "retry_max_s": 0.5, **attributes.pop("upload", {})}
    spool = {"min_free_bytes": 0, **attributes.pop("spool", {})}
    attributes = {"cloud": dict(cloud), "upload": upload, "spool": spool, **attributes}
    return {"name": name, "api": "rdk:service:generic", "model": UPLOADER, "attributes": attributes}


def fake_sensor(name: str) -> dict[str, Any]:
    """Return the entry of a sensor that is built into viam-server."""
    return {"name": name, "api": "rdk:component:sensor", "model": "rdk:builtin:fake", "attributes": {}}


def config_of(services: Sequence[Mapping[str, Any]], components: Sequence[Mapping[str, Any]], **rest: Any) -> Any:
    """Return a machine's config with these entries and one entry of this module, named ``courier_capture``."""
    module = {"type": "local", "name": "courier_capture", "executable_path": RUN_SH}
    return {"modules": [module], "components": list(components), "services": list(services), **rest}


class Machine:
    """One viam-server, its config, and the cloud that it talks to.

    ``config`` may be changed at any time; ``write`` hands it to viam-server, which looks at its file again then.
    """

    def __init__(self, folder: Path, cloud: LocalCloud, address: str, config: Mapping[str, Any]) -> None:
        """Nothing runs before ``start``. ``folder`` is this machine's own, made if it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        self.cloud = cloud
        self.config: dict[str, Any] = json.loads(json.dumps(config))
        # Also while viam-server is stopped: it must be able to start there again.
        self._held = HeldPort()
        self.port = self._held.number
        self.home = folder / "viam-home"
        """``VIAM_HOME``."""
        self.log = folder / "viam-server.log"
        self.process: asyncio.subprocess.Process | None = None
        self._address = address
        self._folder = folder
        self._file = folder / "viam-server.json"
        self._pid_file = folder / "module.pid"
        self._program = folder / "start.sh"
        self._failed_starts = folder / "failed-starts"
        self.fix_module()
        self.write()

    # ------------------------------------------------------------------ the config

    def service(self, name: str | None = None) -> dict[str, Any]:
        """Return a service's entry in the config; the first one without a name."""
        services: list[dict[str, Any]] = self.config["services"]
        return services[0] if name is None else next(each for each in services if each["name"] == name)

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the first service."""
        attributes: dict[str, Any] = self.service()["attributes"]
        return attributes

    def write(self) -> None:
        """Hand the config to viam-server, with what this machine has of its own: port, cloud, program."""
        self.config.setdefault("network", {})["bind_address"] = f"127.0.0.1:{self.port}"
        for module in self.config.get("modules", ()):
            if module["executable_path"] == RUN_SH:
                module["executable_path"] = str(self._program)
        for service in self.config.get("services", ()):
            if service["model"] == UPLOADER:
                service["attributes"]["cloud"]["address"] = self._address
        self._file.write_text(json.dumps(self.config))

    async def reconfigured(self) -> None:
        """Hand the config to viam-server, and wait until it has done all that follows from it."""
        before = self._changes()
        self.write()
        await self.until(lambda: self._changes() > before, "viam-server has not taken the config")

    def _changes(self) -> int:
        """Return how many configs viam-server has taken, the first one included, in whole or with errors."""
        return len(_CHANGED.findall(self.printed()))

    def break_module(self) -> None:
        """Let the module's next starts fail, as a bad release does."""
        self._write_program(f'echo failed >> "{self._failed_starts}"\nexit 1\n')

    async def start_fails(self) -> None:
        """Wait until a start of the module has failed."""
        await self.until(self._failed_starts.exists, "no start of the module failed")

    def fix_module(self) -> None:
        """Let the module's next start succeed."""
        # As run.sh does it, with this Python, and with a note of the process that may have to be killed.
        self._write_program(
            f'echo $$ > "{self._pid_file}"\nexport PYTHONPATH="{ROOT}"\nexec "{sys.executable}" -P -m module "$@"\n'
        )

    def _write_program(self, script: str) -> None:
        # Not in place: a shell may be reading it.
        new = self._program.with_suffix(".new")
        new.write_text(f"#!/bin/sh\n{script}")
        new.chmod(0o755)
        new.rename(self._program)

    # ------------------------------------------------------------------ life

    async def start(self, **environ: str) -> None:
        """Start viam-server; returns at once."""
        assert BINARY is not None
        assert self.process is None
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("VIAM_")}
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(BINARY, "-config", str(self._file)),
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=inherited | {"HOME": str(self._folder), "VIAM_HOME": str(self.home)} | environ,
                start_new_session=True,
            )

    async def stop(self) -> int:
        """End viam-server in order; returns its exit status. Harmless if it does not run."""
        process, self.process = self.process, None
        if process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            return await asyncio.wait_for(process.wait(), 60)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            return await process.wait()

    async def kill(self) -> None:
        """End viam-server with SIGKILL; the module goes on for as long as it likes."""
        process, self.process = self.process, None
        assert process is not None
        process.kill()
        await process.wait()

    async def end(self) -> None:
        """End all that was started, at once where it does not end by itself."""
        await self.stop()
        with contextlib.suppress(ProcessLookupError, ValueError, OSError):
            os.kill(self.module_pid(), signal.SIGKILL)

    def module_pid(self) -> int:
        """Return the process id of the module that was started last."""
        return int(self._pid_file.read_text())

    async def module_started_after(self, pid: int) -> int:
        """Wait until another module than this one has been started; returns its process id."""
        await self.until(lambda: self._pid_file.read_text().strip() not in ("", str(pid)), "no other module's start")
        return self.module_pid()

    # ------------------------------------------------------------------ what can be seen of it

    async def command(self, service: str | None = None, **command: Any) -> dict[str, Any]:
        """Send a command to a service (the first one without a name) by way of viam-server. Raises GRPCError."""
        channel = Channel("127.0.0.1", self.port)
        try:
            request = DoCommandRequest(name=service or self.service()["name"], command=dict_to_struct(command))
            response = await GenericServiceStub(channel).DoCommand(request, timeout=60)
            return dict(MessageToDict(response.result))
        finally:
            channel.close()

    async def status(
        self, service: str | None = None, *, holds: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> dict[str, Any]:
        """Ask for a service's status until there is one and it ``holds``."""
        status: dict[str, Any] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    with contextlib.suppress(Exception):  # viam-server or the service may not be there yet
                        status = await self.command(service, command="status")
                        if holds(status):
                            return status
                    await asyncio.sleep(0.1)
        raise AssertionError(f"the status never came to hold: {status}\n{self.printed()[-_LOG_END:]}")

    async def arrives(self, name: str, tag: str = "", more_than: int = 0) -> None:
        """Wait until more than so many uploads of a resource, with this tag, are in the cloud."""
        try:
            await self.cloud.wait_for(lambda: self.count(name, tag) > more_than, PATIENCE_S)
        except TimeoutError:
            raise AssertionError(f"no {tag} of {name}:\n{self.printed()[-_LOG_END:]}") from None

    def count(self, name: str, tag: str = "") -> int:
        """Return how many uploads of a resource, with this tag, are in the cloud."""
        uploads = self.cloud.arrivals
        return sum(each.metadata.component_name == name and (not tag or tag in each.metadata.tags) for each in uploads)

    def rows(self, name: str, tag: str = "") -> int:
        """Return how many rows of a resource, with this tag, are in the cloud."""
        of_name = [each for each in self.cloud.arrivals if each.metadata.component_name == name]
        tabular = [each for each in of_name if each.method is UploadMethod.TABULAR]
        return sum(len(each.rows) for each in tabular if not tag or tag in each.metadata.tags)

    def printed(self) -> str:
        """Return what viam-server has logged, the module's records among it."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    async def prints(self, text: str, more_than: int = 0) -> None:
        """Wait until viam-server's log holds a text more than so many times."""
        await self.until(lambda: self.printed().count(text) > more_than, f"no {text!r} in the log")

    async def until(self, holds: Callable[[], bool], complaint: str) -> None:
        """Wait until something holds, which nothing tells."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not holds():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{complaint}:\n{self.printed()[-_LOG_END:]}") from None


@contextlib.asynccontextmanager
async def local_cloud() -> AsyncIterator[tuple[LocalCloud, str]]:
    """Run a cloud that knows the example's key and part; yields it and its address."""
    own = example()["services"][0]["attributes"]["cloud"]
    cloud = LocalCloud(None, api_keys={own["api_key_id"]: own["api_key"]}, part_ids={own["part_id"]})
    address = await cloud.start()
    try:
        yield cloud, address
    finally:
        await cloud.stop()


class Maker:
    """Makes the machines of one test, on one cloud."""

    def __init__(self, folder: Path, cloud: LocalCloud, address: str) -> None:
        self.cloud = cloud
        self._folder = folder
        self._address = address
        self._made: list[Machine] = []

    def make(self, config: Mapping[str, Any], name: str = "machine") -> Machine:
        """Return a machine in a folder of this name, not started yet."""
        machine = Machine(self._folder / name, self.cloud, self._address, config)
        self._made.append(machine)
        return machine

    async def started(self, config: Mapping[str, Any], name: str = "machine") -> Machine:
        """Return a machine that has been started."""
        machine = self.make(config, name)
        await machine.start()
        return machine

    async def end(self) -> None:
        """End all machines."""
        for machine in reversed(self._made):
            await machine.end()
