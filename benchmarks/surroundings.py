"""The machine and the versions that figures were taken with."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib import metadata
from pathlib import Path

from module import __version__

_PACKAGES = (
    "viam-sdk",
    "grpclib",
    "grpcio",
    "protobuf",
    "opencv-python-headless",
    "persist-queue",
    "diskcache",
    "litequeue",
)


def machine() -> dict[str, str]:
    """Both, in words."""
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {memory / 1e9:.0f} GB, Linux {platform.release()}",
        "versions": f"capture-courier {__version__}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, {packages}",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()
