"""What this process has open; of a test's own files only, because threads of others open and close theirs meanwhile."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def open_around(folder: Path) -> list[str]:
    """What is open in ``folder`` and on the way to it, a path for each descriptor."""
    links = []
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208
        # Whatever is closed meanwhile is another's.
        with contextlib.suppress(OSError):
            links.append(Path(f"/proc/self/fd/{descriptor}").readlink())
    return sorted(str(link) for link in links if link.is_relative_to(folder) or folder.is_relative_to(link))
