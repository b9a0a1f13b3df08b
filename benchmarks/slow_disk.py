"""A disk whose fsync takes its time: a small library between a process and the C library (ld.so(8), LD_PRELOAD)."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

COMPILER = shutil.which("cc") or shutil.which("gcc")
_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int late(const char *name, int fd) {
    const char *given = getenv("SLOW_FSYNC_US");
    int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
    if (given != NULL) usleep((useconds_t) atol(given));
    return real(fd);
}

int fsync(int fd) { return late("fsync", fd); }
int fdatasync(int fd) { return late("fdatasync", fd); }
"""


async def built(folder: Path) -> Path:
    """The library, compiled into this folder. Raises RuntimeError when there is no compiler, or it refuses."""
    if COMPILER is None:
        raise RuntimeError("no C compiler")
    source, library = folder / "slow.c", folder / "slow.so"
    source.write_text(_SOURCE)
    command = (COMPILER, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl")
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait():
        raise RuntimeError(f"{COMPILER} refused {source}")
    return library


def slowed(library: Path, milliseconds: float) -> dict[str, str]:
    """The environment of a process whose every sync takes so much longer."""
    return {"LD_PRELOAD": str(library), "SLOW_FSYNC_US": str(round(milliseconds * 1000))}
