"""A spool as the first version of its schema had it, with rows of each kind."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from module.collection.readings import sensor_data
from module.local.calls import UploadMethod
from module.local.cloud import LocalCloud
from tests.faults.ledger import Row
from tests.process.rig import KEY, KEY_ID, PART, Rig

FAULT = "a spool of an older version"
_SCHEMA = """
CREATE TABLE stream (
    id INTEGER PRIMARY KEY, origin TEXT NOT NULL UNIQUE, items INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE capture (
    id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, requested_us INTEGER NOT NULL, received_us INTEGER NOT NULL,
    size INTEGER NOT NULL, footprint INTEGER NOT NULL, detail TEXT, annotations BLOB, payload BLOB NOT NULL
);
CREATE INDEX capture_by_stream ON capture (stream);
CREATE INDEX capture_by_detail ON capture (detail) WHERE detail IS NOT NULL;
CREATE TABLE failure (
    id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, requested_us INTEGER NOT NULL, received_us INTEGER NOT NULL,
    size INTEGER NOT NULL, footprint INTEGER NOT NULL, detail TEXT, annotations BLOB, payload BLOB NOT NULL,
    error TEXT NOT NULL, attempts INTEGER NOT NULL, failed_us INTEGER NOT NULL
);
CREATE INDEX failure_by_stream ON failure (stream);
CREATE INDEX failure_by_detail ON failure (detail) WHERE detail IS NOT NULL;
CREATE TABLE sent_file (path TEXT PRIMARY KEY, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sequence (
    id TEXT PRIMARY KEY, sources TEXT NOT NULL, tags TEXT NOT NULL, start_us INTEGER NOT NULL,
    after_id INTEGER NOT NULL, end_us INTEGER, last_id INTEGER, error TEXT
);
PRAGMA user_version = 1;
"""
_ORIGIN: dict[str, Any] = {
    "after_upload": "keep",
    "api": "",
    "dataset_ids": [],
    "extension": "",
    "folder": "",
    "method": "",
    "mime_type": "",
    "move_to": "",
    "name": "",
    "priority": 5,
    "source": "",
    "tags": [],
    "upload_as": "auto",
}
_SENSOR = {**_ORIGIN, "api": "rdk:component:sensor", "method": "Readings"}
_CAMERA = {**_ORIGIN, "api": "rdk:component:camera", "method": "GetImages", "tags": ["old"]}
_AT_US = 1_750_000_000_000_000
_IMAGE, _DATA, _FILE = bytes(range(256)) * 200, b"a note", b"a file of a folder"
_LINE = json.dumps({"time_requested": "2026-01-01T00:00:00Z", "readings": {"n": 4}}).encode() + b"\n"


def write_version_1(spool: Path, watched: Path) -> None:
    """Make the spool, of which two files in the folder ``watched`` are a part: one waits, one was sent."""
    for folder in (spool, watched):
        folder.mkdir(parents=True)
    marks = []
    for name in ("waits.txt", "was-sent.txt"):
        path = (watched / name).resolve()
        path.write_bytes(_FILE)
        marks.append({"modified_ns": path.stat().st_mtime_ns, "path": str(path), "size": len(_FILE)})
    row, line, image, data, file = (
        {**_SENSOR, "kind": "row", "source": "s", "name": "s"},
        {**_SENSOR, "kind": "line", "source": "l", "name": "l", "upload_as": "file"},
        {**_CAMERA, "kind": "binary", "source": "c", "name": "c", "extension": ".jpg", "mime_type": "image/jpeg"},
        {**_ORIGIN, "kind": "data", "source": "upload_data", "extension": ".txt", "mime_type": "text/plain"},
        {**_ORIGIN, "kind": "file", "source": str(watched), "folder": str(watched)},
    )
    rows: list[tuple[dict[str, Any], dict[str, object] | None, bytes]]
    rows = [(row, None, _row(1)), (row, None, _row(2)), (line, None, _LINE), (image, None, _IMAGE)]
    rows += [(data, {"file_name": "note.txt"}, _DATA), (file, marks[0], b"")]
    failed: list[tuple[dict[str, Any], dict[str, object] | None, bytes]]
    failed = [(row, None, _row(3)), (data, {"file_name": "failed.txt"}, _DATA)]
    with closing(sqlite3.connect(spool / "spool.sqlite3", isolation_level=None)) as db:
        db.execute("PRAGMA page_size = 16384")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(_SCHEMA)
        streams = {text: i for i, text in enumerate((_text(o) for o in (row, line, image, data, file)), 1)}
        db.executemany("INSERT INTO stream (id, origin) VALUES (?, ?)", [(i, text) for text, i in streams.items()])
        for number, (origin, detail, payload) in enumerate([*rows, *failed], 1):
            size = len(_FILE) if origin is file else len(payload)
            held = (number, streams[_text(origin)], _AT_US, _AT_US + 1, size, len(payload) + 96)
            values = (*held, json.dumps(detail, sort_keys=True) if detail else None, None, payload)
            if number <= len(rows):
                db.execute("INSERT INTO capture VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
                db.execute("UPDATE stream SET items = items + 1, bytes = bytes + ? WHERE id = ?", (held[5], held[1]))
            else:
                said = ("the cloud did not want it", 3, _AT_US + 2)
                db.execute("INSERT INTO failure VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*values, *said))
        db.execute("INSERT INTO counter VALUES ('last_id', ?)", (len(rows) + len(failed),))
        db.execute("INSERT INTO sent_file VALUES (:path, :size, :modified_ns)", marks[1])


def _text(origin: Mapping[str, Any]) -> str:
    return json.dumps(origin, sort_keys=True, separators=(",", ":"))


def _row(number: int) -> bytes:
    return sensor_data({"readings": {"n": number}}, _AT_US + number, _AT_US + number + 1)


async def old_version(folder: Path, chance: random.Random) -> Mapping[str, Row]:
    """A spool of schema 1 is opened: all in it is delivered as it was, and what had been sent is not sent again."""
    write_version_1(folder / "spool", folder / "watched")
    cloud = LocalCloud(None, api_keys={KEY_ID: KEY}, part_ids={PART}, keep_payloads=True)
    rig = Rig(folder, [], cloud, await cloud.start())
    try:
        async with rig.server:
            watched = {"path": str(folder / "watched"), "settle_s": 0}
            await rig.configure(spool={"directory": str(folder / "spool")}, folders=[watched])
            status = await rig.until(lambda status: status["spool"]["last_error"] is None)
            assert status["spool"]["damaged"] is None
            assert (await rig.command("failures"))["total"] == 2
            assert (await rig.command("retry"))["retried"] == 2
            status = await rig.drained()
            (new,) = {(await rig.command("upload_data", text="new", file_name="new.txt", wait="uploaded"))["id"]}
            assert new > 8, "an id of an old capture was used again"
    finally:
        await cloud.stop()
    assert status["spool"]["failed"] == status["spool"]["dropped"] == 0
    assert sorted(rig.numbers("s")) == [1, 2, 3]
    assert [arrival.payload for arrival in rig.arrivals(UploadMethod.BINARY)] == [_IMAGE]
    files = rig.arrivals(UploadMethod.FILE)
    texts = sorted((Path(arrival.metadata.file_name).name, arrival.payload) for arrival in files)
    named = [(name, payload) for name, payload in texts if payload != _LINE]
    assert len(texts) == len(named) + 1
    expected = [
        ("failed.txt", _DATA),
        ("new.txt", b"new"),
        ("note.txt", _DATA),
        ("waits", _FILE),
    ]
    assert named == expected, named
    return {FAULT: Row(tries=1, at_stake=8, waiting=8)}
