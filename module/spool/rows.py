"""The rows of the spool's file as objects, and how an origin and a file are written into them."""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

from module.capture import Capture, FileMark, Item, Kind, Origin, UploadAs
from module.clock.machine_clock import Reading
from module.spool.retention import footprint

Row = tuple[int, int, int]
"""A capture as the counts see it: (id, stream, footprint in bytes)."""
COLUMNS = "id, stream, requested_us, received_us, size, footprint, detail, annotations, crc, payload"
"""Of the table ``capture``, in the order in which rows are handled; ``failure`` has more."""
FAILED_COLUMNS = "error, attempts, failed_us"
"""What ``failure`` has more, behind them."""
_SAID = struct.Struct("<5q")


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One stream as the file has it."""

    id: int
    origin: Origin
    items: int
    bytes: int
    head_id: int
    """The oldest capture's id; 0 without one."""


def encode_origin(origin: Origin) -> str:
    """The origin as one line of JSON, the same for equal origins."""
    return json.dumps(dataclasses.asdict(origin), sort_keys=True, separators=(",", ":"))


def decode_origin(text: str) -> Origin:
    """The origin that ``encode_origin`` wrote; attributes that this version does not know are left out."""
    known = {field.name for field in dataclasses.fields(Origin)}
    values = {key: value for key, value in json.loads(text).items() if key in known}
    values["kind"] = Kind(values["kind"])
    values["upload_as"] = UploadAs(values["upload_as"])
    values["tags"] = tuple(values["tags"])
    values["dataset_ids"] = tuple(values["dataset_ids"])
    values["clock"] = Reading(*values.get("clock", ()))
    return Origin(**values)


def origin_checksum(text: str) -> int:
    """CRC-32 of an origin as it is written."""
    return zlib.crc32(text.encode())


def whole_origin(text: str, crc: int | None) -> Origin | None:
    """Return the origin; None if its text is not what was written, or, without a checksum, if it makes no sense."""
    if crc is not None and crc != origin_checksum(text):
        return None
    try:
        return decode_origin(text)
    except (ValueError, KeyError, TypeError):
        return None


def checksum(
    said: tuple[int, int, int, int, int], detail: str | None, annotations: bytes | None, payload: bytes
) -> int:
    """CRC-32 of a capture: its id, stream, times and size in this order, and all of its bytes."""
    crc = zlib.crc32(_SAID.pack(*said))
    if detail:
        crc = zlib.crc32(detail.encode(), crc)
    if annotations:
        crc = zlib.crc32(annotations, crc)
    return zlib.crc32(payload, crc)


def is_row(row: tuple[Any, ...]) -> bool:
    """Whether a row of ``capture`` or ``failure`` has what every row has: without that, no table takes it."""
    return all(isinstance(number, int) for number in row[:6]) and isinstance(row[9], bytes) and None not in row[10:]


def is_whole(row: tuple[Any, ...]) -> bool:
    """Whether a row of ``capture`` is what was written; without a checksum (version 1), whether it can be one."""
    if row[8] is None:
        return _can_be(row)
    try:
        # No checksum has the footprint, which is only a count.
        return isinstance(row[5], int) and bool(checksum(row[:5], row[6], row[7], row[9]) == row[8])
    except (TypeError, AttributeError, struct.error):
        return False


def _can_be(row: tuple[Any, ...]) -> bool:
    # A damaged row may have lost its checksum, and with it anything else.
    detail, annotations = row[6], row[7]
    if not is_row(row) or not isinstance(annotations, bytes | None):
        return False
    try:
        return detail is None or isinstance(json.loads(detail), dict)
    except (ValueError, TypeError):
        return False


def room_of(capture: Capture) -> int:
    """Bytes of disk that a capture will take."""
    return footprint(len(capture.payload) + len(capture.annotations))


def file_detail(mark: FileMark) -> str:
    """The ``detail`` of a file's row, as JSON. Date and size come first, so that an index finds files that have both.

    Few files have the same date to the nanosecond.
    """
    said = {"modified_ns": mark.modified_ns, "size": mark.size, "inode": mark.inode, "path": mark.path}
    return json.dumps(said)


def file_details_like(mark: FileMark) -> tuple[str, str]:
    """The lower and the upper end of a range that has the details of all files of this date and size."""
    prefix = f'{{"modified_ns": {mark.modified_ns}, "size": {mark.size}, '
    return prefix, prefix + "~"


def file_detail_before_4(mark: FileMark) -> str:
    """The ``detail`` of a file's row as versions before 4 wrote it."""
    return json.dumps({"path": mark.path, "size": mark.size, "modified_ns": mark.modified_ns}, sort_keys=True)


def detail_of(capture: Capture) -> str | None:
    """The fields that only few captures have, as JSON; None if it has none of them."""
    if capture.file is not None:
        return file_detail(capture.file)
    if capture.file_name:
        return json.dumps({"file_name": capture.file_name})
    return None


def mark_of(detail: str | None) -> FileMark | None:
    """The file that a ``detail`` names; None if it names none, or is damaged."""
    try:
        extra = json.loads(detail or "{}")
        return FileMark(extra["path"], extra["size"], extra["modified_ns"], extra.get("inode", 0))
    except (ValueError, KeyError, TypeError):
        return None


def item_of(row: tuple[Any, ...], origin: Origin) -> Item:
    """A row of ``capture`` as an Item."""
    capture_id, stream, requested_us, received_us, size, room, detail, annotations, _, payload = row
    name, mark = ("", None) if detail is None else (json.loads(detail).get("file_name", ""), mark_of(detail))
    return Item(
        capture_id, stream, origin, requested_us, received_us, size, room, payload, name, mark, annotations or b""
    )
