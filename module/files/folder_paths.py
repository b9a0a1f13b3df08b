"""Decides whether a path is in a configured folder, and opens files there. No other file does this.

The configured folder and the path to it are trusted. Everything below it is not: somebody who may write there can make
a link, or swap one in between a check and an open. So ``resolve_inside`` only says what a path means now.
``open_inside`` and ``parent_inside`` go down from the folder one component at a time, and follow no link at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from module.capture import FileMark
from module.errors import OutsideFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

# A fifo that nobody writes to must not hold the opener up, nor a terminal become the module's own.
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def resolve_inside(folder: str, path: str) -> str:
    """Return the real path, all links resolved, of the regular file that ``path`` names inside ``folder``.

    A relative path begins at the folder. Raises ``OutsideFolder`` for a path outside, whether it exists or not, so that
    nobody can find out what exists there. Raises ``FileNotFoundError``, ``PermissionError``, ``IsADirectoryError`` or
    another ``OSError`` for a path inside that is no readable file.
    """
    try:
        root = os.path.realpath(folder)
        real = os.path.realpath(Path(root) / path)
    except ValueError as error:  # a NUL, which no file's name can hold
        raise _os_error(errno.ENOENT, path) from error
    if real != root and not real.startswith(_prefix(root)):
        raise OutsideFolder(f"{path!r} leads out of {folder!r}")
    _require_regular(Path(real).stat(), path)
    return real


def mark_inside(folder: str, path: str) -> FileMark:
    """Return the mark of the file that ``path`` names inside ``folder``; raises as ``resolve_inside`` does.

    Raises ``UnicodeEncodeError`` if a link leads to a name that is not UTF-8: no upload's metadata can hold it.
    """
    real = resolve_inside(folder, path)
    real.encode()
    return FileMark.of(real, Path(real).stat())


def open_inside(folder: str, path: str) -> int:
    """Open a regular file below ``folder`` for reading, and return its descriptor, even if a link is swapped in.

    ``path`` is absolute and has no links below the folder, as ``resolve_inside`` returns it. Raises ``OutsideFolder``
    for a path outside or through a link; ``IsADirectoryError`` for a folder; ``OSError`` (``EINVAL``) for a fifo, a
    device or a socket, which are never opened; and any other ``OSError`` of the system.
    """
    with parent_inside(folder, path) as (parent, name), naming(path), _refusing_links(path, parent, name):
        # Checked before it is opened, because opening a device can have effects; and after, because it may be swapped.
        _require_regular(os.stat(name, dir_fd=parent, follow_symlinks=False), path)
        descriptor = os.open(name, _OPEN_FILE, dir_fd=parent)
        try:
            _require_regular(os.fstat(descriptor), path)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor


@contextlib.contextmanager
def parent_inside(folder: str, path: str) -> Iterator[tuple[int, str]]:
    """Yield the open directory of ``path``, reached from ``folder`` without any link, and the last component.

    Raises as ``open_inside`` does.
    """
    *folders, name = parts_inside(folder, path)
    descriptor = os.open(os.path.realpath(folder), _OPEN_FOLDER)
    try:
        for component in folders:
            with naming(path), _refusing_links(path, descriptor, component):
                below = os.open(component, _OPEN_FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor, name
    finally:
        os.close(descriptor)


def parts_inside(folder: str, path: str) -> tuple[str, ...]:
    """Return the components of ``path`` below ``folder``, at least one; raises ``OutsideFolder`` if there are none.

    The path may name the folder as it was configured, or by its real path.
    """
    for root in (os.path.realpath(folder), os.path.normpath(folder)):
        if path.startswith(_prefix(root)):
            parts = tuple(part for part in path[len(_prefix(root)) :].split("/") if part not in {"", "."})
            if parts and ".." not in parts:
                return parts
    raise OutsideFolder(f"{path!r} does not lie in {folder!r}")


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Make each ``OSError`` of the block name a whole path: its own if that is absolute, otherwise this one."""
    try:
        yield
    except OSError as error:
        if isinstance(error.filename, str) and error.filename.startswith("/"):
            raise
        raise OSError(error.errno, error.strerror, path) from error


def _prefix(root: str) -> str:
    return root.rstrip("/") + "/"


def _require_regular(info: os.stat_result, path: str) -> None:
    if stat.S_ISLNK(info.st_mode):
        raise _link(path)
    if stat.S_ISDIR(info.st_mode):
        raise _os_error(errno.EISDIR, path)
    if not stat.S_ISREG(info.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file", path)


@contextlib.contextmanager
def _refusing_links(path: str, parent: int, name: str) -> Iterator[None]:
    """Raise ``OutsideFolder`` if ``name`` is a link; other errors stay as they are."""
    try:
        yield
    except OSError as error:
        # A link with O_NOFOLLOW is ELOOP; if O_DIRECTORY is set too, Linux returns ENOTDIR.
        if error.errno in {errno.ELOOP, errno.ENOTDIR} and _is_link(parent, name):
            raise _link(path) from error
        raise


def _is_link(parent: int, name: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _link(path: str) -> OutsideFolder:
    return OutsideFolder(f"{path!r} leads through a link, and links are not followed here")


def _os_error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)
