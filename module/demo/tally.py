"""What has arrived at the local cloud, source by source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from module.demo.report import Result
from module.local.calls import Arrival, UploadMethod

_IMAGES = (".jpeg", ".jpg", ".png", ".webp")


@dataclass(slots=True)
class _Count:
    delivered: int = 0
    size: int = 0
    seen: set[Any] = field(default_factory=set)
    methods: dict[str, None] = field(default_factory=dict)


def tally(
    arrivals: Sequence[Arrival], captured: Mapping[str, int], *, from_paths: Collection[str]
) -> tuple[Result, ...]:
    """Compare the captures of each source with those that arrived.

    A source's uploads have its id as their last tag. ``from_paths`` are the sources whose files were read from their
    paths, which the messages do not show. Blocks while it reads documents.
    """
    counts: dict[str, _Count] = defaultdict(_Count)
    for arrival in arrivals:
        source = arrival.metadata.tags[-1]
        count = counts[source]
        count.size += arrival.size
        count.methods["file_upload_from_path" if source in from_paths else str(arrival.method)] = None
        captures = identities(arrival)
        count.delivered += len(captures)
        count.seen.update(captures)
    return tuple(
        Result(source, number, count.delivered, len(count.seen), count.size, tuple(count.methods))
        for source, number in captured.items()
        for count in (counts[source],)
    )


def open_images(folder: Path, at_most: int = 40) -> tuple[int, tuple[str, ...]]:
    """Open images of the folder, spread over all there are: how many, and the names of those that do not open."""
    import cv2  # noqa: PLC0415 - only the demo's report needs it here

    paths = sorted(path for path in folder.rglob("*") if path.suffix in _IMAGES)
    chosen = paths[:: max(1, -(-len(paths) // at_most))]
    broken = [path for path in chosen if cv2.imread(str(path), cv2.IMREAD_UNCHANGED) is None]
    return len(chosen), tuple(str(path.relative_to(folder)) for path in broken)


def identities(arrival: Arrival) -> list[Hashable]:
    """Return a key for each capture of an arrival: different for each capture, the same if it arrives twice.

    Each line of a document is one, if the cloud has kept the document.
    """
    if arrival.rows:
        return [row.SerializeToString(deterministic=True) for row in arrival.rows]
    is_document = arrival.method is UploadMethod.FILE and arrival.metadata.file_extension == ".ndjson"
    if is_document and arrival.path is not None:
        return list(arrival.path.read_bytes().splitlines())
    if arrival.sensor_metadata is None:
        return [(arrival.metadata.file_name, arrival.sha256)]
    return [(arrival.sensor_metadata.time_requested.ToNanoseconds(), arrival.sha256)]
