"""Real processes and real connections: when the module counts as left by viam-server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from viam.robot.client import RobotClient
from viam.rpc.dial import DialOptions
from viam.rpc.server import Server

from module.serving import parent
from tests.process.rig import ROOT

PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
CHILD = """
import asyncio, os, sys
{before}
from module.serving import parent
print(os.getpid(), flush=True)
asyncio.run(parent.gone(lambda: None))
print("gone", flush=True)
"""
UNREPORTED = """
def refuse(pid, flags=0):
    raise PermissionError("as a container may")
os.pidfd_open = refuse
"""
UNKNOWN = "if hasattr(os, 'pidfd_open'): del os.pidfd_open"


@pytest.mark.parametrize("before", ["", UNREPORTED, UNKNOWN], ids=["reported", "refused", "another system"])
def test_the_end_of_the_parent_is_noticed(before: str) -> None:
    """Killed, it can tell nobody."""
    started = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD.format(before=before)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    child = int(started.stdout.readline())
    started.kill()
    started.wait()
    try:
        assert started.stdout.readline() == "gone\n"
    finally:
        started.stdout.close()
        _end(child)


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_a_parent_that_ended_before_it_was_watched_counts_as_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may belong to another process by then."""
    monkeypatch.setattr(parent, "_STARTED_BY", os.getpid())
    asyncio.run(asyncio.wait_for(parent.gone(lambda: None), 60))


class Machine:
    """The SDK's server behind a socket whose connections can be cut, and a client of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "parent.sock"
        self.accepted = 0
        self._inner = folder / "inner.sock"
        self._server = Server([])
        self._writers: list[asyncio.StreamWriter] = []
        self._pipes: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        await self._server._server.start(path=str(self._inner))
        self._door = await asyncio.start_unix_server(self._accept, self.path)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(self._inner)
        self._writers += [writer, inner_writer]
        # Not before: what counts as accepted can be cut.
        self.accepted += 1
        for one in (self._pass(reader, inner_writer), self._pass(inner_reader, writer)):
            pipe = asyncio.create_task(one)
            self._pipes.add(pipe)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)

    async def dial(self) -> RobotClient:
        options = DialOptions(disable_webrtc=True, insecure=True)
        return await RobotClient.at_address(str(self.path), RobotClient.Options(dial_options=options))

    def hang_up(self) -> None:
        """Close what is connected; new connections are taken."""
        while self._writers:
            self._writers.pop().close()

    def shut(self) -> None:
        """Take no new connections; what is connected stays."""
        self._door.close()
        self.path.unlink(missing_ok=True)

    async def end(self) -> None:
        self.shut()
        self.hang_up()
        self._server._server.close()
        await asyncio.gather(*self._pipes)


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    made = Machine(tmp_path)
    await made.listen()
    yield made
    await made.end()


async def test_a_closed_connection_counts_only_if_its_address_refuses(machine: Machine) -> None:
    client = await machine.dial()
    watch = asyncio.create_task(parent.gone(lambda: client))
    machine.hang_up()
    async with asyncio.timeout(60):
        while machine.accepted < 2:
            await asyncio.sleep(0.01)
    assert not watch.done()
    machine.shut()
    machine.hang_up()
    await asyncio.wait_for(watch, 60)
    await client.close()  # type: ignore[no-untyped-call]


async def test_a_refusal_counts_only_once_the_connection_is_closed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's clean-up of /tmp may remove the socket's file."""
    monkeypatch.setattr(parent, "_LOOK_S", 0.01)
    client = await machine.dial()
    watch = asyncio.create_task(parent.gone(lambda: client))
    machine.shut()
    await asyncio.sleep(0.2)
    assert not watch.done()
    machine.hang_up()
    await asyncio.wait_for(watch, 60)
    await client.close()  # type: ignore[no-untyped-call]
