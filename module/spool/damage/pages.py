"""Reads rows directly from the pages of a spool's file, if its trees no longer lead to them.

As in "Database File Format" of SQLite's documentation: table leaf pages, records, overflow chains, pointer maps and the
write-ahead log. Nothing here is trusted: the caller must check each row, and pages that do not parse have none.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from module.spool.schema import PAGE_BYTES

Value = int | float | str | bytes | None

_LEAF = 0x0D
_IN_TREES = (1, 5)
"""Entries of a pointer map: the root of a tree, and any other page of one. The rest is free, or overflow."""
_ROOT = bytes((1, 0, 0, 0, 0))
_MORE = 0x80
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)
"""By serial type; what follows are a float, the numbers 0 and 1, and from 12 on bytes and texts in turn."""
_FLOAT = 7
_MAGIC = b"SQLite format 3\0"
_FRAME_HEADER_BYTES = 24
_LOG_HEADER_BYTES = 32
_PAGE_BYTES = (PAGE_BYTES, 16_384)
"""Those of this version's files, and those of versions 1 to 4."""


class Pages:
    """A file and its log, opened for reading."""

    def __init__(self, path: Path, log: Path) -> None:
        """Raises OSError. ``log`` may be missing."""
        self._file = path.open("rb")
        self._page_bytes = _page_bytes(self._file)
        self._count = -(-os.fstat(self._file.fileno()).st_size // self._page_bytes)
        self._log = log.open("rb") if log.exists() else None
        self._newer = self._read_log()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        if self._log is not None:
            self._log.close()

    def _read_log(self) -> dict[int, int]:
        """Return the places of newer versions of pages in the log: the last committed one is valid."""
        newer: dict[int, int] = {}
        pending: dict[int, int] = {}
        for at, page, pages_after_commit in _frames(self._log, self._page_bytes):
            pending[page] = at
            if pages_after_commit:
                newer |= pending
                pending = {}
        self._count = max(self._count, *newer, 0)
        return newer

    def _page(self, number: int) -> bytes:
        where = self._newer.get(number)
        file = self._file if where is None or self._log is None else self._log
        file.seek((number - 1) * self._page_bytes if where is None else where)
        return file.read(self._page_bytes).ljust(self._page_bytes, b"\0")

    def rows(self, columns: int) -> Iterator[tuple[Value, ...]]:
        """Every row of so many columns on a leaf page that is in use, the row's id in its first column."""
        for number in self._in_trees():
            page = self._page(number)
            if page[0] != _LEAF:
                continue
            cells = int.from_bytes(page[3:5], "big")
            for at in range(8, min(8 + 2 * cells, self._page_bytes - 1), 2):
                row = self._row(page, int.from_bytes(page[at : at + 2], "big"), columns)
                if row is not None:
                    yield row

    def _in_trees(self) -> Iterator[int]:
        """The numbers of all pages that are in a tree: each pointer map has those of the pages behind it."""
        mapped = self._page_bytes // 5
        for first in range(2, self._count + 1, mapped + 1):
            kinds = self._page(first)[: 5 * mapped : 5]
            for number, kind in enumerate(kinds, first + 1):
                if kind in _IN_TREES and number <= self._count:
                    yield number

    def _row(self, page: bytes, at: int, columns: int) -> tuple[Value, ...] | None:
        try:
            size, at = _varint(page, at)
            row_id, at = _varint(page, at)
            local = _local_bytes(size, self._page_bytes)
            if not _has_columns(page[at : at + local], columns):
                return None
            record = page[at : at + local]
            if size > local:
                record += self._overflow(int.from_bytes(page[at + local : at + local + 4], "big"), size - local)
            return (row_id, *_values(record)[1:])
        except (IndexError, ValueError, struct.error):
            return None

    def _overflow(self, number: int, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0:
            if not 1 < number <= self._count:
                raise ValueError("a chain that leads nowhere")
            page = self._page(number)
            parts.append(page[4 : 4 + size])
            size -= len(parts[-1])
            number = int.from_bytes(page[:4], "big")
        return b"".join(parts)


def _page_bytes(file: BinaryIO) -> int:
    """The size of a file's pages. If its header is damaged: the third page is a root, and its pointer says so."""
    header = file.read(18)
    if header.startswith(_MAGIC) and int.from_bytes(header[16:], "big") in _PAGE_BYTES:
        return int.from_bytes(header[16:], "big")
    for size in _PAGE_BYTES:
        file.seek(size)
        if file.read(len(_ROOT)) == _ROOT:
            return size
    return PAGE_BYTES


def _frames(log: BinaryIO | None, page_bytes: int) -> Iterator[tuple[int, int, int]]:
    """Yield for each frame: the place of its page in the log, the page's number, and, if it commits, how many pages.

    They end with the first that does not bear the salts of the log's header: it is left from an earlier time.
    """
    if log is None:
        return
    salts = log.read(_LOG_HEADER_BYTES)[16:24]
    size = os.fstat(log.fileno()).st_size
    for at in range(_LOG_HEADER_BYTES, size - _FRAME_HEADER_BYTES + 1, _FRAME_HEADER_BYTES + page_bytes):
        log.seek(at)
        header = log.read(_FRAME_HEADER_BYTES)
        page, pages_after_commit = struct.unpack(">II", header[:8])
        if header[8:16] != salts or not page:
            return
        yield at + _FRAME_HEADER_BYTES, page, pages_after_commit


def _local_bytes(size: int, page_bytes: int) -> int:
    """How much of a record stands on its leaf page."""
    most, least = page_bytes - 35, (page_bytes - 12) * 32 // 255 - 23
    if size <= most:
        return size
    rest = least + (size - least) % (page_bytes - 4)
    return rest if rest <= most else least


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of one to nine bytes, and the place of its end."""
    number = 0
    for _ in range(8):
        number = number << 7 | data[at] & 0x7F
        at += 1
        if not data[at - 1] & _MORE:
            return number, at
    return number << 8 | data[at], at + 1


def _types(record: bytes) -> tuple[list[int], int]:
    """Return the serial types of a record's values, and the place of the first value."""
    end, at = _varint(record, 0)
    types: list[int] = []
    while at < end:
        kind, at = _varint(record, at)
        types.append(kind)
    return types, end


def _has_columns(record: bytes, columns: int) -> bool:
    return len(_types(record)[0]) == columns


def _values(record: bytes) -> list[Value]:
    types, at = _types(record)
    values: list[Value] = []
    for kind in types:
        size = _INTEGER_BYTES[kind] if kind < len(_INTEGER_BYTES) else 8 if kind == _FLOAT else max(0, (kind - 12) // 2)
        data = record[at : at + size]
        if len(data) < size:
            raise ValueError("a record that is cut short")
        at += size
        if kind == 0:
            values.append(None)
        elif kind < len(_INTEGER_BYTES):
            values.append(int.from_bytes(data, "big", signed=True))
        elif kind == _FLOAT:
            values.append(struct.unpack(">d", data)[0])
        elif kind in (8, 9):
            values.append(kind - 8)
        else:
            values.append(data.decode(errors="replace") if kind % 2 else data)
    return values
