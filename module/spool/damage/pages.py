"""Rows read straight off the pages of a spool's file, where its trees no longer lead to them.

As in "Database File Format" of SQLite's documentation: table leaf pages, records, overflow chains, pointer maps and the
write-ahead log. Nothing here is trusted: whoever asks must check each row, and pages that do not parse give none.
"""

from __future__ import annotations

import os
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from module.spool.schema import PAGE_BYTES

Value = int | float | str | bytes | None

_LEAF = 0x0D
_IN_TREES = (1, 5)
"""Entries of a pointer map: the root of a tree, and any other page of one. The rest is free, or overflow."""
_MAPPED = PAGE_BYTES // 5
_MOST_LOCAL = PAGE_BYTES - 35
_LEAST_LOCAL = (PAGE_BYTES - 12) * 32 // 255 - 23
_MORE = 0x80
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)
"""By serial type; what follows are a float, the numbers 0 and 1, and from 12 on bytes and texts in turn."""
_FLOAT = 7
_FRAME_HEADER_BYTES = 24
_LOG_HEADER_BYTES = 32
_FIRST_FRAMES = 20


class Pages:
    """A file and its log, opened for reading."""

    def __init__(self, path: Path, log: Path) -> None:
        """Raises OSError. ``log`` may be missing."""
        self._file = path.open("rb")
        self._count = -(-os.fstat(self._file.fileno()).st_size // PAGE_BYTES)
        self._log = log.open("rb") if log.exists() else None
        self.has_gap = False
        """Whether frames of the log are missing: a page may be an older one then, with rows that were deleted since."""
        self._newer = self._read_log()
        self._map_at = 0
        self._map = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        if self._log is not None:
            self._log.close()

    def _read_log(self) -> dict[int, int]:
        """Where the log has a newer version of a page: what was committed last counts."""
        newer: dict[int, int] = {}
        pending: dict[int, int] = {}
        next_at = _LOG_HEADER_BYTES + _FRAME_HEADER_BYTES
        for at, page, pages_after_commit in _frames(self._log):
            self.has_gap |= at != next_at
            next_at = at + PAGE_BYTES + _FRAME_HEADER_BYTES
            pending[page] = at
            if pages_after_commit:
                newer |= pending
                pending = {}
        self._count = max(self._count, *newer, 0)
        return newer

    def _page(self, number: int) -> bytes:
        where = self._newer.get(number)
        file = self._file if where is None or self._log is None else self._log
        file.seek((number - 1) * PAGE_BYTES if where is None else where)
        return file.read(PAGE_BYTES).ljust(PAGE_BYTES, b"\0")

    def rows(self, columns: int) -> Iterator[tuple[Value, ...]]:
        """Every row of so many columns on a leaf page that is in use, the row's id in its first column."""
        for number in range(2, self._count + 1):
            if not self._is_in_a_tree(number):
                continue
            page = self._page(number)
            if page[0] != _LEAF:
                continue
            cells = int.from_bytes(page[3:5], "big")
            for at in range(8, min(8 + 2 * cells, PAGE_BYTES - 1), 2):
                row = self._row(page, int.from_bytes(page[at : at + 2], "big"), columns)
                if row is not None:
                    yield row

    def _is_in_a_tree(self, number: int) -> bool:
        group = (number - 2) // (_MAPPED + 1)
        first = 2 + group * (_MAPPED + 1)
        if number == first:
            return False
        if first != self._map_at:
            self._map_at, self._map = first, self._page(first)
        return self._map[5 * (number - first - 1)] in _IN_TREES

    def _row(self, page: bytes, at: int, columns: int) -> tuple[Value, ...] | None:
        try:
            size, at = _varint(page, at)
            row_id, at = _varint(page, at)
            local = _local_bytes(size)
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
            parts.append(page[4 : 4 + min(size, PAGE_BYTES - 4)])
            size -= len(parts[-1])
            number = int.from_bytes(page[:4], "big")
        return b"".join(parts)


def frames_in_log(log: Path) -> int:
    """How many frames a log has up to its last commit, whatever they hold."""
    try:
        with log.open("rb") as file:
            ends = (at // (_FRAME_HEADER_BYTES + PAGE_BYTES) + 1 for at, _, commits in _frames(file) if commits)
            return max(ends, default=0)
    except FileNotFoundError:
        return 0


def frames_taken(index: Path) -> int:
    """How many frames of its log SQLite takes for good: ``mxFrame`` of the header of the log's index ("-shm")."""
    with index.open("rb") as file:
        return int.from_bytes(file.read(20)[16:], sys.byteorder)


def _frames(log: BinaryIO | None) -> Iterator[tuple[int, int, int]]:
    """Of each frame: where its page begins in the log, the page's number, and, if it commits, the pages there are."""
    if log is None:
        return
    size = os.fstat(log.fileno()).st_size
    headers: list[tuple[int, bytes]] = []
    for at in range(_LOG_HEADER_BYTES, size - _FRAME_HEADER_BYTES + 1, _FRAME_HEADER_BYTES + PAGE_BYTES):
        log.seek(at)
        headers.append((at + _FRAME_HEADER_BYTES, log.read(_FRAME_HEADER_BYTES)))
    salts = _salts(log, [header for _, header in headers[:_FIRST_FRAMES]])
    for at, header in headers:
        page, pages_after_commit = struct.unpack(">II", header[:8])
        if header[8:16] == salts and page:
            yield at, page, pages_after_commit


def _salts(log: BinaryIO, first: list[bytes]) -> bytes:
    """What the frames of this log bear; older ones, which it has not overwritten yet, bear others."""
    log.seek(0)
    header = log.read(_LOG_HEADER_BYTES)
    if len(header) == _LOG_HEADER_BYTES and _sums(header[:24]) == struct.unpack(">II", header[24:]):
        return header[16:24]
    # The header itself is damaged.
    (salts, _), *_ = Counter(frame[8:16] for frame in first).most_common(1) or [(b"", 0)]
    return salts


def _sums(header: bytes) -> tuple[int, int]:
    """The checksum of a log's header, whose first byte order is said by the last bit of its first word."""
    words = struct.unpack(">6I" if header[3] & 1 else "<6I", header)
    one = two = 0
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two


def _local_bytes(size: int) -> int:
    if size <= _MOST_LOCAL:
        return size
    rest = _LEAST_LOCAL + (size - _LEAST_LOCAL) % (PAGE_BYTES - 4)
    return rest if rest <= _MOST_LOCAL else _LEAST_LOCAL


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    number = 0
    for _ in range(8):
        number = number << 7 | data[at] & 0x7F
        at += 1
        if not data[at - 1] & _MORE:
            return number, at
    return number << 8 | data[at], at + 1


def _types(record: bytes) -> tuple[list[int], int]:
    """The serial types of a record's values, and where these begin."""
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
