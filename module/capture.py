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
    """Bytes of a command, which arrive as a file."""

    FILE = "file"
    """No payload: the capture points at a file on disk."""


GATHERED = (Kind.ROW, Kind.LINE)
"""The kinds of which many travel in one upload. Each capture of another kind is one upload."""


class Fate(enum.StrEnum):
    """The state of a capture."""

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
    """What an upload says of a capture, as far as other captures share it. Captures of one origin can travel together.

    The spool stores it once for all of them. It outlives the configuration that it came from.
    """

    source: str
    """The source's id, the folder's path, or the command's verb, as failures and the status show it."""
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
    """Of the payload; empty for rows. Of a file: as a command set it; empty: found from its extension."""
    method_parameters: str = ""
    """The parameters of the poll, as a JSON object with sorted keys; empty if there are none."""
    file_name: str | None = None
    """Files only: the name that a command sets; None: its own."""
    after_upload: str = "keep"
    """Files only: ``keep``, ``delete`` or ``move``."""
    move_to: str = ""
    """Files only: the folder that ``move`` moves them to."""
    folder: str = ""
    """Files only: the configured folder. The file must still be in it when it is opened."""
    clock: Reading = NO_READING
    """The clock that the times were read from; none if they must not be corrected, as when a command sets them."""


@dataclass(frozen=True, slots=True)
class FileMark:
    """A file in one state: once the file changes, its mark is another one."""

    path: str
    """Absolute, with no link in it."""
    size: int
    """Bytes."""
    modified_ns: int
    """``st_mtime_ns``. A date that 64 bits cannot hold (before 1678, after 2262) becomes the nearest that they can."""
    inode: int = field(default=0, compare=False)
    """The inode, by which a renamed file is recognised; 0: not known."""

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
    """Kind ``DATA`` only: the name that the user has set."""
    file: FileMark | None = None
    """Kind ``FILE`` only."""
    annotations: bytes = b""
    """Kind ``BINARY`` only: what was recognised in the image, a serialised ``viam.proto.app.data.Annotations``."""


class Item(NamedTuple):
    """One capture on its way out of the spool. A tuple, because many are made at once and soon freed."""

    id: int
    stream: int
    origin: Origin
    requested_us: int
    received_us: int
    size: int
    """Bytes to send; for a file, its size when it was found."""
    footprint: int
    """Bytes that it takes on the disk."""
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
