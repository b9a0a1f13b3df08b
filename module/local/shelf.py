"""The folder of the local cloud, which stores each upload as ordinary files.

A payload is in a hidden file until it is complete, so that an upload that breaks off leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import uuid
from collections.abc import Collection
from pathlib import Path

from viam.proto.app.datasync import SensorData, SensorMetadata, UploadMetadata
from viam.utils import struct_to_dict


class Shelf:
    """One folder, or None: then nothing is kept. All methods except ``open`` run in the thread that writes."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)

    def open(self) -> None:
        """Make the folder."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)

    def sink(self, *, keep: bool, on_disk: bool) -> Sink:
        """Return a sink for one payload; ``keep``: keep it in memory too."""
        return Sink(self._folder if on_disk else None, keep=keep)

    def store(
        self,
        metadata: UploadMetadata,
        sensor_metadata: SensorMetadata | None,
        sink: Sink,
        rows: Collection[SensorData],
    ) -> Path | None:
        """Append rows to the NDJSON file of their method, or rename a payload's file; returns the file, if any."""
        if self._folder is None:
            return None
        of_method = self._folder / _safe(metadata.component_name) / _safe(metadata.method_name)
        suffix = f".{_safe(metadata.file_extension)}" if metadata.file_extension else ""
        if rows:
            of_method.parent.mkdir(parents=True, exist_ok=True)
            lines = Path(f"{of_method}.ndjson")
            with lines.open("a", encoding="utf-8") as file:
                file.writelines(_line(row, list(metadata.tags)) for row in rows)
            return lines
        if sensor_metadata is None:
            return sink.keep_as(self._folder / "files" / (_safe(metadata.file_name).removesuffix(suffix) + suffix))
        at = sensor_metadata.time_requested.ToJsonString().replace(":", "-")
        return sink.keep_as(of_method / f"{at}-{next(self._numbers)}{suffix}")


class Sink:
    """Receives one payload: counts and hashes it, and holds it in a hidden file until it is complete."""

    def __init__(self, folder: Path | None, *, keep: bool) -> None:
        self.size = 0
        self.sha256 = hashlib.sha256()
        self.kept: list[bytes] = []
        self._keep = keep
        self._part = None if folder is None else (folder / f".{uuid.uuid4().hex}.part").open("wb")

    def add(self, chunk: bytes) -> None:
        """Add the next bytes."""
        self.size += len(chunk)
        self.sha256.update(chunk)
        if self._keep:
            self.kept.append(chunk)
        if self._part is not None:
            self._part.write(chunk)

    def keep_as(self, path: Path) -> Path | None:
        """Rename the payload's file to this name, or a similar one if it exists; returns the file, if there is one."""
        if self._part is None:
            return None
        self._part.close()
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path = path.with_stem(f"{path.stem}-{uuid.uuid4().hex[:8]}")
        Path(self._part.name).rename(path)
        self._part = None
        return path

    def discard(self) -> None:
        """Delete the file if it was not renamed."""
        if self._part is not None:
            self._part.close()
            Path(self._part.name).unlink()


def _line(row: SensorData, tags: list[str]) -> str:
    """Return a row as a line of JSON: its times, its upload's tags, and its values."""
    times = {name: getattr(row.metadata, name).ToJsonString() for name in ("time_requested", "time_received")}
    return json.dumps({**struct_to_dict(row.struct), **times, "tags": tags}, ensure_ascii=False) + "\n"


def _safe(text: str) -> str:
    """Turn any text into a file name: no separator, no leading dot, never empty, below 255 bytes; its end is kept."""
    return re.sub(r"[^\w.\- ]", "_", text).strip(". ")[-60:].lstrip(". ") or "unnamed"
