"""The verbs that bring data with them: ``upload_data``, ``upload_rows``, ``upload_file``.

Together with the sources, the folders and the verb ``capture`` they reach the five upload methods of the SDK's
``DataClient`` (viam-sdk, ``viam/app/data_client.py``) with all of their parameters. When a command is answered, its
data is on the disk.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from module.attributes.uploader import FolderConfig
from module.capture import Capture, FileMark, Kind, Origin, UploadAs
from module.clock.machine_clock import NO_READING
from module.collection.readings import sensor_data
from module.commands.arguments import (
    Argument,
    choice,
    objects,
    pairs,
    refuse,
    text_of,
    text_or_empty,
    whole,
)
from module.commands.upload_wait import WAIT, Waiting
from module.commands.verb import DATASETS, METHOD_PARAMETERS, TAGS, TIMEOUT, Arguments, Verb
from module.courier.control import Control
from module.delivery.wire.files import mime_type_of
from module.errors import CommandError, EncodeError, OutsideFolder
from module.files import threads
from module.files.folder_paths import mark_inside

MAX_DATA_BYTES = 64 * 1024 * 1024
"""Limit of one command, because its data is held in memory and written to the spool in one piece."""
MAX_ROWS = 10_000
"""Limit of one ``upload_rows``."""
_MOST_NAME_BYTES = 255
_MOST_LABEL_BYTES = 1024
_MOST_PATH_BYTES = 4096
"""Linux's own limit. The time to resolve a longer path would grow with the square of its length."""
_DEFAULT_PRIORITY = 5
_ROWS_AT_ONCE = 50
"""Rows that are made before other tasks run again: a row takes some 20 µs."""

_COMPONENT = tuple(
    Argument(name, text_of(_MOST_LABEL_BYTES), "", allowed)
    for name, allowed in (
        ("component_type", "API or type of the component in the cloud, e.g. rdk:component:camera"),
        ("component_name", "name of the component"),
        ("method_name", "name of the method, e.g. GetImages"),
    )
)
_PRIORITY = Argument("priority", whole(0, 9), None, "0 to 9 (default 5; of a file, its folder's)")
_OF_ANY_DATA = (*_COMPONENT, METHOD_PARAMETERS, _PRIORITY, TAGS)
_MIME_TYPE = Argument("mime_type", text_or_empty(_MOST_NAME_BYTES), "", "MIME type (default: that of the extension)")
_TIMES = "pair of times, each RFC 3339 text or seconds since the epoch"


async def _upload_data(control: Control, arguments: Arguments) -> dict[str, Any]:
    encoded, words = arguments["data_base64"], arguments["text"]
    if (encoded is None) == (words is None):
        raise CommandError("upload_data: allowed is exactly one of data_base64 and text")
    way = UploadAs(arguments["upload_as"])
    name, extension = _named(arguments["file_name"], arguments["file_extension"], way)
    if way is UploadAs.BINARY:
        _require(arguments, "upload_data", "binary_data_capture_upload")
    times = arguments["data_request_times"]
    if way is UploadAs.FILE and times is not None:
        raise CommandError("upload_data.data_request_times: a file has none; allowed with upload_as binary, streaming")
    if times is not None and len(times) != 1:
        raise CommandError(f"upload_data.data_request_times: {len(times)} pairs given; allowed is one")
    now = control.now()
    data = _limited(words) if encoded is None else await asyncio.to_thread(_decode, encoded)
    origin = Origin(
        kind=Kind.DATA if way is UploadAs.FILE else Kind.BINARY,
        upload_as=way,
        extension=extension,
        mime_type=arguments["mime_type"] or mime_type_of(extension),
        dataset_ids=_union(control.config.dataset_ids, arguments["dataset_ids"]),
        clock=now.reading if times is None else NO_READING,
        **_said(control, "upload_data", arguments),
    )
    requested_us, received_us = times[0] if times else (now.us, now.us)
    return await _spooled(control, [Capture(origin, requested_us, received_us, data, file_name=name)], arguments)


