"""What delivery needs of a file on disk: open it safely, read it flat in memory, and put it away once it is delivered.

A file is opened and put away through ``module.containment``, so that no link that was put below a configured folder
makes another file travel, vanish or move.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import mimetypes
import os
import secrets
import shutil
import stat
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Self

from module import file_threads
from module.capture import FileMark, Origin
from module.containment import naming, open_inside, parent_inside, parts_inside
from module.delivery.outcome import Verdict, judge_file
from module.errors import FileChanged, FileUnavailable, FileUnusable, OutsideFolder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

_COPY_BYTES = 1 << 20
_MOST_NAME_BYTES = 255
"""Of one component of a path, on the file systems that Linux keeps files on."""
_LONG_EXTENSION = 32
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KNOWN_TYPES = {
    ".jsonl": "application/x-ndjson",
    ".log": "text/plain",
    ".mkv": "video/x-matroska",
    ".ndjson": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
    ".pcd": "pointcloud/pcd",
    ".webp": "image/webp",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
_PACKED_TYPES = {
    "br": "application/x-brotli",
    "bzip2": "application/x-bzip2",
    "compress": "application/x-compress",
    "gzip": "application/gzip",
    "xz": "application/x-xz",
}


def _mime_types() -> mimetypes.MimeTypes:
    # The tables that Python brings, and no system's, so that two machines say the same of a file.
    types = mimetypes.MimeTypes()
    for extension, mime_type in _KNOWN_TYPES.items():
        types.add_type(mime_type, extension)
    return types


_MIME_TYPES = _mime_types()


def mime_type_of(extension: str) -> str:
    """The MIME type of an extension with its dot, or nothing; of ``.gz`` and its like, the one of the packed file."""
    mime_type, packed = _MIME_TYPES.guess_type(f"file{extension}", strict=False)
    return (_PACKED_TYPES.get(packed, "") if packed else mime_type) or ""


class OpenFile:
    """A file as it was when it was opened: what an upload says of it, and its bytes in chunks.

    ``async with OpenFile(folder, path) as file`` opens it in a thread of the folder, and raises as
    ``containment.open_inside`` does, or FileUnavailable if the folder does not answer.
    """

    def __init__(self, folder: str, path: str) -> None:
        self._folder = folder
        self._path = path
        self._descriptor: int | None = None
        self._info: os.stat_result

    async def __aenter__(self) -> Self:
        opening = file_threads.start(self._folder, _opened, self._folder, self._path)
        try:
            opened = await file_threads.within(self._folder, opening, file_threads.ANSWER_S)
        except (asyncio.CancelledError, FileUnavailable):
            # The thread opens it all the same, and somebody has to close it.
            opening.add_done_callback(self._close_late)
            raise
        self._descriptor, self._info = opened
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, in a thread as soon as the folder allows; does nothing where it is closed."""
        # A cancelled read may still run in its thread: it reads in vain, as nobody waits for what it gives.
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            file_threads.close(self._folder, descriptor)

    def _close_late(self, opening: asyncio.Future[tuple[int, os.stat_result]]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            file_threads.close(self._folder, opening.result()[0])

    @property
    def mark(self) -> FileMark:
        """Which file this is and in which state, to compare with the state that was captured."""
        return FileMark(path=self._path, size=self.size, modified_ns=self._info.st_mtime_ns)

    @property
    def size(self) -> int:
        """Bytes."""
        return self._info.st_size

    @property
    def created_us(self) -> int:
        """Microseconds since the epoch: when the file was made or, where Python cannot tell, its last change of state.

        So does viam-server (``utils/file_times*.go``): the birth time on macOS, the ctime on Linux.
        """
        born_s: float | None = getattr(self._info, "st_birthtime", None)
        return self._info.st_ctime_ns // 1000 if born_s is None else round(born_s * 1e6)

    @property
    def modified_us(self) -> int:
        """Microseconds since the epoch."""
        return self._info.st_mtime_ns // 1000

    @property
    def name(self) -> str:
        """The file's name without its extension, as the SDK's ``file_upload_from_path`` names it."""
        return PurePath(self._path).stem

    @property
    def extension(self) -> str:
        """The last extension with its dot, or nothing, as the SDK's ``file_upload_from_path`` has it."""
        return PurePath(self._path).suffix

    @property
    def mime_type(self) -> str:
        """The MIME type that the extension stands for, or nothing; of ``.gz`` and its like, that of the packed file."""
        return mime_type_of(self.extension)

    async def chunks(self, size: int, *, patience_s: float = file_threads.ANSWER_S) -> AsyncIterator[bytes]:
        """Give the file's bytes in chunks of ``size``, the last one shorter, each read while the last one is in use.

        There are as many bytes as the file had when it was opened, read in a thread; an empty file gives one empty
        chunk. Raises ``FileChanged`` in place of the last chunk, or before, where the file was cut, grew or was written
        to meanwhile, ``FileUnavailable`` where the disk has not answered for ``patience_s``, and as ``unreadable`` says
        if the disk returns an error.
        """
        last = max(self.size - 1, 0) // size * size
        ahead = self._start_reading(0, size, last)
        try:
            for offset in range(0, last + 1, size):
                data = await file_threads.within(self._folder, ahead, patience_s)
                if offset < last:
                    ahead = self._start_reading(offset + size, size, last)
                yield data
        finally:
            if not ahead.cancel():
                # Whoever stopped early does not ask what became of it.
                ahead.exception()

    def _start_reading(self, offset: int, size: int, last: int) -> asyncio.Future[bytes]:
        size = min(size, self.size - offset)
        return file_threads.start(self._folder, self._read, offset, size, offset == last)

    def _read(self, offset: int, size: int, last: bool) -> bytes:
        if self._descriptor is None:
            raise OSError(errno.EBADF, "The file is closed", self._path)
        try:
            data = _read_whole(self._descriptor, offset, size)
        except OSError as error:
            # The file's trouble must not be taken for the network's.
            raise unreadable(self._path, error) from error
        if len(data) < size or (last and not _is(self.mark, os.fstat(self._descriptor))):
            raise FileChanged(f"{self._path!r} was changed while it was being sent")
        return data


def unreadable(path: str, error: OSError | OutsideFolder) -> FileUnavailable | FileUnusable:
    """What to raise when a file cannot be opened or read: ``outcome.judge_file`` decides."""
    is_later = isinstance(error, OSError) and judge_file(error) is Verdict.LATER
    return (FileUnavailable if is_later else FileUnusable)(f"{path!r} cannot be read: {error}")


def _read_whole(descriptor: int, offset: int, size: int) -> bytes:
    data = os.pread(descriptor, size, offset)
    while len(data) < size:  # a network file system may give less than was asked for
        more = os.pread(descriptor, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def _opened(folder: str, path: str) -> tuple[int, os.stat_result]:
    descriptor = open_inside(folder, path)
    return descriptor, os.fstat(descriptor)


def finish(origin: Origin, mark: FileMark) -> None:
    """Do with a delivered file what ``origin.after_upload`` says; blocks, and may take long across file systems.

    A file that is gone, or that is no longer the one that was marked, stays as it is. ``move`` keeps the path relative
    to the folder, makes the folders that it needs, takes ``name-1.ext``, ``name-2.ext`` … where the name is taken, and
    returns once the move is on the disk. Raises ``OSError``, which names the path.
    """
    if origin.after_upload not in {"delete", "move"}:
        return
    try:
        with parent_inside(origin.folder, mark.path) as (parent, name), naming(mark.path):
            if not _is(mark, os.stat(name, dir_fd=parent, follow_symlinks=False)):
                return
            if origin.after_upload == "delete":
                os.unlink(name, dir_fd=parent)
            else:
                _move(origin, mark, parent, name)
    except OutsideFolder as error:
        raise OSError(errno.ELOOP, str(error), mark.path) from error
    except FileNotFoundError:
        if Path(mark.path).exists():
            raise


def _is(mark: FileMark, info: os.stat_result) -> bool:
    return stat.S_ISREG(info.st_mode) and (info.st_size, info.st_mtime_ns) == (mark.size, mark.modified_ns)


def _move(origin: Origin, mark: FileMark, parent: int, name: str) -> None:
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


def _take_name(target: int, name: str) -> str:
    """Make an empty file of the first name that is free, so that what is renamed onto it overwrites nobody's file."""
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
    """Move the file onto the name that was taken; False where it turned out to be another one."""
    try:
        os.rename(name, taken, src_dir_fd=parent, dst_dir_fd=target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    else:
        return True
    part = f".{secrets.token_hex(8)}.part"
    try:
        _copy(parent, name, target, part)
        if not _is(mark, os.stat(name, dir_fd=parent, follow_symlinks=False)):
            return False
        os.rename(part, taken, src_dir_fd=target, dst_dir_fd=target)
        # The copy's name must be on the disk before the file's own goes.
        _sync(target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part, dir_fd=target)
    with naming(mark.path):
        os.unlink(name, dir_fd=parent)
    return True


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
    """Give the open directory below ``move_to``, made where it is missing, reached through no link."""
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
