from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from viam.proto.app.datasync import SensorData, SensorMetadata, UploadMetadata

from module.demo.report import Result
from module.demo.tally import open_images, tally
from module.local.calls import Arrival, UploadMethod


def _arrival(
    method: UploadMethod,
    *tags: str,
    payload: bytes = b"",
    at_us: int | None = None,
    rows: Any = (),
    path: Path | None = None,
    **metadata: Any,
) -> Arrival:
    sensor_metadata = None
    if at_us is not None:
        sensor_metadata = SensorMetadata()
        sensor_metadata.time_requested.FromMicroseconds(at_us)
    return Arrival(
        method=method,
        metadata=UploadMetadata(tags=list(tags), **metadata),
        sensor_metadata=sensor_metadata,
        rows=tuple(rows),
        size=len(payload),
        sha256=hashlib.sha256(payload).hexdigest(),
        payload=None,
        message_sizes=(),
        messages=(),
        file_id="id",
        when=datetime.now(UTC),
        path=path,
    )


def _row(at_us: int) -> SensorData:
    row = SensorData()
    row.metadata.time_requested.FromMicroseconds(at_us)
    row.struct.fields["n"].number_value = 1
    return row


def test_rows_are_counted_each_and_once() -> None:
    """A batch that came twice is delivered twice, and distinct once."""
    batch = _arrival(UploadMethod.TABULAR, "all", "host", payload=b"12345", rows=[_row(1), _row(2)])
    (result,) = tally([batch, batch], {"host": 2}, from_paths=())
    assert result == Result("host", 2, 4, 2, 10, ("tabular_data_capture_upload",))


def test_images_of_one_poll_are_two_captures_and_one_that_came_twice_is_one() -> None:
    color = _arrival(UploadMethod.BINARY, "depth", payload=b"color", at_us=5)
    depth = _arrival(UploadMethod.STREAMING, "depth", payload=b"depth", at_us=5)
    (result,) = tally([color, depth, color], {"depth": 2}, from_paths=())
    assert (result.delivered, result.distinct) == (3, 2)
    assert result.methods == ("binary_data_capture_upload", "streaming_data_capture_upload")


def test_images_that_are_equal_but_of_two_moments_are_two() -> None:
    arrivals = [_arrival(UploadMethod.BINARY, "still", payload=b"same", at_us=at) for at in (1, 2)]
    (result,) = tally(arrivals, {"still": 2}, from_paths=())
    assert result.distinct == 2


def test_the_lines_of_documents_are_counted_where_they_are_kept(tmp_path: Path) -> None:
    arrivals = []
    for name, text in (("log_1.ndjson", "a\nb\n"), ("log_2.ndjson", "c\n"), ("log_2-01ab.ndjson", "c\n")):
        (tmp_path / name).write_text(text)
        arrivals += [
            _arrival(UploadMethod.FILE, "log", payload=b"1234", file_extension=".ndjson", path=tmp_path / name)
        ]
    (result,) = tally(arrivals, {"log": 3}, from_paths=())
    assert result == Result("log", 3, 4, 3, 12, ("file_upload",))


def test_files_from_paths_are_told_apart_by_who_sent_them() -> None:
    arrivals = [_arrival(UploadMethod.FILE, tag, payload=b"x", file_name=tag) for tag in ("outbox", "note")]
    outbox, note = tally(arrivals, {"outbox": 1, "note": 1}, from_paths=("outbox",))
    assert (outbox.methods, note.methods) == (("file_upload_from_path",), ("file_upload",))


def test_a_source_of_which_nothing_arrived_is_listed_too_and_what_belongs_to_none_is_not() -> None:
    results = tally([_arrival(UploadMethod.BINARY, "else")], {"host": 7}, from_paths=())
    assert results == (Result("host", 7, 0, 0, 0, ()),)


def test_images_are_opened_and_those_that_do_not_open_are_named(tmp_path: Path) -> None:
    (tmp_path / "front").mkdir()
    cv2.imwrite(str(tmp_path / "front" / "good.png"), np.zeros((4, 4), np.uint16))
    cv2.imwrite(str(tmp_path / "front" / "good.jpeg"), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "front" / "bad.jpeg").write_bytes(b"\xff\xd8\xff nothing")
    (tmp_path / "front" / "cloud.pcd").write_bytes(b"no image")
    assert open_images(tmp_path) == (3, ("front/bad.jpeg",))


def test_of_many_images_a_sample_is_opened_spread_over_all(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number:03}.png").write_bytes(b"bad")
    opened, broken = open_images(tmp_path, at_most=10)
    assert opened == 10
    assert broken[-1] > "085"