def _named(name: str, extension: str | None, way: UploadAs) -> tuple[str, str]:
    """Return the name and the extension (with its dot) that the data will have in the cloud."""
    if name in (".", "..") or "/" in name or not (name.isprintable() or not name):
        raise refuse("upload_data.file_name", name, "a name without slashes and control characters")
    if name and way is not UploadAs.FILE:
        raise CommandError(f"upload_data.file_name: {way.value} uploads have no name; allowed with upload_as file")
    if extension is None and way is not UploadAs.FILE:
        raise CommandError(f"upload_data.file_extension: nothing given; {way.value} uploads need one, e.g. .jpg")
    if extension is None:
        return name, PurePosixPath(name).suffix
    if "/" in extension or not (extension.isprintable() or not extension):
        raise refuse("upload_data.file_extension", extension, "an extension, e.g. .jpg")
    if not extension and way is UploadAs.STREAMING:
        raise refuse("upload_data.file_extension", extension, "an extension that is not empty, e.g. .pcd")
    return name, extension if extension.startswith(".") or not extension else f".{extension}"


def _require(arguments: Arguments, verb: str, method: str) -> None:
    for argument in _COMPONENT:
        if not arguments[argument.name]:
            raise CommandError(f"{verb}.{argument.name}: nothing given; {method} needs it: {argument.allowed}")


def _said(control: Control, verb: str, arguments: Arguments) -> dict[str, Any]:
    """Return the fields of an origin that all data of a command has."""
    return {
        "source": verb,
        "priority": _DEFAULT_PRIORITY if arguments["priority"] is None else arguments["priority"],
        "tags": _union(control.config.tags, arguments["tags"]),
        **_component(arguments),
    }


def _component(arguments: Arguments) -> dict[str, Any]:
    return {
        "api": arguments["component_type"],
        "name": arguments["component_name"],
        "method": arguments["method_name"],
        "method_parameters": arguments["method_parameters"],
    }


def _limited(words: str) -> bytes:
    data = words.encode()
    if len(data) > MAX_DATA_BYTES:
        raise _too_large("upload_data.text", f"{len(data)} bytes")
    return data


def _too_large(path: str, given: str) -> CommandError:
    return CommandError(
        f"{path}: {given} given; allowed are {MAX_DATA_BYTES} bytes of data. "
        "Put it into a file under a configured folder and use upload_file"
    )


def _decode(encoded: str) -> bytes:
    if len(encoded) > MAX_DATA_BYTES * 4 // 3 + 4:
        raise _too_large("upload_data.data_base64", f"{len(encoded)} characters")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CommandError(f"upload_data.data_base64: this is no base64 (RFC 4648): {error}") from error


async def _upload_rows(control: Control, arguments: Arguments) -> dict[str, Any]:
    rows, times = arguments["rows"], arguments["data_request_times"]
    if rows is None:
        raise CommandError(f"upload_rows.rows: nothing given; allowed is a list of 1 to {MAX_ROWS} objects")
    _require(arguments, "upload_rows", "tabular_data_capture_upload")
    now = control.now()
    pairs_of_rows = [(now.us, now.us)] * len(rows) if times is None else times
    if len(pairs_of_rows) != len(rows):
        counts = f"{_counted(len(pairs_of_rows), 'pair')} given for {_counted(len(rows), 'row')}"
        raise CommandError(f"upload_rows.data_request_times: {counts}; allowed is one pair a row")
    clock = now.reading if times is None else NO_READING
    origin = Origin(kind=Kind.ROW, clock=clock, **_said(control, "upload_rows", arguments))
    captures: list[Capture] = []
    size = 0
    for index, (row, (requested_us, received_us)) in enumerate(zip(rows, pairs_of_rows, strict=True)):
        try:
            payload = sensor_data(row, requested_us, received_us)
        except EncodeError as error:
            raise CommandError(f"upload_rows.rows[{index}]: {error}") from error
        size += len(payload)
        if size > MAX_DATA_BYTES:
            raise CommandError(
                f"upload_rows.rows: more than {MAX_DATA_BYTES} bytes given; that is the most for one command"
            )
        captures.append(Capture(origin, requested_us, received_us, payload))
        if index % _ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return await _spooled(control, captures, arguments)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


async def _upload_file(control: Control, arguments: Arguments) -> dict[str, Any]:
    path = arguments["path"]
    if path is None:
        raise CommandError("upload_file.path: nothing given; allowed is the absolute path of a file")
    folder, mark = await _locate(control.config.folders, path)
    origin = Origin(
        source="upload_file",
        kind=Kind.FILE,
        priority=folder.priority if arguments["priority"] is None else arguments["priority"],
        tags=_union(control.config.tags, folder.tags, arguments["tags"]),
        dataset_ids=_union(control.config.dataset_ids, folder.dataset_ids, arguments["dataset_ids"]),
        mime_type=arguments["mime_type"],
        file_name=arguments["file_name"],
        folder=folder.path,
        **_component(arguments),
    )
    now_us = control.now().us
    return await _spooled(control, [Capture(origin, now_us, now_us, file=mark)], arguments)


