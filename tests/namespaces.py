"""Commands in namespaces that the computer does not share, unshare(1): without its network, say."""

from __future__ import annotations

import fcntl
import shutil
import socket
import struct
import subprocess


def unshared(kinds: str) -> list[str]:
    """Return what runs a command in new namespaces (``n``: network, ``m``: mounts); [] if the system forbids that."""
    if shutil.which("unshare") is None:
        return []
    for command in (["unshare", f"-{kinds}"], ["unshare", f"-r{kinds}"]):
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return []


def raise_loopback() -> None:
    """Bring up the loopback interface of a new network namespace, netdevice(7)."""
    get_flags, set_flags, up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        name, flags = struct.unpack("16sh", fcntl.ioctl(control, get_flags, struct.pack("16sh", b"lo", 0)))
        if not flags & up:
            fcntl.ioctl(control, set_flags, struct.pack("16sh", name, flags | up))
