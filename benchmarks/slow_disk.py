"""A disk whose fsync takes its time: a small library between a process and the C library (ld.so(8), LD_PRELOAD)."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import NamedTuple

COMPILER = shutil.which("cc") or shutil.which("gcc")
_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static useconds_t delay(void) {
    const char *fixed = getenv("SLOW_FSYNC_US"), *file = getenv("SLOW_FSYNC_FILE");
    char text[16] = "";
    int from = file == NULL ? -1 : open(file, O_RDONLY | O_CLOEXEC);
    if (from >= 0) {
        if (read(from, text, sizeof text - 1) > 0) fixed = text;
        close(from);
    }
    return fixed == NULL ? 0 : (useconds_t) atol(fixed);
}

static int late(const char *name, int fd) {
    const char *log = getenv("SLOW_FSYNC_LOG");
    int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
    double begun = now();
    usleep(delay());
    int result = real(fd);
    if (log != NULL) {
        char link[64], path[4096] = "", line[4200];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (readlink(link, path, sizeof path - 1) < 0) path[0] = '\0';
        int size = snprintf(line, sizeof line, "%f %f %s\n", begun, now(), path);
        int to = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (to >= 0 && write(to, line, (size_t) size) != size) abort();
        if (to >= 0) close(to);
    }
    return result;
}

int fsync(int fd) { return late("fsync", fd); }
int fdatasync(int fd) { return late("fdatasync", fd); }
"""


class Sync(NamedTuple):
    """One sync of a process, in monotonic seconds."""

    begun: float
    ended: float
    path: str


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


class SlowDisk:
    """The disk of a process that is started with ``environ``: as fast as it is, until it is set."""

    def __init__(self, library: Path, folder: Path) -> None:
        self._file, self._log = folder / "slow-us", folder / "syncs"
        self.environ = {
            "LD_PRELOAD": str(library),
            "SLOW_FSYNC_FILE": str(self._file),
            "SLOW_FSYNC_LOG": str(self._log),
        }

    def set(self, milliseconds: float) -> None:
        """Let each sync take so much longer, from the next one on."""
        new = self._file.with_name("slow-us.new")
        new.write_text(str(round(milliseconds * 1000)))
        new.rename(self._file)

    def syncs(self) -> list[Sync]:
        """All syncs so far, in the order in which they ended."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [Sync(float(begun), float(ended), path) for begun, ended, path in (line.split(" ", 2) for line in lines)]
