"""The archive of these sources, built once: by a run before, or beside the tests that come first."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from pathlib import Path

from tests.process.rig import ROOT

_LIMIT_S = 1800


def _sources() -> str:
    """Give the sum of all that an archive is made of, except its documents."""
    files = ["build.sh", "run.sh", "meta.json", "requirements-build.txt", "packaging/capture-courier.spec"]
    paths = [*(ROOT / file for file in files), ROOT / "packaging/program.py", *sorted((ROOT / "module").rglob("*.py"))]
    total = hashlib.sha256()
    for path in paths:
        total.update(f"{path.relative_to(ROOT)}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def archive() -> Path:
    """Build it, unless it is there: what is there of other sources makes way.

    Who comes while it is built waits. Raises AssertionError, with what was printed.
    """
    folder = ROOT / "build" / "archives"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = folder / f"{_sources()}.tar.gz"
        if not built.exists():
            for other in folder.glob("*.tar.gz*"):
                other.unlink()
            command = [str(ROOT / "build.sh"), str(built)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
            assert done.returncode == 0, done.stderr
    return built
