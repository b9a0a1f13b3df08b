"""Whether somebody has a file open for writing, as the kernel tells."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from module.files import lease
from module.files.lease import Standing

pytestmark = pytest.mark.skipif(not hasattr(fcntl, "F_SETLEASE"), reason="this system has no leases")
NOBODY = 65534
ROOT = Path(__file__).parents[2]
WRITER = """
import os, sys
path, user = sys.argv[1:]
os.setuid(int(user))
os.write(os.open(path, os.O_WRONLY | os.O_APPEND), b"more")
"""
ASKER = """
import os, sys
from module.files import lease
lease.ignore_signal()
os.setuid(int(sys.argv[1]))
with lease.held(0) as found:
    print(found.standing.value)
"""


@pytest.fixture(autouse=True)
def ignored() -> Iterator[None]:
    before = signal.getsignal(signal.SIGIO)
    lease.ignore_signal()
    yield
    signal.signal(signal.SIGIO, before)


@pytest.fixture
def file() -> Iterator[Path]:
    """A file that any user may write to, in a folder that any user may enter."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        path = Path(made, "chunk")
        path.write_bytes(b"first")
        path.chmod(0o666)
        yield path


@pytest.fixture
def descriptor(file: Path) -> Iterator[int]:
    made = os.open(file, os.O_RDONLY)
    yield made
    os.close(made)


def _standing(descriptor: int) -> Standing:
    with lease.held(descriptor) as found:
        return found.standing


def test_a_file_is_free_once_nobody_has_it_open_for_writing(file: Path, descriptor: int) -> None:
    assert _standing(descriptor) is Standing.FREE
    with file.open("ab"):
        assert _standing(descriptor) is Standing.WRITTEN
    assert _standing(descriptor) is Standing.FREE


def test_a_writable_mapping_counts_though_its_descriptor_is_closed(file: Path, descriptor: int) -> None:
    with file.open("r+b") as written:
        mapped = mmap.mmap(written.fileno(), 0)
    assert _standing(descriptor) is Standing.WRITTEN
    mapped.close()
    assert _standing(descriptor) is Standing.FREE


@pytest.mark.parametrize("user", [None, NOBODY])
def test_who_opens_within_the_lease_waits_for_its_end_and_is_seen(
    file: Path, descriptor: int, user: int | None
) -> None:
    """As the file's user and as another; this process is not ended by the signal that says so."""
    if user is not None and os.geteuid() != 0:
        pytest.skip("only root can start a process of another user")
    with lease.held(descriptor) as found:
        assert found.is_free
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(file), str(user or os.getuid())])
        until = time.monotonic() + 20
        while found.is_free and time.monotonic() < until:
            time.sleep(0.01)
        assert not found.is_free
        assert writer.poll() is None
        assert file.read_bytes() == b"first"
    assert writer.wait(20) == 0
    assert file.read_bytes() == b"firstmore"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EINVAL, errno.ENOLCK])
def test_only_eagain_says_that_somebody_writes(descriptor: int, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with lease.held(descriptor) as found:
        assert (found.standing, found.is_free, found.reason) == (Standing.UNKNOWN, True, os.strerror(number))


def test_another_users_file_without_the_right_to_a_lease_is_unknown(file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can start a process of another user")
    with file.open("rb") as given:
        command = [sys.executable, "-c", ASKER, str(NOBODY)]
        done = subprocess.run(command, stdin=given, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    assert done.stdout.split() == [b"unknown"]


def test_no_lease_is_taken_while_its_signal_would_end_the_process(descriptor: int) -> None:
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    with lease.held(descriptor) as found:
        assert found.standing is Standing.UNKNOWN
        assert fcntl.fcntl(descriptor, fcntl.F_GETLEASE) == fcntl.F_UNLCK
