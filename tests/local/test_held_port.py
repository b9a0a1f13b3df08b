"""A port stays one server's own between two of its starts."""

from __future__ import annotations

import gc
import socket
import sys
from pathlib import Path

import pytest

from module.local.held_port import HeldPort

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a port be held")


def test_a_server_may_listen_there_again_and_again() -> None:
    port = HeldPort()
    for _ in range(3):
        with socket.create_server(("127.0.0.1", port.number)):
            pass


@on_linux
def test_no_other_is_given_it_while_no_server_listens() -> None:
    port = HeldPort()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port.number))


@on_linux
def test_it_is_free_again_with_its_owner() -> None:
    port = HeldPort()
    number = port.number
    del port
    gc.collect()
    with socket.socket() as other:
        other.bind(("127.0.0.1", number))


@on_linux
def test_no_outgoing_connection_is_given_it() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert HeldPort().number < lowest
