"""Makes a folder hang, as a network share does whose server has gone: what reads it in this process never returns.

On the PYTHONPATH of a process. ``HANGING_FOLDER`` is the folder; it hangs while a fifo stands at ``HANGING_FIFO``,
which nobody writes to.
"""

import os
from typing import Any

_scandir, _pread = os.scandir, os.pread


def _wait(path: str) -> None:
    if path.startswith(os.environ["HANGING_FOLDER"]) and os.path.exists(os.environ["HANGING_FIFO"]):  # noqa: PTH110
        os.close(os.open(os.environ["HANGING_FIFO"], os.O_RDONLY))


def scandir(path: Any) -> Any:
    _wait(os.fspath(path))
    return _scandir(path)


def pread(descriptor: int, size: int, offset: int) -> bytes:
    _wait(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115
    return _pread(descriptor, size, offset)


os.scandir = scandir  # type: ignore[assignment]
os.pread = pread
