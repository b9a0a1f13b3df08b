"""A name server that never answers: the event loop goes on, also when the channel is closed meanwhile."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from grpclib.client import UnaryUnaryMethod
from viam.proto.common import GetReadingsRequest, GetReadingsResponse

from module.network.address import Address
from module.network.channel import Channel
from tests.namespaces import raise_loopback, unshared
from tests.process.rig import ROOT

_NAMESPACES = unshared("mn")
_LONGEST_S = 4.0
"""A name server is asked for five seconds before it is given up, resolv.conf(5)."""


@pytest.mark.skipif(not _NAMESPACES, reason="the system lets nobody make namespaces here")
def test_closing_while_a_name_is_looked_up_does_not_hold_up_the_event_loop(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    mounted = f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec {sys.executable} -m {__name__}"
    done = subprocess.run(
        [*_NAMESPACES, "sh", "-c", mounted],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < _LONGEST_S


async def _longest_turn() -> float:
    channel: Any = Channel(Address("somewhere.example", 80))
    ask = UnaryUnaryMethod(channel, "/a/B", GetReadingsRequest, GetReadingsResponse)
    call = asyncio.create_task(ask(GetReadingsRequest(), timeout=30))
    await asyncio.sleep(0.3)
    assert not call.done()
    begun = time.monotonic()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    channel.close()
    return time.monotonic() - begun


if __name__ == "__main__":
    raise_loopback()
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 53))
    sys.stdout.write(str(asyncio.run(_longest_turn())))
    sys.stdout.flush()
    os._exit(0)
