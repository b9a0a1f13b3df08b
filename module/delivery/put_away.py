"""Deletes or moves a delivered file, unless somebody still writes to it.

The file is opened through ``module.files.folder_paths``, so a link below a configured folder cannot cause another file
to be deleted or moved. From the last check of the file until it is gone, a read lease is held on it. A program that
opens it for writing meanwhile has to wait, and is noticed.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import shutil
import stat
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from module.capture import FileMark, Origin
from module.delivery.wire.files import is_the_file
from module.errors import OutsideFolder
from module.files import lease
from module.files.folder_paths import naming, parent_inside, parts_inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_COPY_BYTES = 1 << 20
_MOST_NAME_BYTES = 255
"""Limit of one component of a path, on the usual file systems of Linux."""
_LONG_EXTENSION = 32
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def finish(origin: Origin, mark: FileMark) -> bool:
    """Keep, delete or move a delivered file, as ``origin.after_upload`` says; blocks, across file systems for long.

    Returns False if somebody writes to the file now; then it stays. If the file is gone, or is no longer the marked
    one, nothing is done and True is returned. ``move`` keeps the path relative to the folder, makes missing folders,
    uses ``name-1.ext``, ``name-2.ext`` … if the name exists, and returns once the move is on the disk. Raises
    ``OSError``, which names the path.
    """
    if origin.after_upload not in {"delete", "move"}:
        return True
    try:
        with parent_inside(origin.folder, mark.path) as (parent, name), naming(mark.path):
            if not is_the_file(mark, os.stat(name, dir_fd=parent, follow_symlinks=False)):
                return True
            if origin.after_upload == "move":
                return _move(origin, mark, parent, name)
            with _held(mark, parent, name) as may_go:
                if may_go:
                    os.unlink(name, dir_fd=parent)
            return may_go
    except OutsideFolder as error:
        raise OSError(errno.ELOOP, str(error), mark.path) from error
    except FileNotFoundError:
        if Path(mark.path).exists():
            raise
        return True


@contextlib.contextmanager
def _held(mark: FileMark, parent: int, name: str) -> Iterator[bool]:
    """Hold a lease on the file; yields whether it is the marked one and nobody writes to it."""
    with naming(mark.path):
        descriptor = os.open(name, _READ, dir_fd=parent)
    try:
        with lease.held(descriptor) as taken:
            with naming(mark.path):
                info = os.fstat(descriptor)
                named = os.path.samestat(info, os.stat(name, dir_fd=parent, follow_symlinks=False))
            # Last: a program that came meanwhile waits for the end of the lease.
            yield named and is_the_file(mark, info) and taken.is_free
    finally:
        os.close(descriptor)


def _move(origin: Origin, mark: FileMark, parent: int, name: str) -> bool:
    *folders, _ = parts_inside(origin.folder, mark.path)
    with naming(str(Path(origin.move_to, *folders, name))), _target(origin.move_to, folders) as target:
        taken = _take_name(target, name)
        try:
            moved = _rename(mark, parent, name, target, taken)
        except BaseException:
            os.unlink(taken, dir_fd=target)
            raise
        if not moved:
            os.unlink(taken, dir_fd=target)
        _sync(target)
        _sync(parent)
        return moved


def _take_name(target: int, name: str) -> str:
    """Make an empty file with the first free name, so that a rename onto it overwrites nobody's file."""
    path, candidate = PurePath(name), name
    for number in itertools.count(1):
        with contextlib.suppress(FileExistsError):
            os.close(os.open(candidate, _CREATE, 0o600, dir_fd=target))
            break
        candidate = _numbered(path, number)
    return candidate


def _numbered(path: PurePath, number: int) -> str:
    # A name may be as long as names can be, of which an extension is rarely much.
    suffix = path.suffix if len(path.suffix) <= _LONG_EXTENSION else ""
    tail = f"-{number}{suffix}"
    stem = (path.stem if suffix else path.name).encode()[: _MOST_NAME_BYTES - len(tail.encode())]
    return stem.decode(errors="ignore") + tail


def _rename(mark: FileMark, parent: int, name: str, target: int, taken: str) -> bool:
    """Move the file onto the empty file that was made for it; False if it must stay."""
    try:
        with _held(mark, parent, name) as may_go:
            if may_go:
                os.rename(name, taken, src_dir_fd=parent, dst_dir_fd=target)
            return may_go
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    part = f".{secrets.token_hex(8)}.part"
    try:
        _copy(parent, name, target, part)
        os.rename(part, taken, src_dir_fd=target, dst_dir_fd=target)
        # The copy's name must be on the disk before the file's own goes.
        _sync(target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part, dir_fd=target)
    # Only now: a program that opens the file must not wait for the copy.
    with _held(mark, parent, name) as may_go, naming(mark.path):
        if may_go:
            os.unlink(name, dir_fd=parent)
    return may_go


def _copy(parent: int, name: str, target: int, part: str) -> None:
    with (
        os.fdopen(os.open(name, _READ, dir_fd=parent), "rb") as source,
        os.fdopen(os.open(part, _CREATE, 0o600, dir_fd=target), "wb") as copy,
    ):
        shutil.copyfileobj(source, copy, _COPY_BYTES)
        copy.flush()
        info = os.fstat(source.fileno())
        with contextlib.suppress(PermissionError):  # exFAT and network shares have no modes
            os.fchmod(copy.fileno(), stat.S_IMODE(info.st_mode))
        os.utime(copy.fileno(), ns=(info.st_atime_ns, info.st_mtime_ns))
        os.fsync(copy.fileno())


@contextlib.contextmanager
def _target(move_to: str, folders: Sequence[str]) -> Iterator[int]:
    """Yield the open directory below ``move_to``; makes it if it is missing, and follows no link."""
    _make_folder(Path(move_to))
    descriptor = os.open(move_to, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, dir_fd=descriptor)
                _sync(descriptor)
            below = os.open(folder, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _make_folder(path: Path) -> None:
    if path.is_dir():
        return
    _make_folder(path.parent)
    path.mkdir(exist_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        # Some network file systems cannot sync a folder, and say so.
        if error.errno != errno.EINVAL:
            raise
