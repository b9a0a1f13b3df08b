"""What travels through the pipeline: a Capture, the Origin that it shares with its neighbours, and its ways out.

Times are whole microseconds since the Unix epoch, UTC, which a ``datetime`` and a protobuf ``Timestamp`` both hold
exactly.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

from module.clock.machine_clock import NO_READING, Reading

if TYPE_CHECKING:
    import os

_MOST_INT = 2**63 - 1
"""What the spool's file can hold."""


class Kind(enum.StrEnum):
    """What a payload is, which decides how it can travel."""

    ROW = "row"
    """One row of readings: a serialised ``SensorData`` message."""

    LINE = "line"
    """One row of readings as a line of JSON, newline included; lines are gathered into NDJSON documents."""

    BINARY = "binary"
    """An image, a point cloud: the bytes as they will travel."""

    DATA = "data"
    """Bytes that a command handed in, to arrive as a file."""

    FILE = "file"
    """No payload: the capture points at a file on disk."""


GATHERED = (Kind.ROW, Kind.LINE)
"""What travels many at a time; of anything else, each is an upload of its own."""


class Fate(enum.StrEnum):
    """Where a capture is."""

    SPOOLED = "spooled"
    """On the disk, still to be delivered."""
    UPLOADED = "uploaded"
    """The cloud has it."""
    FAILED = "failed"
    """The cloud rejected it; it is kept among the failures."""
    DROPPED = "dropped"
    """It is gone: the spool was full, or somebody discarded it."""


class UploadAs(enum.StrEnum):
    """The ``upload_as`` of a source."""

    AUTO = "auto"
    """By kind and size."""

    TABULAR = "tabular"
    """Rows, through ``tabular_data_capture_upload``."""

    BINARY = "binary"
    """One message each, through ``binary_data_capture_upload``."""

    STREAMING = "streaming"
    """In chunks, through ``streaming_data_capture_upload``."""

    FILE = "file"
    """As files, through ``file_upload``."""


@dataclass(frozen=True, slots=True)
class Origin:
    """All that an upload says of a capture and that its neighbours share, so that they can travel together.

    It is written to the spool once for all of them, and outlives the configuration that it came from.
    """

    source: str
    """The source's id, the folder's path, or the command's verb: what failures and status call it."""
    kind: Kind
    priority: int = 5
    api: str = ""
    """The resource's API triplet, e.g. ``rdk:component:camera``."""
    name: str = ""
    """The resource's name."""
    method: str = ""
    """The captured method as viam-server names it, e.g. ``GetImages``."""
    upload_as: UploadAs = UploadAs.AUTO
    tags: tuple[str, ...] = ()
    dataset_ids: tuple[str, ...] = ()
    extension: str = ""
    """Of the payload, with its dot, e.g. ``.jpg``; empty for rows and files."""
    mime_type: str = ""
    """Of the payload; empty for rows. Of a file, what a command says of it; empty: by its extension."""
    method_parameters: str = ""
    """What the method was asked with, as a JSON object with sorted keys; empty without any."""
    file_name: str | None = None
    """Files only: the name that a command sets; None: its own."""
    after_upload: str = "keep"
    """Files only: ``keep``, ``delete`` or ``move``."""
    move_to: str = ""
    """Files only: where ``move`` puts them."""
    folder: str = ""
    """Files only: the configured folder that the file must still lie in when it is opened."""
    clock: Reading = NO_READING
    """Of which clock the times are; none for times that nothing may correct, such as those that a command sets."""


@dataclass(frozen=True, slots=True)
class FileMark:
    """Which file, in which state: a file that changes is another one."""

    path: str
    """Absolute, with no link in it."""
    size: int
    """Bytes."""
    modified_ns: int
    """``st_mtime_ns``; a date before 1678 or after 2262, which does not fit into 64 bits, as the nearest that does."""
    inode: int = field(default=0, compare=False)
    """By which it is known under another name; 0: not known."""

    @classmethod
    def of(cls, path: str, info: os.stat_result) -> Self:
        """The mark of a file as it is now."""
        modified_ns = max(-_MOST_INT, min(info.st_mtime_ns, _MOST_INT))
        return cls(path, info.st_size, modified_ns, info.st_ino & _MOST_INT)


@dataclass(frozen=True, slots=True)
class Capture:
    """One item of the spool: immutable from the poll to the acknowledgement."""

    origin: Origin
    requested_us: int
    received_us: int
    payload: bytes = b""
    file_name: str = ""
    """Kind ``DATA`` only: the name that the user gave."""
    file: FileMark | None = None
    """Kind ``FILE`` only."""
    annotations: bytes = b""
    """Kind ``BINARY`` only: what is seen in it, a serialised ``viam.proto.app.data.Annotations``."""


class Item(NamedTuple):
    """One capture on its way out of the spool: a tuple, as many are made at once, and soon forgotten."""

    id: int
    stream: int
    origin: Origin
    requested_us: int
    received_us: int
    size: int
    """Bytes that will travel; of a file, its size when it was found."""
    footprint: int
    """Bytes of disk."""
    payload: bytes
    file_name: str
    file: FileMark | None
    annotations: bytes = b""


@dataclass(frozen=True, slots=True)
class Failure:
    """A capture that the cloud rejected."""

    id: int
    source: str
    requested_us: int
    size: int
    error: str
    attempts: int
