"""Opens a file on disk safely, and reads it for delivery in constant memory.

A file is opened through ``module.files.folder_paths``, so a link below a configured folder cannot cause another file to
be sent.
"""

from __future__ import annotations

import asyncio
import errno
import mimetypes
import os
import stat
from pathlib import PurePath
from typing import TYPE_CHECKING, Self

from module.capture import FileMark
from module.delivery.outcome import Verdict, judge_file
from module.errors import FileChanged, FileUnavailable, FileUnusable, OutsideFolder
from module.files import threads
from module.files.folder_paths import open_inside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
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
    # Python's own tables, not the system's, so that all machines find the same type for a file.
    types = mimetypes.MimeTypes()
    for extension, mime_type in _KNOWN_TYPES.items():
        types.add_type(mime_type, extension)
    return types


_MIME_TYPES = _mime_types()


def mime_type_of(extension: str) -> str:
    """Return the MIME type of an extension (with its dot), or an empty text; for ``.gz``, that of the packed file."""
    mime_type, packed = _MIME_TYPES.guess_type(f"file{extension}", strict=False)
    return (_PACKED_TYPES.get(packed, "") if packed else mime_type) or ""


class OpenFile:
    """A file as it was when it was opened: its metadata for an upload, and its bytes in chunks.

    ``async with OpenFile(folder, path) as file`` opens it in a thread of the folder. It raises as
    ``folder_paths.open_inside`` does, or FileUnavailable if the folder does not answer.
    """

    def __init__(self, folder: str, path: str) -> None:
        self._folder = folder
        self._path = path
        self._descriptor: int | None = None
        self._info: os.stat_result

    async def __aenter__(self) -> Self:
        opening = threads.start(self._folder, _opened, self._folder, self._path)
        try:
            opened = await threads.within(self._folder, opening, threads.ANSWER_S)
        except (asyncio.CancelledError, FileUnavailable):
            # The thread opens it anyway, and it must be closed.
            opening.add_done_callback(self._close_late)
            raise
        self._descriptor, self._info = opened
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file in a thread of its folder; does nothing if it is closed."""
        # A cancelled read may still run in its thread; nobody waits for its result.
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            threads.close(self._folder, descriptor)

    def _close_late(self, opening: asyncio.Future[tuple[int, os.stat_result]]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            threads.close(self._folder, opening.result()[0])

    @property
    def mark(self) -> FileMark:
        """The mark of the file as it was opened, to compare with the captured one."""
        return FileMark.of(self._path, self._info)

    @property
    def size(self) -> int:
        """Bytes."""
        return self._info.st_size

    @property
    def created_us(self) -> int:
        """When the file was made, in microseconds since the epoch: the birth time on macOS, the ctime on Linux.

        viam-server does the same (``utils/file_times*.go``).
        """
        born_s: float | None = getattr(self._info, "st_birthtime", None)
        return _sayable(self._info.st_ctime_ns // 1000 if born_s is None else round(born_s * 1e6))

    @property
    def modified_us(self) -> int:
        """When the file was last modified, in microseconds since the epoch."""
        return _sayable(self._info.st_mtime_ns // 1000)

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
        """The MIME type of the extension, or an empty text; for ``.gz`` and similar, of the packed file."""
        return mime_type_of(self.extension)

    async def chunks(self, size: int, *, patience_s: float = threads.ANSWER_S) -> AsyncIterator[bytes]:
        """Yield the file's bytes in chunks of ``size``; the last one may be shorter. An empty file has one empty chunk.

        Each chunk is read in a thread while the one before it is in use. There are as many bytes as the file had when
        it was opened. If the file was cut, grew or was written to meanwhile, raises ``FileChanged`` before the last
        chunk is yielded. Raises ``FileUnavailable`` if the disk has not answered for ``patience_s``, and the error of
        ``unreadable`` if the disk returns an error.
        """
        last = max(self.size - 1, 0) // size * size
        ahead = self._start_reading(0, size, last)
        try:
            for offset in range(0, last + 1, size):
                data = await threads.within(self._folder, ahead, patience_s)
                if offset < last:
                    ahead = self._start_reading(offset + size, size, last)
                yield data
        finally:
            if not ahead.cancel():
                # Whoever stopped early does not ask what became of it.
                ahead.exception()

    def _start_reading(self, offset: int, size: int, last: int) -> asyncio.Future[bytes]:
        size = min(size, self.size - offset)
        return threads.start(self._folder, self._read, offset, size, offset == last)

    def _read(self, offset: int, size: int, last: bool) -> bytes:
        if self._descriptor is None:
            raise OSError(errno.EBADF, "The file is closed", self._path)
        try:
            data = _read_whole(self._descriptor, offset, size)
        except OSError as error:
            # The file's trouble must not be taken for the network's.
            raise unreadable(self._path, error) from error
        if len(data) < size or (last and not is_the_file(self.mark, os.fstat(self._descriptor))):
            raise FileChanged(f"{self._path!r} was changed while it was being sent")
        return data


def unreadable(path: str, error: OSError | OutsideFolder) -> FileUnavailable | FileUnusable:
    """Return the error for a file that cannot be opened or read: ``outcome.judge_file`` decides which."""
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


def is_the_file(mark: FileMark, info: os.stat_result) -> bool:
    """Return whether ``info`` is of the marked file, in the marked state."""
    return stat.S_ISREG(info.st_mode) and FileMark.of(mark.path, info) == mark


def _sayable(microseconds: int) -> int:
    """Return the nearest time that a protobuf ``Timestamp`` can hold: from the year 1 to the end of 9999."""
    return max(_FIRST_US, min(microseconds, _LAST_US))
