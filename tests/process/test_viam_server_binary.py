"""``examples/viam-server.json`` under a real viam-server: captures, reconfigures, outlives a kill, loses nothing.

It needs a ``viam-server`` on the PATH, and skips without one. Its cloud is the local one; nothing leaves this computer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from grpclib.client import Channel
from viam.proto.common import DoCommandRequest
from viam.proto.service.generic import GenericServiceStub
from viam.utils import dict_to_struct

from module.demo.cloud import LocalCloud, UploadMethod
from tests.process.rig import ROOT

BINARY = shutil.which("viam-server")
EXAMPLE = ROOT / "examples" / "viam-server.json"
PATIENCE_S = 120

pytestmark = pytest.mark.skipif(BINARY is None, reason="no viam-server on the PATH")


class Machine:
    """A viam-server with the example's config, and the cloud that it talks to."""

    def __init__(self, folder: Path, cloud: LocalCloud, address: str) -> None:
        self.cloud = cloud
        self.config = json.loads(EXAMPLE.read_text())
        self.port = _free_port()
        self.log = folder / "viam-server.log"
        self._folder = folder
        self._file = folder / "viam-server.json"
        self._pid_file = folder / "module.pid"
        # As run.sh does it, with this Python, and telling the process that is to be killed.
        start = folder / "start.sh"
        start.write_text(
            f'#!/bin/sh\necho $$ > "{self._pid_file}"\nexport PYTHONPATH="{ROOT}"\n'
            f'exec "{sys.executable}" -P -m module "$@"\n'
        )
        start.chmod(0o755)
        self.config["modules"][0]["executable_path"] = str(start)
        self.config["network"]["bind_address"] = f"127.0.0.1:{self.port}"
        self.attributes["cloud"]["address"] = address
        self.write()

    @property
    def attributes(self) -> dict[str, Any]:
        attributes: dict[str, Any] = self.config["services"][0]["attributes"]
        return attributes

    def write(self) -> None:
        """Give viam-server the config: it looks at the file again when it changes."""
        self._file.write_text(json.dumps(self.config))

    def module_pid(self) -> int:
        return int(self._pid_file.read_text())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        assert BINARY is not None
        environ = {name: value for name, value in os.environ.items() if not name.startswith("VIAM_")}
        with self.log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(BINARY, "-config", str(self._file)),
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=environ | {"HOME": str(self._folder)},
                start_new_session=True,
            )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 60)
            except TimeoutError:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    async def command(self, **command: Any) -> dict[str, Any]:
        channel = Channel("127.0.0.1", self.port)
        try:
            request = DoCommandRequest(name=self.config["services"][0]["name"], command=dict_to_struct(command))
            response = await GenericServiceStub(channel).DoCommand(request, timeout=60)
            return dict(MessageToDict(response.result))
        finally:
            channel.close()

    async def arrives(self, name: str, tag: str, more_than: int = 0) -> None:
        """Wait until more than so many uploads of a resource with this tag are in the cloud."""
        try:
            await self.cloud.wait_for(lambda: self.count(name, tag) > more_than, PATIENCE_S)
        except TimeoutError:
            raise AssertionError(f"no {tag} of {name}:\n{self.log.read_text(errors='replace')[-5000:]}") from None

    def count(self, name: str, tag: str) -> int:
        uploads = self.cloud.arrivals
        return sum(each.metadata.component_name == name and tag in each.metadata.tags for each in uploads)


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    own = json.loads(EXAMPLE.read_text())["services"][0]["attributes"]["cloud"]
    cloud = LocalCloud(None, api_keys={own["api_key_id"]: own["api_key"]}, part_ids={own["part_id"]})
    made = Machine(tmp_path, cloud, await cloud.start())
    try:
        async with made.running():
            yield made
    finally:
        await cloud.stop()


async def test_a_machine_captures_reconfigures_and_comes_back(machine: Machine) -> None:
    await machine.arrives("sensor", "readings")
    await machine.arrives("camera", "images")

    for source in machine.attributes["sources"]:
        source["tags"] = [*source["tags"], "changed"]
    machine.write()
    await machine.arrives("sensor", "changed")
    await machine.arrives("camera", "changed")

    killed = machine.module_pid()
    os.kill(killed, signal.SIGKILL)
    before = machine.count("sensor", "changed")
    async with asyncio.timeout(PATIENCE_S):
        while machine.module_pid() == killed:
            await asyncio.sleep(0.1)
    # What the killed process had sent and not yet seen answered may still be counted: well more than that.
    await machine.arrives("sensor", "changed", before + 10)

    await machine.command(command="pause", what="capture")
    flushed = await machine.command(command="flush", timeout_s=30)
    assert flushed == {"remaining_items": 0, "remaining_bytes": 0}
    status = await machine.command(command="status")
    assert status["spool"]["failed"] == 0
    rows = [row for each in machine.cloud.arrivals if each.method is UploadMethod.TABULAR for row in each.rows]
    assert len(rows) >= status["sources"]["sensor"]["captured"] > 0
