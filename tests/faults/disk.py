"""A disk that may forget: what a process did to a directory, followed from its journal, as a power cut may leave it.

Invariants
----------
1. What a file held when it was last synced is there. Of its changes since then any part may be there, in any order, in
   pieces of at most one page, and any piece may be torn.
2. A name that was made, renamed or unlinked is sure once its directory was synced, whether or not the file was: POSIX
   promises no more, though most file systems do. Of those that are not sure any may have happened, in their order.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PAGE_BYTES = 4096
_HEAD = struct.Struct("<B3xIQQQ")


@dataclass(frozen=True, slots=True)
class Record:
    """One call of a process, as ``power_cut.c`` wrote it."""

    kind: str
    path: str
    inode: int
    offset: int
    data: bytes


def read_journal(path: Path) -> list[Record]:
    """All records of a journal, in order."""
    text = path.read_bytes()
    records, at = [], 0
    while at < len(text):
        kind, path_bytes, inode, offset, data_bytes = _HEAD.unpack_from(text, at)
        middle = at + _HEAD.size + path_bytes
        name = os.fsdecode(text[at + _HEAD.size : middle])
        at = middle + data_bytes
        records.append(Record(chr(kind), name, inode, offset, text[middle:at]))
    return records


@dataclass(slots=True)
class File:
    """A file: its synced bytes, and the changes since, each (offset, data) or (size, None) for a truncation."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def content(self) -> bytearray:
        """The bytes that its writer sees."""
        content = bytearray(self.synced)
        for offset, data in self.pending:
            _change(content, offset, data)
        return content

    def after_a_cut(self, rng: random.Random) -> bytearray:
        """Bytes that a disk may hold of it."""
        content = bytearray(self.synced)
        kept = rng.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        pieces = [piece for change in self.pending for piece in _pieces(*change) if rng.random() < kept]
        if rng.random() < 0.8:
            rng.shuffle(pieces)
        for offset, data in pieces:
            if data is not None and rng.random() < 0.1:
                middle = rng.randrange(len(data))
                _change(content, *rng.choice(((offset, data[:middle]), (offset + middle, data[middle:]))))
            else:
                _change(content, offset, data)
        return content


def _pieces(offset: int, data: bytes | None) -> Iterator[tuple[int, bytes | None]]:
    if data is None:
        yield offset, None
        return
    at = 0
    while at < len(data):
        end = at + PAGE_BYTES - (offset + at) % PAGE_BYTES
        yield offset + at, data[at:end]
        at = end


def _change(content: bytearray, offset: int, data: bytes | None) -> None:
    size = offset if data is None else offset + len(data)
    content.extend(bytes(max(0, size - len(content))))
    if data is None:
        del content[size:]
    else:
        content[offset:size] = data


@dataclass(slots=True)
class Folder:
    """A directory: the changes of names in it since it was last synced."""

    pending: list[_Naming] = field(default_factory=list)


_Naming = dict[str, File | Folder | None]
"""Paths and what they lead to from now on; None: nothing."""


class Disk:
    """What lies below a directory. Begins as ``root`` is, all of it synced."""

    def __init__(self, root: Path) -> None:
        self._names: _Naming = {"": Folder()}
        for path in sorted(root.rglob("*")):
            entry = Folder() if path.is_dir() else File(bytearray(path.read_bytes()))
            self._names[str(path.relative_to(root))] = entry
        self._sure = dict(self._names)
        self._inodes: dict[int, File | Folder] = {}

    def follow(self, record: Record) -> None:
        """Do what the process did."""
        match record.kind:
            case "c":
                self._name({record.path: File()})
            case "m":
                self._name({record.path: Folder()})
            case "u":
                self._name({record.path: None})
            case "r":
                self._name({record.path: None, os.fsdecode(record.data): self._names[record.path]})
            case "w":
                self._file(record).pending.append((record.offset, record.data))
            case "t":
                self._file(record).pending.append((record.offset, None))
            case "s":
                self._sync(self._inodes[record.inode])
        if record.kind in "co":
            entry = self._names[record.path]
            assert entry is not None
            self._inodes[record.inode] = entry

    def _file(self, record: Record) -> File:
        entry = self._inodes[record.inode]
        assert isinstance(entry, File)
        return entry

    def _name(self, naming: _Naming) -> None:
        self._names.update(naming)
        for parent in {_parent(path) for path in naming}:
            folder = self._names[parent]
            assert isinstance(folder, Folder)
            folder.pending.append(naming)

    def _sync(self, entry: File | Folder) -> None:
        if isinstance(entry, File):
            entry.synced = entry.content()
        else:
            for naming in entry.pending:
                self._sure.update(naming)
        entry.pending.clear()

    def write(self, target: Path) -> None:
        """Write what the process sees into the new directory ``target``."""
        _write(target, self._names, lambda file: file.content())

    def cut(self, target: Path, rng: random.Random) -> None:
        """Write what may be left if the power goes now into the new directory ``target``."""
        names = dict(self._sure)
        kept = rng.choice((0.0, 0.5, 1.0))
        for folder in [entry for entry in self._names.values() if isinstance(entry, Folder)]:
            for naming in folder.pending:
                if rng.random() < kept:
                    names.update(naming)
        _write(target, names, lambda file: file.after_a_cut(rng))


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _write(target: Path, names: _Naming, content: Callable[[File], bytearray]) -> None:
    for name, entry in sorted(names.items(), key=lambda each: each[0]):
        path = target / name
        # What lies in a forgotten directory is forgotten with it.
        if not path.parent.is_dir() or entry is None:
            continue
        if isinstance(entry, File):
            path.write_bytes(content(entry))
        else:
            path.mkdir()
