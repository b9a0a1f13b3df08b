"""``python -m module <socket>`` serves the module; ``python -m module demo`` runs the demo."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import sys

from viam.module.module import Module

import module.service as _registers_the_models  # noqa: F401
from module import log_relay

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def _keep_large_buffers() -> None:
    """Let glibc reuse buffers above 128 KiB instead of mapping and unmapping each (mallopt(3)); elsewhere, nothing."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_TRIM_THRESHOLD, 64 * 1024 * 1024)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * 1024 * 1024)
    except (OSError, AttributeError):
        return


def main() -> None:
    """Run what the command line asks for."""
    if sys.argv[1:2] == ["demo"]:
        from module.demo.main import main as demo  # noqa: PLC0415, only the demo needs the C core

        sys.exit(demo(sys.argv[2:]))
    _keep_large_buffers()
    # A corrupt image is told by its source, not by OpenCV on stderr.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    asyncio.run(_serve())
    logging.shutdown()
    sys.stdout.flush()
    # A look-up of a name may still hang in a thread, which the interpreter would wait for. All is safe by now.
    os._exit(0)


async def _serve() -> None:
    log_relay.install()
    await Module.run_from_registry()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
