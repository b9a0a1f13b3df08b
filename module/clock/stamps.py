"""How times are serialised, and how the times in a serialised row or line are replaced.

A row is a ``viam.proto.app.datasync.SensorData``. Its first field is its metadata with the two times. A line is JSON
that begins with the two times. ``module.collection.readings`` writes both, always in this order. So the bytes after the
times need not be parsed, and stay the same. Times are microseconds since the epoch.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_METADATA, _SECONDS, _NANOS, _REQUESTED, _RECEIVED = b"\x0a", b"\x08", b"\x10", b"\x0a", b"\x12"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MORE = 0x80
LINE = '{"time_requested":"%s","time_received":"%s",'
"""How a line of JSON begins."""


def varint(number: int) -> bytes:
    """Return the Protocol Buffers encoding of a number that is not negative."""
    out = bytearray()
    while number >= _MORE:
        out.append(number & 0x7F | _MORE)
        number >>= 7
    out.append(number)
    return bytes(out)


def timestamp_bytes(microseconds: int) -> bytes:
    """Return a serialised ``Timestamp``."""
    seconds, rest = divmod(microseconds, 1_000_000)
    # A negative number travels as its two's complement of 64 bits (Protocol Buffers, "Encoding").
    said = _SECONDS + varint(seconds & 2**64 - 1) if seconds else b""
    return said + (_NANOS + varint(rest * 1000) if rest else b"")


def moment(microseconds: int) -> str:
    """Return ISO 8601 in UTC, always of the same length: ``2026-01-01T00:00:00.000000Z``."""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds").removesuffix(
        "+00:00"
    ) + "Z"


def redated_row(row: bytes, requested_us: int, received_us: int) -> bytes:
    """Return the row with other times; as it is if it has no metadata."""
    if row[:1] != _METADATA:
        return row
    size, at, shift = 0, 1, 0
    while True:
        size |= (row[at] & 0x7F) << shift
        shift += 7
        at += 1
        if row[at - 1] < _MORE:
            break
    requested, received = timestamp_bytes(requested_us), timestamp_bytes(received_us)
    metadata = b"".join((_REQUESTED, varint(len(requested)), requested, _RECEIVED, varint(len(received)), received))
    return b"".join((_METADATA, varint(len(metadata)), metadata, row[at + size :]))


def redated_line(line: bytes, requested_us: int, received_us: int) -> bytes:
    """Return the line with other times."""
    head = (LINE % (moment(requested_us), moment(received_us))).encode()
    return head + line[len(head) :]
