"""What the tests of adoption stand on."""

from __future__ import annotations

import pytest

from module.spool.adoption import old_spool


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few captures are many parts."""
    monkeypatch.setattr(old_spool, "_PART_ROWS", 3)
    monkeypatch.setattr(old_spool, "_PART_FILES", 2)
