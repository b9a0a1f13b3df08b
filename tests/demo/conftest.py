from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.browser import Browser
from tests.demo.page_run import Run
from tests.local.conftest import channel, client, cloud

__all__ = ["channel", "client", "cloud"]


@pytest.fixture(scope="module")
def shared_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of a file."""
    with Browser(tmp_path_factory.mktemp("browser") / "profile") as browser:
        yield browser


@pytest.fixture
def run(tmp_path: Path, shared_browser: Browser) -> Run:
    return Run(tmp_path, shared_browser)
