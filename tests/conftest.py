from __future__ import annotations

import fcntl
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from module.files import lease

# How long an example takes is up to what else the computer does.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


@pytest.fixture
def leases() -> Iterator[None]:
    """SIGIO is ignored, as the module's process has it, so that leases can be taken."""
    if not hasattr(fcntl, "F_SETLEASE"):
        pytest.skip("this system has no leases")
    before = signal.getsignal(signal.SIGIO)
    lease.ignore_signal()
    yield
    signal.signal(signal.SIGIO, before)
