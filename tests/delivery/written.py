"""Files on disk as the tests of delivery write them, each with one date."""

from __future__ import annotations

import os
from pathlib import Path

from module.capture import FileMark

MODIFIED_NS = 1_700_000_000_123_456_789


def write_file(path: Path, data: bytes = b"data") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(MODIFIED_NS, MODIFIED_NS))
    return path


def mark_of_file(path: Path) -> FileMark:
    info = path.stat()
    return FileMark(path=str(path), size=info.st_size, modified_ns=info.st_mtime_ns)
