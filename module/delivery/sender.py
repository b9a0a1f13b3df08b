"""One upload: captures of one origin → the method that fits them → the cloud's id for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from module.capture import Item, Kind, Origin, UploadAs
from module.delivery.wire.files import OpenFile, unreadable
from module.delivery.wire.messages import Times, method_parameters
from module.delivery.wire.methods import CourierClient, SerialisedRows
from module.errors import FileChanged, FileUnusable, OutsideFolder

_DOCUMENT_EXTENSION = ".ndjson"
_DOCUMENT_TYPE = "application/x-ndjson"

METHODS = (
    "tabular_data_capture_upload",
    "binary_data_capture_upload",
    "streaming_data_capture_upload",
    "file_upload",
    "file_upload_from_path",
)


class Receipt(NamedTuple):
    """The cloud's answer to an upload."""

    method: str
    file_id: str
    size: int
    """Bytes of payload."""


def method_of(item: Item, stream_over_bytes: int) -> str:
    """Return the name of the upload method for an item."""
    origin = item.origin
    if origin.kind is Kind.ROW:
        return "tabular_data_capture_upload"
    if origin.kind is Kind.FILE:
        return "file_upload_from_path"
    if origin.kind in (Kind.LINE, Kind.DATA) or origin.upload_as is UploadAs.FILE:
        return "file_upload"
    large = origin.upload_as is UploadAs.AUTO and len(item.payload) > stream_over_bytes
    if large or origin.upload_as is UploadAs.STREAMING:
        return "streaming_data_capture_upload"
    return "binary_data_capture_upload"


async def send(client: CourierClient, part_id: str, items: Sequence[Item], method: str) -> Receipt:
    """Upload items of one origin by one method; only rows and lines may be more than one.

    Raises the errors of the call, and FileUnavailable, FileUnusable and FileChanged.
    """
    origin = items[0].origin
    said = _said_of(origin)
    if method == "file_upload_from_path":
        return await _send_file(client, part_id, items[0], said)
    if method == "tabular_data_capture_upload":
        rows = SerialisedRows([item.payload for item in items])
        # The cloud keeps rows in no dataset, and the method takes none.
        del said["dataset_ids"]
        file_id = await client.tabular_data_capture_upload(rows, part_id, **said)
        return Receipt(method, file_id, sum(len(item.payload) for item in items))
    payload = items[0].payload if len(items) == 1 else b"".join(item.payload for item in items)
    if method == "file_upload":
        name, extension, mime_type = _as_file(items[0])
        file_id = await client.file_upload(
            part_id, payload, file_name=name, file_extension=extension, mime_type=mime_type, **said
        )
        return Receipt(method, file_id, len(payload))
    said |= {
        "data_request_times": Times(items[0].requested_us, items[0].received_us),
        "mime_type": origin.mime_type,
        "annotations": items[0].annotations,
    }
    if method == "streaming_data_capture_upload":
        file_id = await client.streaming_data_capture_upload(payload, part_id, origin.extension, **said)
    else:
        file_id = await client.binary_data_capture_upload(payload, part_id, file_extension=origin.extension, **said)
    return Receipt(method, file_id, len(payload))


def _said_of(origin: Origin) -> dict[str, Any]:
    """Return the arguments that all five methods have."""
    return {
        "component_type": origin.api,
        "component_name": origin.name,
        "method_name": origin.method,
        "method_parameters": method_parameters(origin.method_parameters),
        "tags": list(origin.tags),
        "dataset_ids": list(origin.dataset_ids),
    }


async def _send_file(client: CourierClient, part_id: str, item: Item, said: dict[str, Any]) -> Receipt:
    origin = item.origin
    if item.file is None:
        raise FileUnusable(f"capture {item.id} of {origin.source} names no file")
    file = OpenFile(origin.folder, item.file.path)
    try:
        # Opened by hand: an OSError from here is the file's, one from the upload is the network's.
        await file.__aenter__()
    except (OSError, OutsideFolder) as error:
        raise unreadable(item.file.path, error) from error
    try:
        if origin.source == origin.folder and file.mark != item.file:
            # The folder's watch treats its new state as a new file.
            raise FileChanged(f"{item.file.path} has changed since it was found")
        file_id = await client.file_upload_from_path(
            file, part_id, file_name=origin.file_name, mime_type=origin.mime_type or None, **said
        )
        return Receipt("file_upload_from_path", file_id, file.size)
    finally:
        file.close()


def _as_file(item: Item) -> tuple[str, str, str]:
    origin = item.origin
    if origin.kind is Kind.DATA:
        return item.file_name, origin.extension, origin.mime_type
    stamp = _datetime(item.requested_us).strftime("%Y-%m-%dT%H-%M-%S.%fZ")
    if origin.kind is Kind.LINE:
        return f"{origin.source}_{stamp}{_DOCUMENT_EXTENSION}", _DOCUMENT_EXTENSION, _DOCUMENT_TYPE
    return f"{origin.source}_{stamp}{origin.extension}", origin.extension, origin.mime_type


def _datetime(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)
