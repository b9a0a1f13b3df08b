from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator

import pytest

from tests.packaging import build

_MANY = 1000


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Build the archive beside the tests that come first, where all are run: they mostly wait."""
    beside = None
    if len(session.items) > _MANY and any("archive" in getattr(item, "fixturenames", ()) for item in session.items):
        beside = threading.Thread(target=_build, name="archive", daemon=True)
        beside.start()
    result = yield
    if beside is not None:
        beside.join()
    return result


def _build() -> None:
    # Whoever asks for it then builds it once more, and tells.
    with contextlib.suppress(AssertionError, OSError):
        build.archive()
