"""Folders of the past, and files in them, as the tests of folders make them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from module.attributes.uploader import FolderConfig
from module.capture import FileMark

NOW_S = 1_700_000_000.0
LOGGER = logging.getLogger("test.folders")


def config_of(path: Path, **attributes: Any) -> FolderConfig:
    return FolderConfig.model_construct(path=str(path), **attributes)


def write(path: Path, age_s: float = 60.0, data: bytes = b"data") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (NOW_S - age_s, NOW_S - age_s))
    return path


def names(marks: Sequence[FileMark]) -> list[str]:
    return [Path(mark.path).name for mark in marks]