async def _locate(folders: Sequence[FolderConfig], path: str) -> tuple[FolderConfig, FileMark]:
    # The most likely folder first: one that hangs must not delay the files of another.
    folders = sorted(folders, key=lambda folder: not path.startswith(f"{folder.path}/"))
    allowed = ", ".join(folder.path for folder in folders) or "none is configured"
    reason = f"{path!r} lies in no configured folder"
    for folder in folders:
        try:
            return folder, await threads.answer(folder.path, mark_inside, folder.path, path)
        except UnicodeEncodeError as error:
            # A link may lead to a name that is not UTF-8, which no upload's metadata can hold.
            raise CommandError(f"upload_file.path: {path!r} leads to a name that is not UTF-8; rename it") from error
        except OutsideFolder as error:
            # Another folder may have the file; otherwise it is said of a path that looks as if it lay in this one.
            if path.startswith(f"{folder.path}/"):
                reason = str(error)
        except OSError as error:
            raise CommandError(f"upload_file.path: {path!r} cannot be read: {error.strerror}") from error
    raise CommandError(f"upload_file.path: {reason}; allowed are files under: {allowed}")


def _union(*lists: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for items in lists for item in items))


async def _spooled(control: Control, captures: Sequence[Capture], arguments: Arguments) -> dict[str, Any]:
    """Spool the data of a command, wait for the cloud if the command asks for that, and return the answer."""
    ids = await control.spool(captures)
    answer: dict[str, Any] = {"ids": ids, "file_ids": []}
    if arguments["wait"] == "uploaded":
        waiting = Waiting(control)
        waiting.add(ids)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(arguments["timeout_s"]):
                    await waiting.until_ended()
        finally:
            # Also if the caller has gone.
            answer["file_ids"], error = waiting.end(arguments["timeout_s"])
        if error is not None:
            answer["error"] = error
    if len(ids) == 1:
        answer |= {"id": ids[0], "file_id": next(iter(answer["file_ids"]), None)}
    return answer


VERBS = (
    Verb(
        "upload_file",
        "upload a file that lies under a configured folder (file_upload_from_path)",
        (
            Argument("path", text_of(_MOST_PATH_BYTES), None, "absolute path"),
            Argument("file_name", text_or_empty(_MOST_NAME_BYTES), None, "name in the cloud (default: its own)"),
            _MIME_TYPE,
            *_OF_ANY_DATA,
            DATASETS,
            WAIT,
            TIMEOUT,
        ),
        _upload_file,
    ),
    Verb(
        "upload_data",
        "upload bytes or a text (file_upload, binary_data_capture_upload, streaming_data_capture_upload)",
        (
            Argument("data_base64", text_or_empty(MAX_DATA_BYTES * 2), None, "base64"),
            Argument("text", text_or_empty(MAX_DATA_BYTES * 2), None, "text, instead of data_base64"),
            Argument("upload_as", choice("file", "binary", "streaming"), "file", "file (default), binary or streaming"),
            Argument("file_name", text_or_empty(_MOST_NAME_BYTES), "", "name of the file"),
            Argument("file_extension", text_or_empty(_MOST_NAME_BYTES), None, "e.g. .jpg (default: that of file_name)"),
            _MIME_TYPE,
            Argument("data_request_times", pairs, None, f"{_TIMES}, for binary and streaming (default: now)"),
            *_OF_ANY_DATA,
            DATASETS,
            WAIT,
            TIMEOUT,
        ),
        _upload_data,
    ),
    Verb(
        "upload_rows",
        "upload rows of values (tabular_data_capture_upload)",
        (
            Argument("rows", objects(MAX_ROWS), None, f"list of 1 to {MAX_ROWS} objects"),
            Argument("data_request_times", pairs, None, f"list of one {_TIMES} a row (default: now)"),
            *_OF_ANY_DATA,
            WAIT,
            TIMEOUT,
        ),
        _upload_rows,
    ),
)
